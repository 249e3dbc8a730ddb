import type { Clock } from '../../../kernel/clock.ts'

interface Waiting {
  readonly at: number
  readonly late: () => void
}

/** Deadlines that all end the same time after they began: one timer serves them, however many there are. */
export class Deadlines {
  readonly #clock: Clock
  readonly #ms: number
  /** The oldest first. */
  readonly #waiting = new Set<Waiting>()
  #armed = false

  constructor(clock: Clock, ms: number) {
    this.#clock = clock
    this.#ms = ms
  }

  /** Calls `late` once the time is over; the answer cancels it. */
  begin(late: () => void): () => void {
    const one = { at: this.#clock.elapsed() + this.#ms, late }
    this.#waiting.add(one)
    if (!this.#armed) this.#arm(this.#ms)
    return () => void this.#waiting.delete(one)
  }

  #arm(ms: number): void {
    this.#armed = true
    this.#clock.after(ms, () => this.#look())
  }

  #look(): void {
    this.#armed = false
    const now = this.#clock.elapsed()
    for (const one of this.#waiting) {
      // A timer may come a little early.
      const left = one.at - now
      if (left >= 1) {
        this.#arm(left)
        return
      }
      this.#waiting.delete(one)
      one.late()
    }
  }
}
