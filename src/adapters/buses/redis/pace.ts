import type { Clock } from '../../../kernel/clock.ts'
import type { Lanes } from './lanes.ts'
import type { Entry } from './messages.ts'

const MOST_AHEAD = 128
/** Including what waits for another try, or behind one of its key. */
const MOST_HELD = 600
const MOST_BYTES = 16 * 1024 * 1024
const MOST_READ_BYTES = 8 * 1024 * 1024
/** A read that is worked off faster than this was too small, */
const FAST_MS = 25
/** and one that takes longer than this too large: others of the group could have had it. */
const SLOW_MS = 200

/** How many entries to read: as many as can be handled, and some ahead for a subscriber that is fast. */
export class Pace {
  readonly #clock: Clock
  readonly #concurrency: number
  #ahead = 0
  #readAt: number
  #typicalSize = 1024

  constructor(clock: Clock, concurrency: number) {
    this.#clock = clock
    this.#concurrency = concurrency
    this.#readAt = clock.elapsed()
  }

  /** 0: not now, something must be finished first. */
  next(lanes: Lanes): number {
    if (lanes.size >= MOST_HELD + this.#concurrency || lanes.bytes >= MOST_BYTES) return 0
    const room = this.#concurrency + this.#ahead - lanes.active
    if (room <= this.#ahead / 2) return 0
    return Math.max(1, Math.min(room, Math.floor(MOST_READ_BYTES / this.#typicalSize)))
  }

  /** To be told of each answer: how many were asked for, and what came. */
  took(asked: number, entries: readonly Entry[]): void {
    const now = this.#clock.elapsed()
    const took = now - this.#readAt
    this.#readAt = now
    if (entries.length === 0) return
    const largest = entries.reduce((most, { size }) => Math.max(most, size), 0)
    this.#typicalSize = Math.max(largest, this.#typicalSize * 0.9)
    if (took > SLOW_MS) this.#ahead = Math.floor(this.#ahead / 2)
    else if (took < FAST_MS && entries.length >= asked) this.#ahead = Math.min(MOST_AHEAD, Math.max(2, this.#ahead * 2))
  }
}
