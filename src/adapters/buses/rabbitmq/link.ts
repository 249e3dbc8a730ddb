import type { Clock } from '../../../kernel/clock.ts'
import { RegentError, systemCode } from '../../../kernel/errors.ts'
import type { Logger } from '../../../kernel/logger.ts'
import { type Channel, type Connection, type Dial, openChannel } from './library.ts'
import { jitter, PATIENCE_MS, refusal, unavailable, within, wordsOf } from './troubles.ts'

/** A connection that lasted this long, in ms, was no failure. */
const SOUND_MS = 5000
/** How long a broker under suspicion may take to open a channel, in ms. */
const DOUBT_MS = 3000

export interface LinkOptions {
  readonly dial: Dial
  readonly addresses: readonly string[]
  /** For people: which broker. */
  readonly broker: string
  readonly clock: Clock
  readonly logger: Logger
  readonly onChange: () => void
}

interface Waiter {
  readonly resolve: (connection: Connection) => void
  readonly reject: (error: Error) => void
  readonly hopeful: boolean
}

/** One connection to the broker, made anew, at the next address, whenever it is lost. */
export class Link {
  readonly #options: LinkOptions
  #current: Connection | undefined
  #up: Connection | undefined
  #reason = 'not connected yet'
  #blocked: string | undefined
  /** Monotonic ms of the last change between up and down. */
  #since: number
  #doubted: Connection | undefined
  #failures = 0
  #dials = 0
  #closed = false
  #cancelDial = () => {}
  readonly #waiting = new Set<Waiter>()

  constructor(options: LinkOptions) {
    this.#options = options
    this.#since = options.clock.elapsed()
    this.#dial()
  }

  get up(): boolean {
    return this.#up !== undefined
  }

  /** Why it cannot be used, or takes no messages. */
  get reason(): string | undefined {
    return this.#up ? this.#blocked : this.#reason
  }

  get blocked(): boolean {
    return this.#blocked !== undefined
  }

  /**
   * Waits until there is one. Rejects when the link is closed, the signal aborts, or the broker refuses the account (FORBIDDEN). Who is
   * only `hopeful` gets UNAVAILABLE then, and at once when the broker has been away for long.
   */
  async connection(signal?: AbortSignal, hopeful = false): Promise<Connection> {
    signal?.throwIfAborted()
    if (this.#closed) throw unavailable('the bus is closed')
    if (this.#up) return this.#up
    if (hopeful && this.#failures > 0 && this.#options.clock.elapsed() - this.#since > PATIENCE_MS) throw this.away()
    const { promise, resolve, reject } = Promise.withResolvers<Connection>()
    const waiter = { resolve, reject, hopeful }
    const abort = () => reject(signal?.reason)
    this.#waiting.add(waiter)
    signal?.addEventListener('abort', abort, { once: true })
    try {
      return await promise
    } finally {
      this.#waiting.delete(waiter)
      signal?.removeEventListener('abort', abort)
    }
  }

  away(cause?: unknown): RegentError {
    return unavailable(`${this.#options.broker}: ${this.reason ?? 'the connection was lost'}`, cause)
  }

  /** Opens a channel. A broker that does not answer in time loses the connection. */
  async channel(connection: Connection): Promise<Channel> {
    const opening = openChannel(connection)
    try {
      return await this.patiently(connection, opening)
    } catch (error) {
      void opening.then(closeQuietly, () => {})
      throw error instanceof RegentError ? error : this.away(error)
    }
  }

  /** As `work`, for at most 5 s; then the broker hangs, and the connection with it is given up. */
  patiently<T>(connection: Connection, work: Promise<T>): Promise<T> {
    const late = () => {
      this.condemn(connection, 'the broker does not answer')
      return this.away()
    }
    return within(work, { clock: this.#options.clock, late })
  }

  /** Runs `work` on a channel of its own. */
  async using<T>(work: (channel: Channel) => Promise<T>): Promise<T> {
    const connection = await this.connection()
    const channel = await this.channel(connection)
    channel.on('error', () => {})
    try {
      return await this.patiently(connection, work(channel))
    } finally {
      if (channel.active) await this.patiently(connection, channel.close()).catch(() => {})
    }
  }

  /** Something was not answered in time: gives the connection up if nothing else is answered either. One queue may hang alone. */
  async doubt(connection: Connection): Promise<void> {
    if (this.#up !== connection || this.#doubted === connection || this.blocked) return
    this.#doubted = connection
    const probe = openChannel(connection).then((channel) => channel.close())
    try {
      await within(probe, { clock: this.#options.clock, ms: DOUBT_MS, late: () => this.away() })
    } catch {
      this.condemn(connection, 'the broker does not answer')
    } finally {
      this.#doubted = undefined
    }
  }

  condemn(connection: Connection, reason: string): void {
    if (this.#current === connection) this.#fall(connection, reason)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#cancelDial()
    const connection = this.#current
    const polite = this.#up
    this.#current = undefined
    this.#up = undefined
    this.#reason = 'the bus is closed'
    for (const { reject } of this.#waiting) reject(unavailable('the bus is closed'))
    if (polite) await within(polite.close(), { clock: this.#options.clock, late: () => this.away() }).catch(() => {})
    connection?.unsafeDestroy()
  }

  #dial(): void {
    const { addresses, dial } = this.#options
    const connection = dial(addresses[this.#dials++ % addresses.length] ?? '')
    this.#current = connection
    connection.on('connection', () => this.#rise(connection))
    connection.on('error', (error) => this.condemn(connection, wordsOf(error)))
    connection.on('error', (error) => this.#note(error))
    connection.on('connection.blocked', (reason) => this.#block(connection, `the broker takes no messages: ${reason}`))
    connection.on('connection.unblocked', () => this.#block(connection, undefined))
  }

  #rise(connection: Connection): void {
    if (this.#current !== connection) return
    this.#up = connection
    this.#since = this.#options.clock.elapsed()
    for (const { resolve } of this.#waiting) resolve(connection)
    this.#options.onChange()
  }

  #fall(connection: Connection, reason: string): void {
    const { clock, logger, broker, onChange } = this.#options
    const now = clock.elapsed()
    const sound = this.#up !== undefined && now - this.#since >= SOUND_MS
    this.#failures = sound ? 1 : this.#failures + 1
    if (this.#up) {
      this.#since = now
      logger.warn({ broker, reason }, 'the connection to RabbitMQ is lost')
    }
    this.#current = undefined
    this.#up = undefined
    this.#blocked = undefined
    this.#reason = reason
    connection.unsafeDestroy()
    this.#cancelDial = clock.after(jitter(this.#failures), () => this.#dial())
    onChange()
  }

  /** An account or a virtual host that is refused: who waits for a subscription is told. */
  #note(error: unknown): void {
    if (systemCode(error) !== 'ACCESS_REFUSED' && systemCode(error) !== 'NOT_ALLOWED') return
    const refused = refusal(error, this.#options.broker)
    if (refused) for (const { reject, hopeful } of this.#waiting) reject(hopeful ? this.away(error) : refused)
  }

  #block(connection: Connection, reason: string | undefined): void {
    if (this.#current !== connection) return
    this.#blocked = reason
    this.#options.onChange()
  }
}

/** Closes a channel of a connection that may be gone. */
export function closeQuietly(channel: Channel): void {
  if (channel.active) channel.close().catch(() => {})
}
