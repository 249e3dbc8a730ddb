import type { Clock } from '../../src/kernel/clock.ts'

/** A clock that stands still until it is told to go on. Wall and monotonic time move apart where a test wants it. */
export class FakeClock implements Clock {
  #now: number
  #elapsed = 0
  #timers: { at: number; work: () => void }[] = []

  constructor(now = 1_000_000_000_000) {
    this.#now = now
  }

  now(): number {
    return this.#now
  }

  elapsed(): number {
    return this.#elapsed
  }

  after(ms: number, work: () => void): () => void {
    const timer = { at: this.#elapsed + Math.max(0, ms), work }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer)
    }
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const cancel = this.after(ms, resolve)
      signal?.addEventListener('abort', () => {
        cancel()
        reject(signal.reason)
      })
    })
  }

  /** Runs the timers that fall due within `ms`, in their order. */
  advance(ms: number): void {
    const end = this.#elapsed + ms
    for (let next = this.#due(end); next; next = this.#due(end)) {
      this.#move(Math.max(next.at, this.#elapsed))
      this.#timers = this.#timers.filter((one) => one !== next)
      next.work()
    }
    this.#move(end)
  }

  /** Time goes on and no timer runs, as when the process does not; those that fell due run with the next `advance`. */
  stall(ms: number): void {
    this.#move(this.#elapsed + ms)
  }

  /** Only the wall clock jumps, as when somebody sets it. */
  setWall(now: number): void {
    this.#now = now
  }

  /** ms until the next timer, undefined without one. */
  get nextIn(): number | undefined {
    const times = this.#timers.map((timer) => timer.at - this.#elapsed)
    return times.length === 0 ? undefined : Math.min(...times)
  }

  #due(end: number) {
    return this.#timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0]
  }

  #move(to: number): void {
    this.#now += to - this.#elapsed
    this.#elapsed = to
  }
}
