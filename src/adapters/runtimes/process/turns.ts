/** How long one turn of the event loop may begin works, milliseconds. */
const TURN_MS = 4

/**
 * Lets at most `most` works run at the same time; the others wait in order. Each turn of the event loop begins only some, so that
 * many at once keep nobody else waiting.
 */
export class Turns {
  #free: number
  #planned = false
  readonly #elapsed: () => number
  readonly #waiting: (() => void)[] = []

  constructor(most: number, elapsed: () => number) {
    this.#free = most
    this.#elapsed = elapsed
  }

  run<T>(work: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const begin = () => {
        const ended = work().finally(() => {
          this.#free += 1
          this.#plan()
        })
        ended.then(resolve, reject)
      }
      this.#waiting.push(begin)
      this.#plan()
    })
  }

  #plan(): void {
    if (this.#planned || this.#free === 0 || this.#waiting.length === 0) return
    this.#planned = true
    setImmediate(() => this.#turn())
  }

  #turn(): void {
    this.#planned = false
    const begun = this.#elapsed()
    do {
      this.#free -= 1
      this.#waiting.shift()?.()
    } while (this.#free > 0 && this.#waiting.length > 0 && this.#elapsed() - begun < TURN_MS)
    this.#plan()
  }
}
