import { RegentError } from '../../../kernel/errors.ts'

/** Another holds what is wanted alone: one waits until it is free. */
export class StandingBy extends Error {}

/** What an ERROR frame of a broker means. */
export function refusal(broker: string, reason: string): Error {
  if (/resource_locked|already connected|exclusive (?:access|use)/i.test(reason)) return new StandingBy(reason)
  if (/access.?refused|not authorized|not allowed|denied/i.test(reason)) return new RegentError('FORBIDDEN', `${broker} refuses: ${reason}`)
  if (/destination|not_found|no exchange|precondition|selector/i.test(reason))
    return new RegentError('INVALID', `${broker} does not take it: ${reason}`)
  return new RegentError('UNAVAILABLE', `${broker} cannot be used: ${reason}`, { retryAfter: 1 })
}
