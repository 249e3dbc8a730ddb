import { type BrokerSettings, describeBroker } from '../../../contract/brokers.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { RegentError } from '../../../kernel/errors.ts'
import type { Logger } from '../../../kernel/logger.ts'
import type { Bus, BusStatus, DeadLetter, Handler, Lag, Outgoing, SubscribeOptions, Subscription, Topic } from '../../../ports/bus.ts'
import { DeadQueue } from './dead-queue.ts'
import { wrap } from './letters.ts'
import { type Dial, loadDial } from './library.ts'
import { Link } from './link.ts'
import { pack } from './messages.ts'
import { DEAD_QUEUE, placeOf } from './names.ts'
import { Publisher } from './publisher.ts'
import { RabbitSubscription } from './subscription.ts'
import { PATIENCE_MS, unavailable, within } from './troubles.ts'
import type { Delivery } from './work.ts'

const MOST_TOPICS = 1000

export interface RabbitMqOptions {
  readonly settings: BrokerSettings
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * RabbitMQ by AMQP 0-9-1. One connection publishes and one consumes, since a broker that runs out of memory stops reading from those
 * that publish. Rejects only where a certificate file cannot be read.
 */
export async function openRabbitMqBus(options: RabbitMqOptions): Promise<Bus> {
  return new RabbitMqBus(await loadDial(options.settings), options)
}

class RabbitMqBus implements Bus {
  readonly kind = 'rabbitmq'
  readonly can = { durable: true, ordered: true, groups: true, replays: false, pipelined: true }
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #broker: string
  readonly #links: { readonly out: Link; readonly in: Link }
  readonly #publisher: Publisher
  readonly #dead: DeadQueue
  readonly #subscriptions = new Set<RabbitSubscription>()
  readonly #listeners = new Set<(status: BusStatus) => void>()
  readonly #published = new Set<string>()
  #status: BusStatus
  #wasConnected = false
  #lost = false
  #closing: Promise<void> | undefined
  #closed = false

  constructor(dial: Dial, { settings, clock, logger }: RabbitMqOptions) {
    this.#clock = clock
    this.#logger = logger
    this.#broker = describeBroker(settings)
    this.#status = { connected: false, since: clock.now(), reason: 'not connected yet', reconnects: 0 }
    const { addresses } = settings
    const link = () => new Link({ dial, addresses, broker: this.#broker, clock, logger, onChange: () => this.#look() })
    this.#links = { out: link(), in: link() }
    this.#publisher = new Publisher(this.#links.out, clock)
    this.#dead = new DeadQueue(this.#links.in, this.#publisher, clock)
  }

  /** Also throws NOT_FOUND when the topic is a queue of the default exchange that is not there: whoever waited for a reply is gone. */
  async publish(topic: Topic, message: Outgoing, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    this.#checkOpen()
    const place = placeOf(topic)
    const packed = pack(message)
    if (topic.exchange === undefined && this.#published.size < MOST_TOPICS) this.#published.add(topic.name)
    await this.#publisher.publish(place, packed, signal)
  }

  async subscribe(topic: Topic, handler: Handler, options: SubscribeOptions = {}): Promise<Subscription> {
    if (this.#closing) throw unavailable('the bus is closed')
    const subscription = new RabbitSubscription({
      link: this.#links.in,
      topic,
      handler,
      options,
      clock: this.#clock,
      logger: this.#logger,
      bury: (...words) => this.#bury(...words),
    })
    this.#subscriptions.add(subscription)
    try {
      await subscription.start()
    } catch (error) {
      this.#subscriptions.delete(subscription)
      throw error
    }
    return {
      close: async () => {
        await subscription.close()
        this.#subscriptions.delete(subscription)
      },
    }
  }

  async topics() {
    const waiting = new Map<string, number | null>([...this.#published].map((name) => [name, null]))
    for (const { topic, waiting: more } of await this.lag()) waiting.set(topic, more === null ? null : (waiting.get(topic) ?? 0) + more)
    const all = [...waiting].map(([name, count]) => ({ name, subscribers: null, waiting: count }))
    return all.sort((a, b) => (a.name < b.name ? -1 : 1)).slice(0, MOST_TOPICS)
  }

  async lag(): Promise<readonly Lag[]> {
    const queues = new Map<string | RabbitSubscription, RabbitSubscription[]>()
    for (const one of this.#subscriptions) {
      const key = one.queue ?? (one.plan.name || one)
      queues.set(key, [...(queues.get(key) ?? []), one])
    }
    return Promise.all([...queues].map(([queue, members]) => this.#lagOf(queue, members)))
  }

  deadLetters(topic?: Topic, limit = 100): Promise<readonly DeadLetter[]> {
    return this.#dead.list(topic, limit)
  }

  requeue(id: string): Promise<boolean> {
    return this.#dead.requeue(id)
  }

  drop(id: string): Promise<boolean> {
    return this.#dead.drop(id)
  }

  status(): BusStatus {
    return this.#status
  }

  onStatus(listener: (status: BusStatus) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  async check(): Promise<void> {
    this.#checkOpen()
    const both = Promise.all(Object.values(this.#links).map(checkLink))
    await within(both, { clock: this.#clock, ms: PATIENCE_MS + 100, late: () => unavailable(`${this.#broker}: ${this.#reason()}`) })
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const ended = Promise.all([...this.#subscriptions].map((subscription) => subscription.close()))
    await within(ended, { clock: this.#clock, late: () => unavailable('a handler did not come to an end') }).catch(() => {})
    this.#closed = true
    await this.#publisher.close()
    await Promise.all(Object.values(this.#links).map((link) => link.close()))
    this.#look()
  }

  #checkOpen(): void {
    if (this.#closed) throw unavailable('the bus is closed')
  }

  async #lagOf(queue: string | RabbitSubscription, members: readonly RabbitSubscription[]): Promise<Lag> {
    const { topic, group } = members[0] as RabbitSubscription
    const held = members.reduce((sum, { held: own }) => sum + own, 0)
    if (typeof queue !== 'string' || !this.#links.in.up) return { topic: topic.name, group, waiting: null }
    try {
      const { messageCount } = await this.#links.in.using((channel) => channel.queueDeclare({ queue, passive: true }))
      return { topic: topic.name, group, waiting: messageCount + held }
    } catch {
      return { topic: topic.name, group, waiting: null }
    }
  }

  async #bury({ topic, group, plan }: RabbitSubscription, { raw, message }: Delivery, attempts: number, reason: string): Promise<void> {
    const owner = { topic, group, queue: plan.autoDelete ? undefined : plan.name }
    const letter = wrap(raw, message, owner, { attempts, reason, at: this.#clock.now() })
    try {
      await this.#publisher.publish({ exchange: '', type: 'direct', key: DEAD_QUEUE, mandatory: true }, letter)
    } catch (error) {
      if (error instanceof RegentError && error.code === 'NOT_FOUND' && this.#links.in.up)
        await this.#links.in.using((channel) => channel.queueDeclare({ queue: DEAD_QUEUE, durable: true }))
      throw error
    }
    this.#logger.warn({ topic: topic.name, group, id: message.id, attempts, reason }, 'a message was given up')
  }

  #reason(): string {
    return this.#links.in.reason ?? this.#links.out.reason ?? 'RabbitMQ does not answer'
  }

  /** Both connections or none: what it takes to be connected. */
  #look(): void {
    const links = Object.values(this.#links)
    const reason = this.#closed ? 'the bus is closed' : (links.map((link) => link.reason).find((words) => words !== undefined) ?? null)
    const connected = reason === null
    if (links.some((link) => !link.up) && this.#wasConnected) this.#lost = true
    const { connected: before, reconnects } = this.#status
    if (connected === before) {
      if (reason !== null) this.#status = { ...this.#status, reason }
      return
    }
    this.#status = { connected, since: this.#clock.now(), reason, reconnects: reconnects + (connected && this.#lost ? 1 : 0) }
    if (connected) {
      this.#wasConnected = true
      this.#lost = false
    }
    for (const listener of this.#listeners) listener(this.#status)
  }
}

/** Whether the broker answers on it. */
async function checkLink(link: Link): Promise<void> {
  const connection = await link.connection(undefined, true)
  if (link.blocked) throw link.away()
  const channel = await link.channel(connection)
  await link.patiently(connection, channel.close())
  if (!link.up) throw link.away()
}
