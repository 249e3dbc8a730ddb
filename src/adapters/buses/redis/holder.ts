import type { Clock } from '../../../kernel/clock.ts'
import type { Connection } from './connection.ts'

const HOLD_MS = 4000
const STAND_BY_MS = 500

const RENEW = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0`
const RELEASE = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`

/** The right to be the one subscriber of a group, for as long as it is renewed. */
export class Holder {
  readonly #clock: Clock
  readonly #main: Connection
  readonly #lease: string
  readonly #consumer: string
  #heldUntil = Number.NEGATIVE_INFINITY

  constructor(clock: Clock, main: Connection, key: string, group: string, consumer: string) {
    this.#clock = clock
    this.#main = main
    this.#lease = `regent:holder:${key}:${group}`
    this.#consumer = consumer
  }

  get holds(): boolean {
    return this.#clock.elapsed() < this.#heldUntil
  }

  /** It held, and could not renew in time. */
  get lapsed(): boolean {
    return !this.holds && this.#heldUntil !== Number.NEGATIVE_INFINITY
  }

  /** Resolves once it holds; rejects when the signal aborts or Redis is away. */
  async acquire(stopped: AbortSignal): Promise<void> {
    for (;;) {
      stopped.throwIfAborted()
      const at = this.#clock.elapsed()
      const set = ['SET', this.#lease, this.#consumer, 'NX', 'PX', String(HOLD_MS)]
      if ((await this.#main.send(this.#lease, set)) === 'OK' || (await this.#renewed())) {
        this.#heldUntil = at + HOLD_MS
        return
      }
      this.#heldUntil = Number.NEGATIVE_INFINITY
      await this.#clock.sleep(STAND_BY_MS, stopped)
    }
  }

  async renew(): Promise<void> {
    if (!this.holds) return
    const at = this.#clock.elapsed()
    this.#heldUntil = (await this.#renewed()) ? at + HOLD_MS : Number.NEGATIVE_INFINITY
  }

  async release(): Promise<void> {
    this.#heldUntil = Number.NEGATIVE_INFINITY
    await this.#main.send(this.#lease, ['EVAL', RELEASE, '1', this.#lease, this.#consumer])
  }

  async #renewed(): Promise<boolean> {
    return (await this.#main.send(this.#lease, ['EVAL', RENEW, '1', this.#lease, this.#consumer, String(HOLD_MS)])) === 1
  }
}
