import type { Clock } from '../../../kernel/clock.ts'
import type { Connection } from './connection.ts'

const AGAIN_MS = 250

/** Acknowledges for one group, many at once; what could not be sent is sent again. */
export class Acks {
  readonly #clock: Clock
  readonly #main: Connection
  readonly #key: string
  readonly #group: string
  #waiting = new Set<string>()
  #sending = new Set<string>()
  #flight: Promise<void> | undefined
  #again: (() => void) | undefined

  constructor(clock: Clock, main: Connection, key: string, group: string) {
    this.#clock = clock
    this.#main = main
    this.#key = key
    this.#group = group
  }

  has(id: string): boolean {
    return this.#waiting.has(id) || this.#sending.has(id)
  }

  get size(): number {
    return this.#waiting.size + this.#sending.size
  }

  add(id: string): void {
    this.#waiting.add(id)
    this.#flight ??= this.#soon()
  }

  /** Sends what is left, once; whether all is acknowledged. */
  async flush(): Promise<boolean> {
    while (this.#flight) await this.#flight
    this.#again?.()
    if (this.#waiting.size > 0) await this.#send()
    return this.size === 0
  }

  async #soon(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
    await this.#send()
  }

  async #send(): Promise<void> {
    const ids = [...this.#waiting]
    this.#sending = this.#waiting
    this.#waiting = new Set()
    let failed = false
    try {
      await this.#main.send(this.#key, ['XACK', this.#key, this.#group, ...ids])
    } catch {
      failed = true
      for (const id of ids) this.#waiting.add(id)
    }
    this.#sending = new Set()
    this.#flight = undefined
    if (this.#waiting.size === 0) return
    if (!failed) this.#flight = this.#soon()
    else this.#later()
  }

  #later(): void {
    this.#again?.()
    this.#again = this.#clock.after(AGAIN_MS, () => {
      this.#again = undefined
      if (this.#waiting.size > 0) this.#flight ??= this.#send()
    })
  }
}
