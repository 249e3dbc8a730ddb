import type { Clock } from '../../kernel/clock.ts'

/**
 * Lets at most so many works go on at once; the others wait in their order. One that takes longer than `longestMs` goes on without
 * its slot: nobody can hold up all others by works that never end.
 */
export class Slots {
  readonly #clock: Clock
  readonly #longestMs: number
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(most: number, longestMs: number, clock: Clock) {
    this.#free = most
    this.#longestMs = longestMs
    this.#clock = clock
  }

  async hold<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    let held = true
    const release = () => {
      if (held) this.#pass()
      held = false
    }
    const cancel = this.#clock.after(this.#longestMs, release)
    try {
      return await work()
    } finally {
      cancel()
      release()
    }
  }

  #pass(): void {
    const next = this.#waiting.shift()
    if (next) next()
    else this.#free++
  }
}
