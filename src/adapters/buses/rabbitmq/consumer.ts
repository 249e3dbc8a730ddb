import type { Clock } from '../../../kernel/clock.ts'
import type { Channel, RawMessage } from './library.ts'
import { unavailable, within } from './troubles.ts'
import type { Delivery, Session } from './work.ts'

export interface ConsumerOptions {
  readonly concurrency: number
  readonly prefetch: number
  readonly exclusive: boolean
  /**
   * The queue counts how often a message was given out, also of those that were only on their way to a handler. Then no more are asked
   * for than are handled at once, as long as there are some that were given out before: so those behind a message that kills its
   * handler are not counted with it.
   */
  readonly counts: boolean
  /** Whether another consumer may take this one's place. */
  readonly mayChange: boolean
  readonly clock: Clock
  readonly onMessage: (session: Session, raw: RawMessage) => void
  /** The channel ended before the broker was told that this is done with. */
  readonly onUntold: (delivery: Delivery) => void
}

const CANCEL_MS = 2000

/** The consumer on one channel, until that is closed. */
export class Consumer implements Session {
  readonly #channel: Channel
  readonly #options: ConsumerOptions
  readonly #ended = Promise.withResolvers<void>()
  #queue = ''
  #tags: string[] = []
  /** Only as much is asked for as is handled at once. */
  #careful = false
  #changing: Promise<void> = Promise.resolve()
  #cancelled = false
  /** Delivered and not acknowledged, by tag, in order; what is done with and not told yet is there itself. */
  readonly #held = new Map<number, Delivery | undefined>()
  #last = 0
  /** Tags that are done with, in order of that, and not told. */
  #done: number[] = []
  /** A delivery was not seen here: nothing is acknowledged that was not handled, so each by itself. */
  #singly = false
  #drained: PromiseWithResolvers<void> | undefined

  constructor(channel: Channel, options: ConsumerOptions) {
    this.#channel = channel
    this.#options = options
    channel.on('close', () => {
      this.#ended.resolve()
      this.#drained?.resolve()
      this.#tell()
    })
    channel.on('error', () => {})
    // The queue was deleted, or its leader moved.
    channel.on('basic.cancel', () => void this.close())
  }

  get queue(): string {
    return this.#queue
  }

  get alive(): boolean {
    return this.#channel.active
  }

  get ended(): Promise<void> {
    return this.#ended.promise
  }

  async start(queue: string): Promise<void> {
    const { concurrency, prefetch, exclusive, counts } = this.#options
    this.#queue = queue
    this.#careful = counts
    await this.#consume(counts ? concurrency : prefetch, exclusive)
  }

  /** The broker is told at the end of this turn, of all that came to an end in it. */
  acknowledge(delivery: Delivery): void {
    const { deliveryTag } = delivery.raw
    this.#held.set(deliveryTag, delivery)
    if (this.#done.push(deliveryTag) === 1) setImmediate(() => this.#tell())
  }

  /** No more will come. */
  async cancel(): Promise<void> {
    this.#cancelled = true
    this.#drained?.resolve()
    this.#tell()
    await this.#briefly(this.#changing)
    for (const consumerTag of this.#tags.splice(0)) if (this.alive) await this.#briefly(this.#channel.basicCancel({ consumerTag }))
  }

  /** What was not acknowledged goes back to the queue. */
  async close(): Promise<void> {
    this.#tell()
    if (this.alive) await this.#briefly(this.#channel.close())
    this.#ended.resolve()
  }

  async #consume(prefetchCount: number, exclusive: boolean): Promise<void> {
    const channel = this.#channel
    await channel.basicQos({ prefetchCount })
    const { consumerTag } = await channel.basicConsume({ queue: this.#queue, exclusive }, (raw) => this.#got(raw as RawMessage))
    this.#tags.push(consumerTag)
  }

  #got(raw: RawMessage): void {
    this.#held.set(raw.deliveryTag, undefined)
    if (raw.deliveryTag !== this.#last + 1) this.#singly = true
    this.#last = raw.deliveryTag
    if (this.#careful && !raw.redelivered && this.#options.mayChange && !this.#cancelled) {
      this.#careful = false
      this.#changing = this.#quicken().catch(() => this.close())
    }
    this.#options.onMessage(this, raw)
  }

  /** Of all that is done with. Those before which nothing else is held take one acknowledgement together. */
  #tell(): void {
    const done = this.#done
    if (done.length === 0) return
    this.#done = []
    if (this.alive) this.#acknowledge(done)
    else this.#leaveUntold(done)
  }

  #acknowledge(done: readonly number[]): void {
    const upTo = this.#singly ? 0 : this.#doneUpTo()
    if (upTo > 0) this.#channel.basicAck({ deliveryTag: upTo, multiple: true })
    for (const deliveryTag of done) if (this.#held.delete(deliveryTag)) this.#channel.basicAck({ deliveryTag })
    if (this.#held.size === 0) this.#drained?.resolve()
  }

  /** Forgets them; 0: the oldest is not done with. */
  #doneUpTo(): number {
    let last = 0
    for (const [tag, delivery] of this.#held) {
      if (!delivery) break
      this.#held.delete(tag)
      last = tag
    }
    return last
  }

  #leaveUntold(done: readonly number[]): void {
    for (const tag of done) {
      const delivery = this.#held.get(tag)
      if (delivery) this.#options.onUntold(delivery)
    }
  }

  /** Asks for more, once nothing is held: what two consumers held would go back to the queue in another order. */
  async #quicken(): Promise<void> {
    for (const consumerTag of this.#tags.splice(0)) await this.#channel.basicCancel({ consumerTag })
    this.#drained = Promise.withResolvers<void>()
    if (this.#held.size > 0) await this.#drained.promise
    if (!this.#cancelled && this.alive) await this.#consume(this.#options.prefetch, false)
  }

  /** A broker that hangs is not waited for. */
  async #briefly(work: Promise<unknown>): Promise<void> {
    const { clock } = this.#options
    await within(work, { clock, ms: CANCEL_MS, late: () => unavailable('RabbitMQ does not answer') }).catch(() => {})
  }
}
