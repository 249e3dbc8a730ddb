import { setImmediate as turn } from 'node:timers/promises'

/**
 * Lets at most `most` works run at the same time; the others wait in order. Each begins in a turn of its own of the event loop, so
 * that many at once keep nobody else waiting.
 */
export class Turns {
  #free: number
  #begun: Promise<unknown> = Promise.resolve()
  readonly #waiting: (() => void)[] = []

  constructor(most: number) {
    this.#free = most
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      this.#begun = this.#begun.then(() => turn())
      await this.#begun
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#free += 1
    }
  }
}
