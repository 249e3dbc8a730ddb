import type { Clock } from '../../../kernel/clock.ts'
import type { BusStatus } from '../../../ports/bus.ts'
import { wordsOf } from './failures.ts'
import type { Wire } from './wire.ts'

const PING_MS = 3000
const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 30_000

/** Full jitter: somewhere between nothing and twice as much at each attempt, from 0.5 s up to `longest` ms. */
export const jitter = (attempt: number, longest = LONGEST_PAUSE_MS): number =>
  Math.random() * Math.min(longest, FIRST_PAUSE_MS * 2 ** Math.min(attempt, 16))

/** Whether the cluster answers, looked at every 3 s and whenever somebody doubts it. */
export class Link {
  readonly #wire: Wire
  readonly #clock: Clock
  readonly #listeners = new Set<(status: BusStatus) => void>()
  readonly #stop = new AbortController()
  #status: BusStatus
  #attempts = 0
  #everConnected = false
  #doubted = Promise.withResolvers<void>()
  #up = Promise.withResolvers<void>()
  #hurry = Promise.withResolvers<void>()
  /** Of the last attempt that failed. */
  #failure: unknown

  constructor(wire: Wire, clock: Clock) {
    this.#wire = wire
    this.#clock = clock
    this.#status = { connected: false, since: clock.now(), reason: 'not connected yet', reconnects: 0 }
    wire.admin.on('client:broker:disconnect', () => this.#lost('the connection was lost'))
    void this.#run()
  }

  get status(): BusStatus {
    return this.#status
  }

  get failure(): unknown {
    return this.#failure
  }

  onStatus(listener: (status: BusStatus) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** Looks now. */
  doubt(): void {
    this.#doubted.resolve()
  }

  /** Something was answered: when that was not expected any more, looks now. */
  alive(): void {
    if (!this.#status.connected) this.#hurry.resolve()
  }

  /** Resolves when the cluster answers. */
  async ready(): Promise<void> {
    while (!this.#status.connected && !this.#stop.signal.aborted) await this.#up.promise
  }

  close(reason: string): void {
    this.#stop.abort()
    this.#set(false, reason)
    this.#doubted.resolve()
    this.#up.resolve()
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        await this.#wire.ping()
        this.#found()
        this.#doubted = Promise.withResolvers()
        await Promise.race([this.#clock.sleep(PING_MS, this.#stop.signal).catch(() => {}), this.#doubted.promise])
      } catch (error) {
        if (this.#stop.signal.aborted) return
        this.#failure = error
        this.#lost(wordsOf(error))
        this.#hurry = Promise.withResolvers()
        const pause = this.#clock.sleep(jitter(this.#attempts++), this.#stop.signal).catch(() => {})
        await Promise.race([pause, this.#hurry.promise])
      }
    }
  }

  #found(): void {
    this.#attempts = 0
    this.#failure = undefined
    if (this.#status.connected || this.#stop.signal.aborted) return
    const again = this.#everConnected ? 1 : 0
    this.#everConnected = true
    this.#status = { ...this.#status, reconnects: this.#status.reconnects + again }
    this.#set(true, null)
    this.#up.resolve()
    this.#up = Promise.withResolvers()
  }

  #lost(reason: string): void {
    if (this.#stop.signal.aborted) return
    if (!this.#status.connected) {
      this.#status = { ...this.#status, reason }
      return
    }
    this.#set(false, reason)
    this.#wire.reset()
    this.doubt()
  }

  #set(connected: boolean, reason: string | null): void {
    const changed = this.#status.connected !== connected
    this.#status = { ...this.#status, connected, reason, ...(changed && { since: this.#clock.now() }) }
    if (changed) for (const listener of this.#listeners) listener(this.#status)
  }
}
