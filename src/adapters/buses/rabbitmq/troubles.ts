import type { Clock } from '../../../kernel/clock.ts'
import { RegentError, reasonOf, systemCode } from '../../../kernel/errors.ts'

/** How long the broker may take to answer, in ms. */
export const PATIENCE_MS = 5000

export const unavailable = (message: string, cause?: unknown): RegentError =>
  new RegentError('UNAVAILABLE', message, { retryAfter: 1, ...(cause !== undefined && { cause }) })

interface Within {
  readonly clock: Clock
  readonly ms?: number
  readonly late: () => Error
  readonly signal?: AbortSignal | undefined
}

/** Settles as `work` does, or rejects with what `late` makes after `ms`, or with the signal's reason. */
export function within<T>(work: Promise<T>, { clock, ms = PATIENCE_MS, late, signal }: Within): Promise<T> {
  return before(work, { begin: (over) => clock.after(ms, over), late, signal })
}

interface Before {
  /** Begins the time that there is; the answer ends it. */
  readonly begin: (over: () => void) => () => void
  readonly late: () => Error
  readonly signal?: AbortSignal | undefined
}

/** Settles as `work` does, or rejects with what `late` makes when the time is over, or with the signal's reason. */
export function before<T>(work: Promise<T>, { begin, late, signal }: Before): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => end(() => reject(signal?.reason))
    const cancel = begin(() => end(() => reject(late())))
    const end = (settle: () => void) => {
      cancel()
      signal?.removeEventListener('abort', abort)
      settle()
    }
    signal?.addEventListener('abort', abort, { once: true })
    work.then(
      (value) => end(() => resolve(value)),
      (error) => end(() => reject(error)),
    )
  })
}

/** Full jitter between 0.5 s and twice as much with each failure, at most 30 s. */
export function jitter(failures: number): number {
  const most = Math.min(30_000, 1000 * 2 ** Math.min(failures, 10))
  return 500 + Math.random() * (most - 500)
}

/** The library puts a code before its words, also where it has none. */
export const wordsOf = (error: unknown): string => reasonOf(error).replace(/^undefined: /, '')

/** Somebody else has the queue or consumes it alone. */
export const isTaken = (error: unknown): boolean =>
  systemCode(error) === 'RESOURCE_LOCKED' || (systemCode(error) === 'ACCESS_REFUSED' && reasonOf(error).includes('exclusive'))

/** What the broker refuses for good, in words; undefined for what may pass. `what` names the exchange or queue it was about. */
export function refusal(error: unknown, what: string): RegentError | undefined {
  if (error instanceof RegentError) return error.code === 'INVALID' || error.code === 'FORBIDDEN' ? error : undefined
  if (isTaken(error)) return undefined
  const words = `RabbitMQ refuses ${what}: ${wordsOf(error)}`
  switch (systemCode(error)) {
    case 'PRECONDITION_FAILED':
      return new RegentError('INVALID', words, {
        hint: `${what} exists and was declared otherwise: let every program declare it alike, or delete it once it is empty and start Regent again`,
        cause: error,
      })
    case 'ACCESS_REFUSED':
      return new RegentError('FORBIDDEN', words, { hint: "give the broker's account the permission, or use another account", cause: error })
    case 'NOT_FOUND':
    case 'COMMAND_INVALID':
    case 'NOT_ALLOWED':
      return new RegentError('INVALID', words, { cause: error })
    default:
      return undefined
  }
}
