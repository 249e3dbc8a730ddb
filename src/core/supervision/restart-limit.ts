import type { Clock } from '../../kernel/clock.ts'

/** At most `perSecond` automatic restarts of all agents together, so that a common cause makes no storm. */
export class RestartLimit {
  readonly #clock: Clock
  readonly #perSecond: number
  #tokens: number
  #at: number

  constructor(clock: Clock, perSecond: number) {
    this.#clock = clock
    this.#perSecond = perSecond
    this.#tokens = perSecond
    this.#at = clock.elapsed()
  }

  free(): boolean {
    this.#refill()
    return this.#tokens >= 1
  }

  take(): void {
    this.#refill()
    this.#tokens -= 1
  }

  /** ms until `free`. */
  waitMs(): number {
    return this.free() ? 0 : Math.ceil(((1 - this.#tokens) / this.#perSecond) * 1000)
  }

  #refill(): void {
    const now = this.#clock.elapsed()
    this.#tokens = Math.min(this.#perSecond, this.#tokens + ((now - this.#at) / 1000) * this.#perSecond)
    this.#at = now
  }
}
