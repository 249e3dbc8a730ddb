import type { Clock } from '../../../kernel/clock.ts'
import { RegentError } from '../../../kernel/errors.ts'

export interface Timeouts {
  /** Until the first byte of an answer. */
  readonly firstMs: number
  /** Between two pieces of it. */
  readonly betweenMs: number
  /** Of one answer, all tries and pauses included. */
  readonly wholeMs: number
}

export const defaultTimeouts: Timeouts = { firstMs: 60_000, betweenMs: 60_000, wholeMs: 600_000 }
const largestAnswer = 32 * 1024 * 1024

/** Aborts one try that says nothing for too long, or too much. Its signal's reason is the error to throw. */
export interface Watch {
  readonly signal: AbortSignal
  /** Passes requests on, and sees every byte of the answer. Follows no redirect: a key goes nowhere but to its address. */
  readonly fetch: typeof globalThis.fetch
  stop(): void
}

export function watchOver(id: string, clock: Clock, timeouts: Timeouts, outer: AbortSignal, fetch: typeof globalThis.fetch): Watch {
  const own = new AbortController()
  const signal = AbortSignal.any([outer, own.signal])
  const fail = (code: 'TIMED_OUT' | 'UPSTREAM', what: string) => own.abort(new RegentError(code, `${id} ${what}`))
  const expect = (ms: number, what: string) => clock.after(ms, () => fail('TIMED_OUT', `${what} ${ms / 1000} s`))
  let cancel = expect(timeouts.firstMs, 'sent no answer for')
  let bytes = 0
  const see = (chunk: Uint8Array) => {
    cancel()
    bytes += chunk.byteLength
    if (bytes > largestAnswer) fail('UPSTREAM', `answered with more than ${largestAnswer / 1024 / 1024} MiB`)
    else if (!signal.aborted) cancel = expect(timeouts.betweenMs, 'stopped in its answer for')
  }
  return {
    signal,
    async fetch(input, init) {
      const response = await fetch(input, { ...init, redirect: 'manual' })
      const passing = new TransformStream<Uint8Array, Uint8Array>({
        transform(chunk, controller) {
          see(chunk)
          controller.enqueue(chunk)
        },
      })
      const body = response.body?.pipeThrough(passing) ?? null
      return new Response(body, { status: response.status, statusText: response.statusText, headers: response.headers })
    },
    stop: () => cancel(),
  }
}
