import { setImmediate as turn } from 'node:timers/promises'
import type { Clock } from '../../../kernel/clock.ts'
import { RegentError, systemCode } from '../../../kernel/errors.ts'
import { Deadlines } from '../shared/deadlines.ts'
import type { Channel, Connection } from './library.ts'
import type { Link } from './link.ts'
import type { Packed } from './messages.ts'
import type { Place } from './names.ts'
import { before, PATIENCE_MS, refusal, unavailable, within } from './troubles.ts'

/** What may wait for the broker's confirms. */
const MOST_PENDING = 10_000
const MOST_PENDING_BYTES = 64 * 1024 * 1024

/** A publish on its way. */
interface Ticket {
  /** The connection that it has been handed to. */
  connection?: Connection
  /** Nobody waits for it any more: it is not to be sent. */
  over: boolean
}

/** A channel in confirm mode, with the exchanges that were declared on its connection. */
interface Outlet {
  readonly connection: Connection
  readonly channel: Channel
  readonly exchanges: Set<string>
  readonly declaring: Map<string, Promise<void>>
  readonly returned: Map<string, number>
}

/** Publishes with confirms. What is not confirmed within 5 s is UNAVAILABLE; nothing is kept to be sent later. */
export class Publisher {
  readonly #link: Link
  readonly #clock: Clock
  readonly #deadlines: Deadlines
  #outlet: Outlet | undefined
  #opening: Promise<Outlet> | undefined
  #pending = 0
  #pendingBytes = 0

  constructor(link: Link, clock: Clock) {
    this.#link = link
    this.#clock = clock
    this.#deadlines = new Deadlines(clock, PATIENCE_MS)
  }

  /** Throws NOT_FOUND where the place is mandatory and leads nowhere. */
  async publish(place: Place, packed: Packed, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    if (this.#link.blocked) throw this.#link.away()
    if (this.#pending >= MOST_PENDING || this.#pendingBytes + packed.body.length > MOST_PENDING_BYTES)
      throw unavailable(`${this.#pending} messages of ${this.#pendingBytes} bytes wait for RabbitMQ's confirms already`)
    const ticket: Ticket = { over: false }
    this.#pending += 1
    this.#pendingBytes += packed.body.length
    try {
      const begin = (over: () => void) => this.#deadlines.begin(over)
      await before(this.#send(place, packed, ticket), { begin, signal, late: () => this.#late(ticket) })
    } finally {
      ticket.over = true
      this.#pending -= 1
      this.#pendingBytes -= packed.body.length
    }
  }

  /** After this nothing more is sent. */
  async close(): Promise<void> {
    const { channel } = this.#outlet ?? {}
    if (!channel?.active) return
    await within(channel.close(), { clock: this.#clock, late: () => unavailable('RabbitMQ does not answer') }).catch(() => {})
  }

  async #send(place: Place, { id, properties, body }: Packed, ticket: Ticket): Promise<void> {
    try {
      const outlet = this.#outlet?.channel.active ? this.#outlet : await this.#open(ticket)
      ticket.connection = outlet.connection
      if (place.exchange !== '' && !outlet.exchanges.has(nameOf(place))) await this.#declare(outlet, place)
      if (ticket.over) return
      const { exchange, key: routingKey, mandatory } = place
      await outlet.channel.basicPublish({ ...properties, exchange, routingKey, mandatory }, body)
      if (mandatory) await this.#checkReturned(outlet, place, id)
    } catch (error) {
      throw this.#explain(error, place)
    }
  }

  async #checkReturned({ returned }: Outlet, { key }: Place, id: string): Promise<void> {
    // The library tells of a returned message one turn after the confirm that follows it.
    await turn()
    const name = returnKey(key, id)
    const times = returned.get(name)
    if (times === undefined) return
    if (times > 1) returned.set(name, times - 1)
    else returned.delete(name)
    throw new RegentError('NOT_FOUND', `RabbitMQ has no queue ${key}`, { hint: 'whoever waits for this answer is gone' })
  }

  async #open(ticket: Ticket): Promise<Outlet> {
    ticket.connection = await this.#link.connection(undefined, true)
    this.#opening ??= this.#makeOutlet(ticket.connection).finally(() => {
      this.#opening = undefined
    })
    return this.#opening
  }

  async #makeOutlet(connection: Connection): Promise<Outlet> {
    const channel = await this.#link.channel(connection)
    const returned = new Map<string, number>()
    channel.on('error', () => {})
    channel.on('basic.return', ({ routingKey, messageId }) => {
      const name = returnKey(routingKey, messageId ?? '')
      returned.set(name, (returned.get(name) ?? 0) + 1)
    })
    await this.#link.patiently(connection, channel.confirmSelect())
    const outlet = { connection, channel, exchanges: new Set<string>(), declaring: new Map(), returned }
    this.#outlet = outlet
    return outlet
  }

  /** Once for each connection; on a channel of its own, which the broker closes if it refuses. */
  async #declare({ connection, exchanges, declaring }: Outlet, place: Place): Promise<void> {
    const name = nameOf(place)
    const known = declaring.get(name) ?? this.#declareNow(connection, place.exchange, place.type)
    declaring.set(name, known)
    try {
      await known
      exchanges.add(name)
    } finally {
      declaring.delete(name)
    }
  }

  async #declareNow(connection: Connection, exchange: string, type: string): Promise<void> {
    const channel = await this.#link.channel(connection)
    channel.on('error', () => {})
    try {
      await this.#link.patiently(connection, channel.exchangeDeclare({ exchange, type, durable: true }))
    } finally {
      if (channel.active) void channel.close()
    }
  }

  #late({ connection }: Ticket): Error {
    if (!connection || this.#link.blocked) return this.#link.away()
    void this.#link.doubt(connection)
    return unavailable(`RabbitMQ has not confirmed the message within ${PATIENCE_MS / 1000} s; it may have arrived`)
  }

  #explain(error: unknown, { exchange, key }: Place): unknown {
    if (error instanceof RegentError) return error
    if (systemCode(error) === 'NOT_FOUND') return unavailable(`the exchange ${exchange} was deleted; it is declared anew`, error)
    const refused = refusal(error, exchange === '' ? `queue ${key}` : `exchange ${exchange}`)
    if (refused) return refused
    if (systemCode(error) === 'NACK')
      return unavailable(`RabbitMQ did not take the message for ${key}: a queue of it is full or broken`, error)
    return unavailable('the connection to RabbitMQ was lost before it confirmed the message, which may have arrived', error)
  }
}

const nameOf = ({ exchange, type }: Place) => `${type} ${exchange}`
const returnKey = (routingKey: string, id: string) => `${routingKey}\0${id}`
