import type { Clock } from '../../../kernel/clock.ts'
import { reasonOf } from '../../../kernel/errors.ts'
import type { Logger } from '../../../kernel/logger.ts'
import type { Handler, SubscribeOptions, Subscription, Topic } from '../../../ports/bus.ts'
import { Consumer } from './consumer.ts'
import { declare, isOtherKind } from './declare.ts'
import type { Connection } from './library.ts'
import { closeQuietly, type Link } from './link.ts'
import { unpack } from './messages.ts'
import { type QueuePlan, queuePlan } from './names.ts'
import { isTaken, jitter, refusal, unavailable, within } from './troubles.ts'
import { type Delivery, Work } from './work.ts'

/** What comes beyond those that are handled at once; the contract of the doors says 10. */
const AHEAD = 32
const DOORS_AHEAD = 10
/** Who stands by for a queue that another has looks again after this, in ms, at random. */
const STAND_BY_MS = [250, 1000] as const

export interface SubscriptionOptions {
  readonly link: Link
  readonly topic: Topic
  readonly handler: Handler
  readonly options: SubscribeOptions
  readonly clock: Clock
  readonly logger: Logger
  readonly bury: (subscription: RabbitSubscription, delivery: Delivery, attempts: number, reason: string) => Promise<void>
}

/** One subscriber: a queue, a consumer of it that is made anew after each loss, and the work on what it brings. */
export class RabbitSubscription implements Subscription {
  readonly topic: Topic
  readonly group: string | null
  readonly plan: QueuePlan
  readonly #options: SubscriptionOptions
  readonly #work: Work
  readonly #stop = new AbortController()
  readonly #ready = Promise.withResolvers<void>()
  #subscribed = false
  #consumer: Consumer | undefined
  #ended: Promise<void> | undefined
  #closing: Promise<void> | undefined
  #failures = 0
  #arguments: QueuePlan['arguments']

  /** Throws INVALID for names that AMQP cannot carry. */
  constructor(options: SubscriptionOptions) {
    this.#options = options
    this.topic = { ...options.topic }
    this.group = options.options.group ?? null
    this.plan = queuePlan(this.topic, options.options)
    this.#arguments = this.plan.arguments
    const { concurrency = 1, maxAttempts = 5 } = options.options
    this.#work = new Work({
      handler: options.handler,
      concurrency,
      maxAttempts,
      clock: options.clock,
      bury: (...words) => options.bury(this, ...words),
    })
  }

  /** The queue that it has at present; undefined while the broker is away. */
  get queue(): string | undefined {
    return this.#consumer?.queue
  }

  /** Delivered here and not acknowledged. */
  get held(): number {
    return this.#work.size
  }

  /** Resolves once the broker has it, or another has the queue that this one stands by for. */
  async start(): Promise<void> {
    const { signal } = this.#options.options
    const abort = () => {
      this.#ready.reject(signal?.reason)
      this.#stop.abort(signal?.reason)
    }
    signal?.throwIfAborted()
    signal?.addEventListener('abort', abort, { once: true })
    this.#ended = this.#run()
    try {
      await this.#ready.promise
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#stop.abort(unavailable('the subscription was closed'))
    this.#ready.reject(unavailable('the bus is closed'))
    this.#ready.promise.catch(() => {})
    await this.#consumer?.cancel()
    await this.#work.close()
    await this.#consumer?.close()
    await this.#ended
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      let pause = 0
      try {
        const connection = await this.#options.link.connection(signal)
        await this.#session(connection)
        pause = this.#options.link.up ? jitter(1) : 0
      } catch (error) {
        if (signal.aborted) return
        if (this.#takesOtherKind(error)) continue
        const refused = this.#explain(error)
        if (refused && !this.#subscribed) return this.#ready.reject(refused)
        pause = this.#pauseAfter(error)
      }
      await this.#options.clock.sleep(pause, signal).catch(() => {})
    }
  }

  /** A broker without quorum queues, or a queue that was made by one, has a classic one. */
  #takesOtherKind(error: unknown): boolean {
    const { otherwise } = this.plan
    if (otherwise === undefined || this.#arguments === otherwise || !isOtherKind(error)) return false
    this.#arguments = otherwise
    return true
  }

  #explain(error: unknown) {
    const refused = refusal(error, this.plan.name === '' ? `exchange ${this.plan.place.exchange}` : `queue ${this.plan.name}`)
    if (refused && this.#subscribed)
      this.#options.logger.error({ topic: this.topic.name, reason: reasonOf(refused) }, 'a subscription is refused, and tried again')
    return refused
  }

  #pauseAfter(error: unknown): number {
    if (!isTaken(error)) return this.#options.link.up ? jitter(++this.#failures) : 0
    this.#begun()
    const [least, most] = STAND_BY_MS
    return least + Math.random() * (most - least)
  }

  /** Resolves when the consumer has ended. */
  async #session(connection: Connection): Promise<void> {
    const { link, options } = this.#options
    const { concurrency = 1, exclusive = false, queue } = options
    const channel = await link.channel(connection)
    const consumer = new Consumer(channel, {
      concurrency,
      prefetch: queue ? Math.max(concurrency, DOORS_AHEAD) : concurrency + AHEAD,
      exclusive: exclusive && this.plan.otherwise === undefined,
      counts: 'x-delivery-limit' in this.#arguments,
      mayChange: !exclusive,
      clock: this.#options.clock,
      onMessage: (session, raw) => this.#work.take({ session, raw, message: unpack(raw, this.topic, queue !== undefined) }),
      onUntold: (delivery) => this.#work.untold(delivery),
    })
    try {
      const name = await this.#patiently(connection, declare(channel, this.plan, this.#arguments))
      this.#stop.signal.throwIfAborted()
      this.#consumer = consumer
      await this.#patiently(connection, consumer.start(name))
      this.#begun()
      this.#failures = 0
      await consumer.ended
    } catch (error) {
      closeQuietly(channel)
      throw error
    } finally {
      this.#consumer = this.#stop.signal.aborted ? this.#consumer : undefined
      this.#work.forget(consumer)
    }
  }

  /** A queue that hangs is tried again; the others go on. */
  #patiently<T>(connection: Connection, work: Promise<T>): Promise<T> {
    const { clock, link } = this.#options
    const late = () => {
      void link.doubt(connection)
      return unavailable(`RabbitMQ does not answer for the queue of topic ${this.topic.name}`)
    }
    return within(work, { clock, late })
  }

  #begun(): void {
    this.#subscribed = true
    this.#ready.resolve()
  }
}
