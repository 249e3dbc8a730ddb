import { createMemoryBus } from '../../src/adapters/buses/memory/memory-bus.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { RegentError } from '../../src/kernel/errors.ts'
import { silentLogger } from '../../src/kernel/logger.ts'
import type { Bus, BusStatus, Outgoing, Topic } from '../../src/ports/bus.ts'

/** The memory bus as a broker's client shows itself, whose broker a test takes away, freezes and gives back. */
export class FakeBroker {
  readonly bus: Bus
  /** Bodies, in the order in which the broker confirmed them. */
  readonly taken: string[] = []
  /** Publishes that are under way, and the most there ever were. */
  open = 0
  mostOpen = 0
  publishes = 0
  /** How long a confirmation takes. */
  delayMs = 0
  #state: 'there' | 'away' | 'frozen' = 'there'
  #since = Date.now()
  #reconnects = 0
  readonly #listeners = new Set<(status: BusStatus) => void>()

  constructor(kind: Bus['kind'] = 'redis') {
    const inner = createMemoryBus({ clock: systemClock, logger: silentLogger })
    const own: Partial<Bus> = {
      kind,
      publish: (topic: Topic, message: Outgoing, signal?: AbortSignal) => this.#publish(inner, topic, message, signal),
      check: () => this.#answer(async () => undefined),
      lag: () => this.#answer(() => inner.lag()),
      deadLetters: (topic?: Topic, limit?: number) => this.#answer(() => inner.deadLetters(topic, limit)),
      requeue: (id: string) => this.#answer(() => inner.requeue(id)),
      drop: (id: string) => this.#answer(() => inner.drop(id)),
      topics: () => this.#answer(() => inner.topics()),
      status: () => this.#status(),
      onStatus: (listener) => {
        this.#listeners.add(listener)
        return () => void this.#listeners.delete(listener)
      },
    }
    // Over the memory bus, whose private fields its own methods need.
    this.bus = new Proxy(inner, {
      get: (target, name: keyof Bus) => {
        const value = own[name] ?? target[name]
        return typeof value === 'function' && own[name] === undefined ? value.bind(target) : value
      },
    })
  }

  /** How many are told of the connection. */
  get listeners(): number {
    return this.#listeners.size
  }

  leave(): void {
    this.#turn('away')
  }

  /** It takes connections and says nothing; its client has not noticed. */
  freeze(): void {
    this.#state = 'frozen'
  }

  comeBack(): void {
    if (this.#state === 'away') this.#reconnects++
    this.#turn('there')
  }

  #turn(state: 'there' | 'away'): void {
    this.#state = state
    this.#since = Date.now()
    for (const listener of this.#listeners) listener(this.#status())
  }

  #status(): BusStatus {
    const connected = this.#state !== 'away'
    return { connected, since: this.#since, reason: connected ? null : 'nobody listens there', reconnects: this.#reconnects }
  }

  async #answer<T>(work: () => Promise<T>): Promise<T> {
    if (this.#state === 'frozen') return new Promise<never>(() => {})
    if (this.#state === 'away') throw new RegentError('UNAVAILABLE', 'nobody listens there')
    return work()
  }

  async #publish(inner: Bus, topic: Topic, message: Outgoing, signal?: AbortSignal): Promise<void> {
    this.publishes++
    this.open++
    this.mostOpen = Math.max(this.mostOpen, this.open)
    try {
      if (this.delayMs > 0) await systemClock.sleep(this.delayMs, signal)
      await this.#answer(() => inner.publish(topic, message, signal))
      this.taken.push(message.body)
    } finally {
      this.open--
    }
  }
}
