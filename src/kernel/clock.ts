import { setTimeout as pause } from 'node:timers/promises'

/** Time as Regent reads it; injected, so that tests do not wait. Deadlines and delays use `elapsed`, never `now`. */
export interface Clock {
  /** Epoch, in ms: for people and records only. */
  now(): number
  /** Monotonic, in ms: never jumps. */
  elapsed(): number
  /** Runs `work` once after `ms`; the answer cancels it. Keeps no process alive. */
  after(ms: number, work: () => void): () => void
  /** Rejects with the signal's reason when it is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  after(ms, work) {
    const timer = setTimeout(work, Math.min(ms, 2_147_483_647))
    timer.unref()
    return () => clearTimeout(timer)
  },
  async sleep(ms, signal) {
    try {
      await pause(ms, undefined, signal ? { signal } : {})
    } catch (error) {
      signal?.throwIfAborted()
      throw error
    }
  },
}
