import { RegentError } from '../../kernel/errors.ts'
import type { Handlers, Streams } from '../handling.ts'

const notYet = (what: string): RegentError => new RegentError('NOT_YET', `${what} is not there yet`)

/** Operations whose work is not there yet; they say so. */
export const missingHandlers: Handlers<'agents.clear_logs' | 'agents.signal' | 'agents.timeline'> = {
  'agents.clear_logs': () => Promise.reject(notYet('clearing logs')),
  'agents.signal': () => Promise.reject(notYet('signalling an agent')),
  'agents.timeline': () => Promise.reject(notYet('the timeline')),
}

export const missingStreams: Streams<'logs.stream'> = {
  // biome-ignore lint/correctness/useYield: it has nothing to give
  async *'logs.stream'() {
    throw notYet('the merged log')
  },
}
