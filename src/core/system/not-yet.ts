import { RegentError } from '../../kernel/errors.ts'
import type { Handlers } from '../handling.ts'

const notYet = (what: string): RegentError => new RegentError('NOT_YET', `${what} is not there yet`)

/** Operations whose work is not there yet; they say so. */
export const missingHandlers: Handlers<'agents.timeline'> = {
  'agents.timeline': () => Promise.reject(notYet('the timeline')),
}
