import type { Clock } from '../../../kernel/clock.ts'
import { reasonOf } from '../../../kernel/errors.ts'
import type { Logger } from '../../../kernel/logger.ts'
import { type Handler, type Incoming, type SubscribeOptions, type Topic, UNNAMED } from '../../../ports/bus.ts'
import type { Connection } from './connection.ts'
import type { Delivery } from './delivery.ts'
import { sourceOf } from './dialect.ts'
import { cutOf, incomingOf, tooLarge } from './headers.ts'
import { Recent } from './recent.ts'

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 10_000
const BURY_AGAIN_MS = 1000
/** Handed out by the broker beyond what is being handled, so that the next one is there when one is done. */
const AHEAD = 16
const MOST_SETTLED = 1000

export interface ConsumerOptions {
  readonly topic: Topic
  readonly handler: Handler
  readonly options: SubscribeOptions
  /** Resolves when the broker keeps it. `cut`: of so many bytes was its body, which is not there. */
  readonly bury: (message: Incoming, group: string | null, reason: string, cut?: number) => Promise<void>
  readonly clock: Clock
  readonly logger: Logger
}

/** A message that is being handled. A lost connection brings it once more: then both deliveries are acknowledged. */
interface Work {
  readonly incoming: Incoming
  /** The bytes of a body that was too large. */
  readonly cut: number | undefined
  readonly deliveries: Delivery[]
}

/**
 * Handles what one subscription brings, over any number of connections. A message is held at the broker while it is tried; what is not done
 * when the connection ends goes back to the broker.
 */
export class Consumer {
  readonly #options: ConsumerOptions
  readonly #concurrency: number
  readonly #maxAttempts: number
  readonly #running = new Set<Work>()
  readonly #settled = new Recent(MOST_SETTLED)
  readonly #stop = new AbortController()
  readonly #idle = Promise.withResolvers<void>()
  #waiting: Delivery[] = []

  constructor(options: ConsumerOptions) {
    this.#options = options
    this.#concurrency = options.options.concurrency ?? 1
    this.#maxAttempts = options.options.maxAttempts ?? 5
  }

  /** Subscribes on a new connection. */
  async attach(connection: Connection): Promise<void> {
    const { topic, options } = this.#options
    const source = sourceOf(connection.broker, topic, options, this.#concurrency + AHEAD)
    if (source.lock) await connection.subscribe('lock', source.lock.destination, source.lock.headers, () => {})
    await connection.subscribe('regent', source.destination, source.headers, (delivery) => this.#take(delivery))
  }

  /** The connection is over: what was not begun comes again. */
  detach(): void {
    this.#waiting = []
  }

  /** Begins nothing more; resolves when the handler is idle. */
  stop(): Promise<void> {
    if (!this.#stop.signal.aborted) {
      this.#stop.abort(new Error('the subscription was closed'))
      this.#waiting = []
      if (this.#running.size === 0) this.#idle.resolve()
    }
    return this.#idle.promise
  }

  #take(delivery: Delivery): void {
    if (this.#stop.signal.aborted || this.#isKnown(delivery)) return
    this.#waiting.push(delivery)
    this.#next()
  }

  /** Whether it comes again though it is being handled or was: a lost connection took the acknowledgement with it. */
  #isKnown(delivery: Delivery): boolean {
    if (delivery.headers.redelivered !== 'true') return false
    const { id } = this.#incoming(delivery)
    const same = [...this.#running].find((work) => work.incoming.id === id && !isHeld(work))
    if (same) same.deliveries.push(delivery)
    else if (this.#settled.has(id)) delivery.ack()
    else return false
    return true
  }

  #next(): void {
    while (this.#running.size < this.#concurrency && !this.#stop.signal.aborted) {
      const delivery = this.#waiting.shift()
      if (!delivery) return
      void this.#work({ incoming: this.#incoming(delivery), cut: cutOf(delivery), deliveries: [delivery] })
    }
  }

  #incoming(delivery: Delivery): Incoming {
    return incomingOf(this.#options.topic, delivery, delivery.headers.redelivered === 'true' ? 2 : 1)
  }

  async #work(work: Work): Promise<void> {
    this.#running.add(work)
    // A turn of its own: a handler may publish, subscribe and close.
    await undefined
    if (await this.#untilDone(work)) this.#settle(work)
    this.#running.delete(work)
    if (this.#stop.signal.aborted && this.#running.size === 0) this.#idle.resolve()
    else this.#next()
  }

  /** Whether it was handled or buried; otherwise it is the broker's again. */
  async #untilDone(work: Work): Promise<boolean> {
    if (work.cut !== undefined) return this.#bury(work, { ...work.incoming, attempt: 0 }, tooLarge(work.cut))
    for (let attempt = work.incoming.attempt; ; attempt += 1) {
      const message = { ...work.incoming, attempt }
      try {
        await this.#options.handler(message, this.#stop.signal)
        return true
      } catch (error) {
        if (this.#stop.signal.aborted) return false
        if (attempt >= this.#maxAttempts) return this.#bury(work, message, reasonOf(error))
      }
      const tried = attempt - work.incoming.attempt
      if (!(await this.#pause(Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** tried))) || !isHeld(work)) return false
    }
  }

  async #bury(work: Work, message: Incoming, reason: string): Promise<boolean> {
    const { topic, options, logger } = this.#options
    logger.warn({ topic: topic.name, id: message.id, attempts: message.attempt, reason }, 'a message was given up')
    while (isHeld(work)) {
      try {
        await this.#options.bury(message, options.group ?? null, reason, work.cut)
        return true
      } catch (error) {
        logger.warn({ topic: topic.name, id: message.id, reason: reasonOf(error) }, 'a dead letter could not be kept yet')
      }
      if (!(await this.#pause(BURY_AGAIN_MS))) return false
    }
    return false
  }

  #settle({ incoming, deliveries }: Work): void {
    if (!incoming.id.startsWith(UNNAMED)) this.#settled.add(incoming.id)
    for (const delivery of deliveries) delivery.ack()
  }

  /** false: the subscription was closed meanwhile. */
  async #pause(ms: number): Promise<boolean> {
    return this.#options.clock.sleep(ms, this.#stop.signal).then(
      () => true,
      () => false,
    )
  }
}

const isHeld = ({ deliveries }: Work): boolean => deliveries.some(({ connection }) => connection.alive)
