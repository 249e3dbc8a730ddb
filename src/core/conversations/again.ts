import type { Clock } from '../../kernel/clock.ts'

/** From a failure to the next try, give or take a quarter. */
const PAUSE_MS = 60_000

/** Tries until it succeeds, once a minute; resolves with undefined when the signal aborts. `failed` is told of each failure. */
export async function untilDone<T>(
  work: () => Promise<T>,
  failed: (error: unknown) => void,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<T | undefined> {
  while (!signal.aborted) {
    try {
      return await work()
    } catch (error) {
      if (signal.aborted) return undefined
      failed(error)
      await clock.sleep(PAUSE_MS * (0.75 + Math.random() / 2), signal).catch(() => undefined)
    }
  }
  return undefined
}
