import type { Clock } from '../../../kernel/clock.ts'
import { RegentError } from '../../../kernel/errors.ts'
import type { Fault } from './faults.ts'

export interface RetryPolicy {
  readonly tries: number
  /** Of all pauses together. */
  readonly budgetMs: number
  /** The first pause; each next one is twice as long, up to the longest. */
  readonly firstMs: number
  readonly longestMs: number
  /** From 0 up to but not 1; spreads the tries of many agents. */
  readonly random: () => number
}

export const defaultRetry: RetryPolicy = { tries: 5, budgetMs: 60_000, firstMs: 500, longestMs: 20_000, random: Math.random }

export interface Tries {
  readonly policy: RetryPolicy
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly faultOf: (thrown: unknown) => Fault
  /** Before each pause. */
  readonly onRetry: (fault: Fault, pauseMs: number, tried: number) => void
}

/** Tries again what may pass by itself; throws the last fault's error, or the signal's reason. */
export async function retrying<T>(attempt: () => Promise<T>, { policy, clock, signal, faultOf, onRetry }: Tries): Promise<T> {
  let left = policy.budgetMs
  for (let tried = 1; ; tried++) {
    signal.throwIfAborted()
    try {
      return await attempt()
    } catch (thrown) {
      signal.throwIfAborted()
      const fault = faultOf(thrown)
      const pause = pauseAfter(tried, fault, policy)
      left -= pause
      if (!fault.passes || tried >= policy.tries || left < 0) throw ended(fault, tried)
      onRetry(fault, pause, tried)
      await clock.sleep(pause, signal)
    }
  }
}

/** Between half and the whole of the growing pause, and never less than the provider asks for. */
function pauseAfter(tried: number, { afterMs = 0 }: Fault, { firstMs, longestMs, random }: RetryPolicy): number {
  const whole = Math.min(longestMs, firstMs * 2 ** (tried - 1))
  return Math.max(afterMs, Math.round(whole * (0.5 + random() / 2)))
}

function ended({ error }: Fault, tried: number): RegentError {
  if (tried === 1) return error
  const { hint, retryAfter, details } = error
  return new RegentError(error.code, `${error.message} (tried ${tried} times)`, {
    details,
    ...(hint !== undefined && { hint }),
    ...(retryAfter !== undefined && { retryAfter }),
  })
}
