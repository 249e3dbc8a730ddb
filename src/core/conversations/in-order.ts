/** One that waits for its turn, until one of the two is called. */
export interface Waiting<T> {
  readonly item: T
  readonly done: () => void
  readonly failed: (error: unknown) => void
}

/**
 * Works off what is given to it in just the order in which it is given: what gathers during one piece of work is the next. Work that
 * throws fails what waits behind it, too, so that nothing overtakes what is to come again.
 */
export class InOrder<T> {
  readonly #work: (batch: readonly Waiting<T>[]) => Promise<void>
  readonly #most: number
  #waiting: Waiting<T>[] = []
  #working = false

  /** `most`: in one piece of work. */
  constructor(most: number, work: (batch: readonly Waiting<T>[]) => Promise<void>) {
    this.#most = most
    this.#work = work
  }

  /** Settles as the work says of it. */
  add(item: T): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#waiting.push({ item, done: resolve, failed: reject })
    if (!this.#working) void this.#drain()
    return promise
  }

  async #drain(): Promise<void> {
    this.#working = true
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, this.#most)
      try {
        await this.#work(batch)
      } catch (error) {
        for (const one of [...batch, ...this.#waiting.splice(0)]) one.failed(error)
      }
    }
    this.#working = false
  }
}
