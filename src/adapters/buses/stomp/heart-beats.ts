import type { Clock } from '../../../kernel/clock.ts'

/** So often the broker may be late. */
const GRACE = 2

export interface HeartBeatOptions {
  /** What both sides were asked for at most, in ms. */
  readonly ms: number
  /** The header of the CONNECTED frame. */
  readonly agreed: string | undefined
  readonly clock: Clock
  readonly beat: () => void
  readonly lost: () => void
}

/** Both directions, as they were agreed on. */
export class HeartBeats {
  readonly #clock: Clock
  #seen: number
  #stopped = false
  #cancels: (() => void)[] = []

  constructor({ ms, agreed = '0,0', clock, beat, lost }: HeartBeatOptions) {
    this.#clock = clock
    this.#seen = clock.elapsed()
    const [broker = 0, wished = 0] = agreed.split(',').map((part) => Number.parseInt(part, 10) || 0)
    if (ms > 0 && wished > 0) this.#every(Math.max(ms, wished), beat)
    const most = Math.max(ms, broker)
    if (ms > 0 && broker > 0)
      this.#every(most, () => {
        if (clock.elapsed() - this.#seen > most * GRACE) lost()
      })
  }

  /** A sign of life. */
  see(): void {
    this.#seen = this.#clock.elapsed()
  }

  stop(): void {
    this.#stopped = true
    for (const cancel of this.#cancels) cancel()
  }

  #every(ms: number, work: () => void): void {
    const at = this.#cancels.length
    const next = () => {
      this.#cancels[at] = this.#clock.after(ms, () => {
        work()
        if (!this.#stopped) next()
      })
    }
    next()
  }
}
