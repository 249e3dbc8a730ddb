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

  /** Takes the next place; ms until it comes. */
  reserve(): number {
    this.#refill()
    this.#tokens -= 1
    return this.#tokens >= 0 ? 0 : Math.ceil((-this.#tokens / this.#perSecond) * 1000)
  }

  /** A place that nobody needs any more. */
  giveBack(): void {
    this.#tokens += 1
    this.#refill()
  }

  #refill(): void {
    const now = this.#clock.elapsed()
    this.#tokens = Math.min(this.#perSecond, this.#tokens + ((now - this.#at) / 1000) * this.#perSecond)
    this.#at = now
  }
}
