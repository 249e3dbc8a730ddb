import type { BrokerSettings } from '../../../contract/brokers.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { RegentError } from '../../../kernel/errors.ts'
import type { Logger } from '../../../kernel/logger.ts'
import type {
  Bus,
  BusStatus,
  DeadLetter,
  Handler,
  Incoming,
  Lag,
  Outgoing,
  SubscribeOptions,
  Subscription,
  Topic,
} from '../../../ports/bus.ts'
import { Cluster } from './cluster.ts'
import { DeadLetters } from './dead-letters.ts'
import { toRegentError, within, wordsOf } from './failures.ts'
import { jitter, Link } from './link.ts'
import { Publisher } from './publisher.ts'
import { isInternal, kafkaName } from './records.ts'
import { Subscriber } from './subscriber.ts'
import { Wire } from './wire.ts'

const CHECK_MS = 4500
/** For handlers that are at work. */
const CLOSE_MS = 5000
const MOST_TOPICS = 1000

export interface KafkaBusOptions {
  readonly settings: BrokerSettings
  readonly clock: Clock
  readonly logger: Logger
}

/** A bus on Apache Kafka or Amazon MSK. Rejects where the settings are not right; the brokers need not be there. */
export async function openKafkaBus(options: KafkaBusOptions): Promise<Bus> {
  return new KafkaBus(options, await Wire.open(options.settings))
}

class KafkaBus implements Bus {
  readonly kind = 'kafka'
  readonly can = { durable: true, ordered: true, groups: true, replays: true, pipelined: true }
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #wire: Wire
  readonly #link: Link
  readonly #cluster: Cluster
  readonly #publisher: Publisher
  readonly #dead: DeadLetters
  readonly #subscribers = new Set<Subscriber>()
  #closing: Promise<void> | undefined

  constructor({ settings, clock, logger }: KafkaBusOptions, wire: Wire) {
    this.#clock = clock
    this.#logger = logger
    this.#wire = wire
    this.#link = new Link(wire, clock)
    this.#cluster = new Cluster(wire, logger)
    this.#publisher = new Publisher({
      wire,
      cluster: this.#cluster,
      acks: settings.acks ?? 'all',
      doubt: () => this.#link.doubt(),
      alive: () => this.#link.alive(),
    })
    this.#dead = new DeadLetters({ wire, cluster: this.#cluster, publisher: this.#publisher, clock })
  }

  async publish(topic: Topic, message: Outgoing, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    this.#checkOpen()
    await this.#publisher.publish(kafkaName(topic), message, signal)
  }

  async subscribe(topic: Topic, handler: Handler, options: SubscribeOptions = {}): Promise<Subscription> {
    options.signal?.throwIfAborted()
    this.#checkOpen()
    const name = kafkaName(topic)
    const subscriber = new Subscriber({
      wire: this.#wire,
      cluster: this.#cluster,
      link: this.#link,
      clock: this.#clock,
      logger: this.#logger,
      topic: { ...topic },
      name,
      handler,
      options,
      bury: (message, group, reason, place, cut) => this.#bury(message, group, reason, place, cut),
    })
    this.#subscribers.add(subscriber)
    try {
      await subscriber.start(options.signal)
    } catch (error) {
      this.#subscribers.delete(subscriber)
      if (options.signal?.aborted) throw error
      this.#checkOpen()
      throw toRegentError(error, `subscribing to ${name}`)
    }
    return {
      close: () => {
        this.#subscribers.delete(subscriber)
        return subscriber.close()
      },
    }
  }

  async topics(): Promise<readonly { readonly name: string; readonly subscribers: null; readonly waiting: null }[]> {
    const names = await this.#ask('listing topics', () => this.#wire.admin.listTopics())
    const ours = names.filter((name) => !isInternal(name)).sort()
    return ours.slice(0, MOST_TOPICS).map((name) => ({ name, subscribers: null, waiting: null }))
  }

  lag(): Promise<readonly Lag[]> {
    return this.#ask('asking for the lag', () => Promise.all([...this.#subscribers].map((one) => one.lag())))
  }

  deadLetters(topic?: Topic, limit = 100): Promise<readonly DeadLetter[]> {
    return this.#ask('reading dead letters', () => this.#dead.list(topic, limit))
  }

  async requeue(id: string): Promise<boolean> {
    const letter = await this.#ask('reading dead letters', () => this.#dead.find(id))
    if (!letter) return false
    const { topic, attempt: _, ...message } = letter.message
    await this.#publisher.publish(kafkaName(topic), message, undefined, letter.group)
    await this.#ask('dropping a dead letter', () => this.#dead.drop(id))
    return true
  }

  drop(id: string): Promise<boolean> {
    return this.#ask('dropping a dead letter', () => this.#dead.drop(id))
  }

  status(): BusStatus {
    return this.#link.status
  }

  onStatus(listener: (status: BusStatus) => void): () => void {
    return this.#link.onStatus(listener)
  }

  /** The cluster answers, and so does each of its nodes that can be reached for messages. */
  async check(): Promise<void> {
    this.#checkOpen()
    const look = async () => {
      await this.#wire.ping()
      await this.#wire.admin.connectToBrokers()
    }
    await within(CHECK_MS, 'the broker hangs', look()).catch((error: unknown) => {
      this.#link.doubt()
      throw new RegentError('UNAVAILABLE', `Kafka cannot be used: ${wordsOf(error)}`, { retryAfter: 1, cause: error })
    })
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#subscribers].map((one) => one.close(CLOSE_MS)))
    this.#subscribers.clear()
    this.#publisher.close()
    this.#dead.close()
    this.#cluster.close()
    this.#link.close('the bus is closed')
    await this.#wire.close()
  }

  #checkOpen(): void {
    if (this.#closing) throw new RegentError('UNAVAILABLE', 'the bus is closed')
  }

  async #ask<T>(doing: string, work: () => Promise<T>): Promise<T> {
    this.#checkOpen()
    try {
      return await within(2 * CHECK_MS, doing, work())
    } catch (error) {
      throw toRegentError(error, doing)
    }
  }

  /** Until it is kept somewhere safe, the message holds up its partition. */
  async #bury(message: Incoming, group: string | null, reason: string, place: string, signal: AbortSignal): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      signal.throwIfAborted()
      try {
        await this.#dead.bury(message, group, reason, place)
        this.#logger.warn({ topic: message.topic.name, id: message.id, attempts: message.attempt, reason }, 'a message was given up')
        return
      } catch (error) {
        this.#logger.error(
          { topic: message.topic.name, id: message.id, reason: wordsOf(error) },
          'a message cannot be put to the dead letters yet',
        )
        await this.#clock.sleep(jitter(attempt, 10_000), signal)
      }
    }
  }
}
