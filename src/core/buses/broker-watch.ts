import type { BrokerView } from '../../contract/bus-operations.ts'
import type { Check } from '../../contract/system.ts'
import type { Clock } from '../../kernel/clock.ts'
import { reasonOf } from '../../kernel/errors.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Brokers, NamedBroker } from '../../ports/brokers.ts'
import type { Lag } from '../../ports/bus.ts'
import type { Store } from '../../ports/store.ts'

export interface BrokerWatchOptions {
  readonly brokers: Brokers
  readonly store: Store
  readonly clock: Clock
  readonly logger: Logger
}

/** From the end of one look at a broker to the next. */
const PERIOD_MS = 5000
/** A broker that has not answered by then cannot be used. */
const PATIENCE_MS = 5000
/** What waits and what is dead is counted so often at most, and never for more than a hundredth of the time: some brokers have to read it all. */
const COUNTED_MS = 60_000
const COUNTED_SHARE = 0.01
const MOST_DEAD = 1000
/** Lags that are told of one broker. */
const MOST_LAGS = 1000

/** Watches each configured broker: whether it answers, what waits there, what is dead. Lost and restored ones are told as events. */
export class BrokerWatch {
  readonly #o: BrokerWatchOptions
  readonly #watched: readonly Watched[]

  constructor(options: BrokerWatchOptions) {
    this.#o = options
    this.#watched = options.brokers.configured.map((broker) => new Watched(broker, options, (one) => this.#told(one)))
  }

  /** To be called once. */
  begin(): void {
    for (const one of this.#watched) one.begin()
  }

  close(): void {
    for (const one of this.#watched) one.close()
  }

  /** One for each broker beside Regent's own bus, which has a check of its own; from what is known and what the client tells, without waiting. */
  checks(): Check[] {
    return this.#watched.filter(({ broker }) => broker.name !== 'bus').map((one) => one.asCheck())
  }

  /** What the check of Regent's own bus says while all is well. */
  get own(): string {
    return this.#watched.find(({ broker }) => broker.name === 'bus')?.words() ?? ''
  }

  /** Looked at anew, each within its time. */
  async views(): Promise<BrokerView[]> {
    await Promise.all(this.#watched.map((one) => one.look(true)))
    return this.known()
  }

  /** As they were at the last look. */
  known(): BrokerView[] {
    return this.#watched.map((one) => one.view())
  }

  #told({ broker, reason, away }: Told): void {
    const { store, clock, logger } = this.#o
    const type = reason === null ? 'broker.restored' : 'broker.lost'
    const data = { broker: broker.name, kind: broker.bus.kind, address: broker.address, message: reason ?? 'it answers', away_ms: away }
    if (reason === null) logger.info(data, 'a broker is back')
    else logger.warn(data, 'a broker cannot be used')
    const event = { type, at: clock.now(), actor: 'regent', agentId: null, agent: null, owner: null, data } as const
    store
      .transaction((tables) => tables.events.append(event))
      .catch((error: unknown) => logger.error({ broker: broker.name, error: reasonOf(error) }, `${type} was not told`))
  }
}

interface Told {
  readonly broker: NamedBroker
  /** null where it is back. */
  readonly reason: string | null
  /** For how long it was away, where it is back. */
  readonly away: number | null
}

/** One broker, as the last look saw it. */
class Watched {
  readonly broker: NamedBroker
  readonly #o: BrokerWatchOptions
  readonly #tell: (told: Told) => void
  /** undefined until the first look is over. */
  #ok: boolean | undefined
  #reason: string | null = 'not asked yet'
  #since: number
  #lag: readonly Lag[] = []
  #dead: number | null = null
  /** When it is counted again; by the monotonic clock. */
  #dueAt = 0
  #looking: Promise<void> | undefined
  #cancel = () => {}
  #forget = () => {}
  #closed = false

  constructor(broker: NamedBroker, options: BrokerWatchOptions, tell: (told: Told) => void) {
    this.broker = broker
    this.#o = options
    this.#tell = tell
    this.#since = options.clock.now()
  }

  begin(): void {
    this.#forget = this.broker.bus.onStatus((status) => {
      if (this.#closed) return
      if (status.connected) void this.look(false)
      else this.#saw(status.reason ?? 'the connection was lost')
    })
    void this.#round()
  }

  close(): void {
    this.#closed = true
    this.#cancel()
    this.#forget()
  }

  async #round(): Promise<void> {
    await this.look(this.#o.clock.elapsed() >= this.#dueAt)
    if (!this.#closed) this.#cancel = this.#o.clock.after(PERIOD_MS, () => void this.#round())
  }

  /** One look at a time; resolves within the patience, and never rejects. */
  async look(counting: boolean): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
    })
    await this.#looking
    if (counting && this.#ok) await this.#count()
  }

  async #look(): Promise<void> {
    const { bus } = this.broker
    try {
      await this.#within(bus.check())
      this.#saw(null)
    } catch (error) {
      this.#saw(bus.status().reason ?? reasonOf(error))
    }
  }

  async #count(): Promise<void> {
    const { bus } = this.broker
    const { clock } = this.#o
    const from = clock.elapsed()
    const [lag, dead] = await Promise.allSettled([this.#within(bus.lag()), this.#within(bus.deadLetters(undefined, MOST_DEAD))])
    if (lag.status === 'fulfilled') this.#lag = lag.value.slice(0, MOST_LAGS)
    this.#dead = dead.status === 'fulfilled' ? dead.value.length : null
    const now = clock.elapsed()
    this.#dueAt = now + Math.max(COUNTED_MS, (now - from) / COUNTED_SHARE)
  }

  async #within<T>(work: Promise<T>): Promise<T> {
    const late = Promise.withResolvers<never>()
    const cancel = this.#o.clock.after(PATIENCE_MS, () => late.reject(new Error(`it has not answered for ${PATIENCE_MS / 1000} s`)))
    try {
      return await Promise.race([work, late.promise])
    } finally {
      cancel()
      work.catch(() => undefined) // It may fail after it was given up.
    }
  }

  #saw(reason: string | null): void {
    if (this.#closed) return
    const ok = reason === null
    const before = this.#ok
    this.#ok = ok
    this.#reason = reason
    if (before === ok) return
    const now = this.#o.clock.now()
    const away = ok ? now - this.#since : null
    this.#since = now
    // One that is there from the start is nothing new.
    if (before !== undefined || !ok) this.#tell({ broker: this.broker, reason, away })
  }

  words(): string {
    const waiting = this.#lag.reduce((sum, { waiting: count }) => sum + (count ?? 0), 0)
    const count = (number: number, one: string, more: string) => (number === 0 ? [] : [`${number} ${number === 1 ? one : more}`])
    const dead = count(this.#dead ?? 0, 'dead letter', 'dead letters').map((words) => `${words}: see regent bus dead list`)
    return [...count(waiting, 'message waits', 'messages wait'), ...dead].join(', ')
  }

  asCheck(): Check {
    const { name, address } = this.broker
    const what = this.#ok ? this.words() : (this.#reason ?? 'it does not answer')
    return {
      name: `broker ${name}`,
      ok: this.#ok === true,
      required: false,
      message: what === '' ? address : `${address}: ${what}`,
    }
  }

  view(): BrokerView {
    const { name, address, bus } = this.broker
    return {
      name,
      kind: bus.kind,
      address,
      connected: this.#ok === true,
      since: this.#since,
      reason: this.#ok ? null : this.#reason,
      reconnects: bus.status().reconnects,
      lag: this.#lag.map((one) => ({ ...one })),
      dead_letters: this.#dead,
    }
  }
}
