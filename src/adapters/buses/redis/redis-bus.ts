import type { BrokerSettings } from '../../../contract/brokers.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { RegentError } from '../../../kernel/errors.ts'
import type { Logger } from '../../../kernel/logger.ts'
import type { Bus, BusStatus, DeadLetter, Handler, Lag, Outgoing, SubscribeOptions, Subscription, Topic } from '../../../ports/bus.ts'
import { type ChannelSubscription, Channels } from './channels.ts'
import { Connection } from './connection.ts'
import { BLOCK_MS, type Context } from './context.ts'
import { Graveyard } from './graveyard.ts'
import { GroupSubscription } from './group-subscription.ts'
import { checkSize, fieldsOf, keyOf } from './messages.ts'
import { type Openers, openersOf } from './open-link.ts'
import { overview, type TopicView } from './overview.ts'
import { explain, Refusal } from './refusal.ts'
import { SoloSubscription } from './solo-subscription.ts'
import { MOST_ENTRIES } from './trimming.ts'

/** How long handlers have to end when the bus closes, in ms. */
const PATIENCE_MS = 5000
const AGAIN_MS = 200

export interface RedisBusOptions {
  readonly settings: BrokerSettings
  readonly clock: Clock
  readonly logger: Logger
}

/** A bus over Redis, or over a Redis Cluster. Rejects with INVALID where the settings are not right. */
export async function createRedisBus(options: RedisBusOptions): Promise<Bus> {
  return new RedisBus(options, await openersOf(options.settings))
}

type Open = SoloSubscription | GroupSubscription | ChannelSubscription

/** Topics are streams, one key each, of the topic's name; fleeting ones are channels. */
class RedisBus implements Bus {
  readonly kind = 'redis'
  readonly can = { durable: true, ordered: true, groups: true, replays: true, pipelined: false }
  readonly #clock: Clock
  readonly #main: Connection
  readonly #context: Context
  readonly #channels: Channels
  readonly #subscriptions = new Set<Open>()
  readonly #ended = new AbortController()
  #closed: Promise<void> | undefined

  constructor({ settings, clock, logger }: RedisBusOptions, { commands, channels }: Openers) {
    const common = { open: commands, clock, inOrder: settings.cluster !== true }
    this.#clock = clock
    this.#main = new Connection(common)
    this.#channels = new Channels({ open: channels, clock, logger })
    this.#context = {
      clock,
      logger,
      main: this.#main,
      graveyard: new Graveyard(this.#main),
      openReader: () => new Connection({ ...common, blocking: BLOCK_MS }),
    }
    this.#main.onStatus(({ connected, reason }) => {
      if (connected) logger.info({}, 'Redis is connected')
      else if (!this.#closed) logger.warn({ reason }, 'Redis is away')
    })
  }

  async publish(topic: Topic, message: Outgoing, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    this.#checkOpen()
    checkSize(message)
    const key = keyOf(topic)
    const args =
      topic.fleeting === true ? ['PUBLISH', key, message.body] : ['XADD', key, 'MAXLEN', '~', MOST_ENTRIES, '*', ...fieldsOf(message)]
    const sent = this.#main.send(key, args)
    try {
      await (signal ? unlessAborted(sent, signal) : sent)
    } catch (error) {
      throw explain(error, `a message to topic ${topic.name}`)
    }
  }

  async subscribe(topic: Topic, handler: Handler, options: SubscribeOptions = {}): Promise<Subscription> {
    this.#checkOpen()
    const opened = await this.#open({ ...topic }, handler, options)
    if (this.#closed) {
      await opened.close()
      throw new RegentError('UNAVAILABLE', 'the bus is closed')
    }
    this.#subscriptions.add(opened)
    return {
      close: async () => {
        this.#subscriptions.delete(opened)
        await opened.close()
      },
    }
  }

  async topics(): Promise<readonly TopicView[]> {
    return this.#asked('the list of topics', () =>
      overview(
        this.#main,
        [...this.#subscriptions].map(({ key }) => key),
      ),
    )
  }

  async lag(): Promise<readonly Lag[]> {
    return Promise.all([...this.#subscriptions].map((one) => one.lag()))
  }

  async deadLetters(topic?: Topic, limit = 100): Promise<readonly DeadLetter[]> {
    return this.#asked('dead letters', () => this.#context.graveyard.newest(topic && keyOf(topic), limit))
  }

  async requeue(id: string): Promise<boolean> {
    return this.#asked('dead letters', () => this.#context.graveyard.requeue(id))
  }

  async drop(id: string): Promise<boolean> {
    return this.#asked('dead letters', () => this.#context.graveyard.drop(id))
  }

  status(): BusStatus {
    return this.#main.status
  }

  onStatus(listener: (status: BusStatus) => void): () => void {
    return this.#main.onStatus(listener)
  }

  async check(): Promise<void> {
    this.#checkOpen()
    try {
      await this.#main.send(undefined, ['PING'])
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      throw new RegentError('UNAVAILABLE', `Redis refuses: ${error.message}`)
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#ended.abort(new RegentError('UNAVAILABLE', 'the bus is closed'))
    const all = Promise.all([...this.#subscriptions].map((one) => one.close()))
    const late = new AbortController()
    await Promise.race([all, this.#clock.sleep(PATIENCE_MS, late.signal).catch(() => {})])
    late.abort()
    this.#subscriptions.clear()
    this.#channels.close()
    this.#main.close()
  }

  async #open(topic: Topic, handler: Handler, options: SubscribeOptions): Promise<Open> {
    const { group, concurrency = 1, maxAttempts = 5, from = 'latest', exclusive = false, signal } = options
    const key = keyOf(topic)
    const ended = signal ? AbortSignal.any([signal, this.#ended.signal]) : this.#ended.signal
    if (topic.fleeting === true) return this.#channels.subscribe(topic, key, handler, concurrency, ended)
    const subscriber = { topic, key, handler, concurrency, maxAttempts }
    const opened =
      group === undefined
        ? new SoloSubscription(this.#context, { ...subscriber, from })
        : new GroupSubscription(this.#context, { ...subscriber, group, from, exclusive })
    try {
      await this.#atLast(topic, ended, () => opened.begin())
    } catch (error) {
      void opened.close()
      throw error
    }
    return opened
  }

  /** However long Redis is away; rejects where it refuses for good. */
  async #atLast(topic: Topic, ended: AbortSignal, work: () => Promise<void>): Promise<void> {
    for (;;) {
      await this.#main.up(ended)
      try {
        return await unlessAborted(work(), ended)
      } catch (error) {
        ended.throwIfAborted()
        const told = explain(error, `a subscription of topic ${topic.name}`)
        if (!(told instanceof RegentError) || told.code !== 'UNAVAILABLE') throw told
        await this.#clock.sleep(AGAIN_MS, ended)
      }
    }
  }

  async #asked<T>(what: string, work: () => Promise<T>): Promise<T> {
    this.#checkOpen()
    try {
      return await work()
    } catch (error) {
      throw explain(error, what)
    }
  }

  #checkOpen(): void {
    if (this.#closed) throw new RegentError('UNAVAILABLE', 'the bus is closed')
  }
}

function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
