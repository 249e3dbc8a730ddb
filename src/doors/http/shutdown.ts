import type { Clock } from '../../kernel/clock.ts'
import { RegentError } from '../../kernel/errors.ts'

/** Tells a server's answers in flight that it is closing. */
export interface Shutdown {
  readonly begun: boolean
  /** Aborted at once: streams end, the caller comes back elsewhere or later. */
  readonly streams: AbortSignal
  /** Aborted near the end of the grace: who still waits for an outcome is answered 503. */
  readonly waits: AbortSignal
  /** `cut` runs when the grace is over, for whoever still holds a connection. */
  begin(cut: () => void): void
  /** Everything is closed: nothing will be cut. */
  done(): void
}

export function createShutdown(clock: Clock, graceMs: number): Shutdown {
  const streams = new AbortController()
  const waits = new AbortController()
  let timers: (() => void)[] = []
  return {
    get begun() {
      return streams.signal.aborted
    },
    streams: streams.signal,
    waits: waits.signal,
    begin(cut) {
      streams.abort()
      timers = [clock.after(graceMs * 0.9, () => waits.abort()), clock.after(graceMs, cut)]
    },
    done() {
      for (const cancel of timers) cancel()
    },
  }
}

/** What is told to who comes or waits while the server closes. */
export const closing = (): RegentError => new RegentError('UNAVAILABLE', 'Regent is closing', { retryAfter: 2 })
