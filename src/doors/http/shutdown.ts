import type { ServerResponse } from 'node:http'
import type { Clock } from '../../kernel/clock.ts'
import { RegentError } from '../../kernel/errors.ts'

/** Tells a server's answers in flight that it is closing. */
export interface Shutdown {
  readonly begun: boolean
  /** Aborted at once: streams end, the caller comes back elsewhere or later. */
  readonly streams: AbortSignal
  /** Aborted near the end of the grace: who still waits for an outcome is answered 503. */
  readonly waits: AbortSignal
  /** An answer is under way, until it is given or its connection is gone. */
  enter(response: ServerResponse): void
  /** Resolves once no answer is under way. */
  drained(): Promise<void>
  /** `cut` runs when the grace is over, for whoever still holds a connection. */
  begin(cut: () => void): void
  /** Everything is closed: nothing will be cut. */
  done(): void
}

export function createShutdown(clock: Clock, graceMs: number): Shutdown {
  const streams = new AbortController()
  const waits = new AbortController()
  let timers: (() => void)[] = []
  const underWay = new Set<ServerResponse>()
  let empty: (() => void) | undefined
  return {
    get begun() {
      return streams.signal.aborted
    },
    streams: streams.signal,
    waits: waits.signal,
    enter(response) {
      underWay.add(response)
      response.once('close', () => {
        underWay.delete(response)
        if (underWay.size === 0) empty?.()
      })
    },
    drained: () =>
      new Promise((resolve) => {
        empty = resolve
        if (underWay.size === 0) resolve()
      }),
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
