import type { BrokerSettings } from '../../../contract/brokers.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { RegentError } from '../../../kernel/errors.ts'
import type { Logger } from '../../../kernel/logger.ts'
import {
  type Bus,
  type BusStatus,
  type DeadLetter,
  type Handler,
  type Incoming,
  type Lag,
  MOST_BODY,
  type Outgoing,
  type SubscribeOptions,
  type Subscription,
  type Topic,
} from '../../../ports/bus.ts'
import { Connection, PATIENCE_MS } from './connection.ts'
import { Consumer } from './consumer.ts'
import { type BrokerName, clientIdOf, targetOf, targetOfGroup } from './dialect.ts'
import { Graveyard } from './graveyard.ts'
import { bodyOf, checkBody, headersOf } from './headers.ts'
import { Link } from './link.ts'

const HEART_BEAT_MS = 30_000
const MOST_TOPICS = 1000
const CHECK_TOPIC: Topic = { name: 'regent.check' }

export interface StompBusOptions {
  readonly settings: BrokerSettings
  readonly clock: Clock
  readonly logger: Logger
  readonly random?: () => number
}

/** A bus over STOMP 1.1 and 1.2: ActiveMQ and RabbitMQ, told apart by what they call themselves. Connects by itself. */
export function createStompBus(options: StompBusOptions): Bus {
  return new StompBus(options)
}

interface Subscribed extends Subscription {
  readonly topic: Topic
  readonly group: string | null
  readonly link: Link
}

class StompBus implements Bus {
  readonly kind = 'stomp'
  readonly #options: StompBusOptions
  /** What is published goes over it; each subscription has one of its own. */
  readonly #link: Link
  readonly #graveyard: Graveyard
  readonly #subscriptions = new Set<Subscribed>()
  readonly #listeners = new Set<(status: BusStatus) => void>()
  #broker: BrokerName = 'activemq'
  #closed = false

  constructor(options: StompBusOptions) {
    this.#options = options
    const { clock, random = Math.random } = options
    this.#link = new Link({
      connect: async (turn, signal) => {
        const connection = await this.#open(turn, { signal })
        this.#broker = connection.broker
        return connection
      },
      lost: () => this.#doubt(),
      changed: (status) => this.#changed(status),
      clock,
      random,
    })
    this.#graveyard = new Graveyard({
      open: async () => {
        this.#checkOpen()
        await this.#link.ready(PATIENCE_MS)
        return this.#open(0)
      },
      send: (make) =>
        this.#send((connection) => {
          const { destination, headers, text } = make(connection)
          return { destination, headers, text }
        }),
      clock,
    })
  }

  /** As the broker is known; before the first connection, as ActiveMQ and RabbitMQ can. */
  get can(): Bus['can'] {
    const known = this.#broker !== 'other'
    return { durable: known, ordered: true, groups: known, replays: false, pipelined: true }
  }

  async publish(topic: Topic, message: Outgoing, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    this.#checkOpen()
    checkBody(message.body)
    const make = ({ broker }: Connection) => ({
      destination: targetOf(broker, topic),
      headers: headersOf(broker, message),
      text: message.body,
    })
    await (signal ? abortable(this.#send(make, signal), signal) : this.#send(make))
  }

  async subscribe(topic: Topic, handler: Handler, options: SubscribeOptions = {}): Promise<Subscription> {
    this.#checkOpen()
    options.signal?.throwIfAborted()
    if (options.queue)
      throw new RegentError('INVALID', `the queue ${options.queue.name} can be declared over AMQP only`, {
        hint: 'name it as the topic /queue/NAME',
      })
    const subscription = this.#begin({ ...topic }, handler, options)
    try {
      const { settled } = subscription.link
      await (options.signal ? abortable(settled, options.signal) : settled)
      return subscription
    } catch (error) {
      await subscription.close()
      throw error
    }
  }

  async topics(): Promise<readonly { readonly name: string; readonly subscribers: null; readonly waiting: null }[]> {
    const names = new Set([...this.#subscriptions].map(({ topic }) => topic.name))
    return [...names]
      .sort()
      .slice(0, MOST_TOPICS)
      .map((name) => ({ name, subscribers: null, waiting: null }))
  }

  async lag(): Promise<readonly Lag[]> {
    return [...this.#subscriptions].map(({ topic, group }) => ({ topic: topic.name, group, waiting: null }))
  }

  async deadLetters(topic?: Topic, limit = 100): Promise<readonly DeadLetter[]> {
    this.#checkOpen()
    return this.#graveyard.list(topic, limit)
  }

  async requeue(id: string): Promise<boolean> {
    this.#checkOpen()
    return this.#graveyard.take(id, async ({ message, group }, isWhole) => {
      if (!isWhole)
        throw new RegentError('TOO_LARGE', `the dead letter ${id} had a body of over ${MOST_BODY} bytes, which cannot be sent again`, {
          hint: 'drop it, and let its sender send less',
        })
      await this.#again(message, group)
    })
  }

  async drop(id: string): Promise<boolean> {
    this.#checkOpen()
    return this.#graveyard.take(id, async () => {})
  }

  status(): BusStatus {
    return this.#link.status
  }

  onStatus(listener: (status: BusStatus) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  async check(): Promise<void> {
    this.#checkOpen()
    await this.#send(({ broker }) => ({ destination: targetOf(broker, CHECK_TOPIC), headers: {}, text: '' }))
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#subscriptions].map((subscription) => subscription.close()))
    await this.#link.close()
  }

  #begin(topic: Topic, handler: Handler, options: SubscribeOptions): Subscribed {
    const { clock, logger, random = Math.random } = this.#options
    const consumer = new Consumer({
      topic,
      handler,
      options,
      bury: (message, group, reason, cut) => this.#graveyard.bury(message, group, reason, cut),
      clock,
      logger,
    })
    const link = new Link({
      connect: (turn, signal) => this.#open(turn, { signal, clientId: clientIdOf(topic, options) }, (one) => consumer.attach(one)),
      lost: () => consumer.detach(),
      clock,
      random,
    })
    const close = async () => {
      this.#subscriptions.delete(subscription)
      await this.#patiently(consumer.stop())
      await link.close()
    }
    const subscription: Subscribed = { topic, group: options.group ?? null, link, close }
    this.#subscriptions.add(subscription)
    return subscription
  }

  #open(
    turn: number,
    more: { signal?: AbortSignal; clientId?: string | undefined } = {},
    prepare?: (connection: Connection) => Promise<void>,
  ): Promise<Connection> {
    const { settings, clock } = this.#options
    const address = settings.addresses[turn % settings.addresses.length] ?? ''
    return Connection.open({ settings, address, heartBeatMs: settings.heartbeat ?? HEART_BEAT_MS, clock, ...more }, prepare)
  }

  /** Within 5 s, the wait for a connection included. */
  async #send(
    make: (connection: Connection) => { destination: string; headers: Readonly<Record<string, string>>; text: string },
    signal?: AbortSignal,
  ): Promise<void> {
    const { clock } = this.#options
    const { current } = this.#link
    const begun = clock.elapsed()
    const connection = current ?? (await this.#link.ready(PATIENCE_MS, signal))
    const { destination, headers, text } = make(connection)
    const left = current ? undefined : Math.max(1, PATIENCE_MS - (clock.elapsed() - begun))
    await connection.send(destination, headers, bodyOf(connection.broker, text), left)
  }

  #again({ topic, attempt: _, ...message }: Incoming, group: string | null): Promise<void> {
    return this.#send(({ broker }) => ({
      destination: targetOfGroup(broker, topic, group),
      headers: headersOf(broker, message),
      text: message.body,
    }))
  }

  /** A broker that hangs answers no subscription either, and only a heart-beat would tell: each is asked. */
  #doubt(): void {
    for (const { link } of this.#subscriptions) {
      const { current } = link
      current?.send(targetOf(current.broker, CHECK_TOPIC), {}, bodyOf(current.broker, '')).catch(() => undefined)
    }
  }

  #changed(status: BusStatus): void {
    const { logger } = this.#options
    if (status.connected) logger.info({ reconnects: status.reconnects }, 'the STOMP broker is connected')
    else if (!this.#closed) logger.warn({ reason: status.reason }, 'the STOMP broker is lost')
    for (const listener of this.#listeners) listener(status)
  }

  #checkOpen(): void {
    if (this.#closed) throw new RegentError('UNAVAILABLE', 'the bus is closed')
  }

  /** A handler that does not end is not waited for longer than a broker would be. */
  async #patiently(work: Promise<void>): Promise<void> {
    const late = Promise.withResolvers<void>()
    const cancel = this.#options.clock.after(PATIENCE_MS, late.resolve)
    await Promise.race([work, late.promise])
    cancel()
  }
}

function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
