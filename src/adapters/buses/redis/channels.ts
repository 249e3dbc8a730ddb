import { randomUUID } from 'node:crypto'
import type { Clock } from '../../../kernel/clock.ts'
import { reasonOf } from '../../../kernel/errors.ts'
import type { Logger } from '../../../kernel/logger.ts'
import type { Handler, Lag, Subscription, Topic } from '../../../ports/bus.ts'
import { Connection } from './connection.ts'
import type { OpenLink } from './open-link.ts'

/** What one slow listener may have waiting; beyond it, messages are dropped. */
const MOST_WAITING = 1000
const MOST_WAITING_CHARACTERS = 8 * 1024 * 1024
const DROPS_TOLD_EVERY = 1000
const RETRY_MS = 500

export interface ChannelsOptions {
  readonly open: OpenLink
  readonly clock: Clock
  readonly logger: Logger
}

/** Pub/sub on a connection of its own, made when it is first needed: what Redis promises, no more. */
export class Channels {
  readonly #o: ChannelsOptions
  readonly #listeners = new Map<string, Set<Listener>>()
  #connection: Connection | undefined
  #closed = false

  constructor(options: ChannelsOptions) {
    this.#o = options
  }

  /** Resolves once Redis has the subscription. */
  async subscribe(
    topic: Topic,
    channel: string,
    handler: Handler,
    concurrency: number,
    signal?: AbortSignal,
  ): Promise<ChannelSubscription> {
    const connection = this.#connect()
    const listener = new Listener(this.#o.logger, topic, channel, handler, concurrency)
    const known = this.#listeners.get(channel)
    const all = known ?? new Set()
    all.add(listener)
    this.#listeners.set(channel, all)
    try {
      await this.#subscribed(connection, channel, signal)
    } catch (error) {
      this.#remove(channel, listener)
      throw error
    }
    return {
      key: channel,
      lag: async () => ({ topic: topic.name, group: null, waiting: null }),
      close: async () => {
        this.#remove(channel, listener)
        await listener.close()
      },
    }
  }

  close(): void {
    this.#closed = true
    this.#connection?.close()
  }

  #connect(): Connection {
    if (this.#connection) return this.#connection
    const { open, clock } = this.#o
    const connection = new Connection({ open, clock, inOrder: true })
    this.#connection = connection
    connection.onStatus(({ connected }) => {
      if (connected) for (const channel of this.#listeners.keys()) void this.#resubscribe(connection, channel)
    })
    if (this.#closed) connection.close()
    return connection
  }

  async #subscribed(connection: Connection, channel: string, signal?: AbortSignal): Promise<void> {
    for (;;) {
      await connection.up(signal)
      try {
        return await this.#ask(connection, channel)
      } catch (error) {
        if (connection.status.connected || connection.closed) throw error
      }
    }
  }

  async #resubscribe(connection: Connection, channel: string): Promise<void> {
    while (connection.status.connected && this.#listeners.has(channel)) {
      try {
        return await this.#ask(connection, channel)
      } catch (error) {
        this.#o.logger.debug({ channel, reason: reasonOf(error) }, 'a channel could not be subscribed again')
        await this.#o.clock.sleep(RETRY_MS)
      }
    }
  }

  /** One callback for a channel and link: the library takes the same one once. */
  #ask(connection: Connection, channel: string): Promise<void> {
    return connection.with((link) => link.subscribe(channel, this.#heard))
  }

  readonly #heard = (body: string, channel: string): void => {
    for (const listener of this.#listeners.get(channel) ?? []) listener.hear(body)
  }

  #remove(channel: string, listener: Listener): void {
    const all = this.#listeners.get(channel)
    all?.delete(listener)
    if (all === undefined || all.size > 0) return
    this.#listeners.delete(channel)
    this.#connection?.with((link) => link.unsubscribe(channel)).catch(() => {})
  }
}

export interface ChannelSubscription extends Subscription {
  readonly key: string
  lag(): Promise<Lag>
}

class Listener {
  readonly #logger: Logger
  readonly #topic: Topic
  readonly #channel: string
  readonly #handler: Handler
  readonly #concurrency: number
  readonly #stop = new AbortController()
  readonly #idle = Promise.withResolvers<void>()
  #waiting: string[] = []
  #characters = 0
  #running = 0
  #dropped = 0

  constructor(logger: Logger, topic: Topic, channel: string, handler: Handler, concurrency: number) {
    this.#logger = logger
    this.#topic = topic
    this.#channel = channel
    this.#handler = handler
    this.#concurrency = concurrency
  }

  hear(body: string): void {
    if (this.#stop.signal.aborted) return
    if (this.#waiting.length >= MOST_WAITING || this.#characters > MOST_WAITING_CHARACTERS) this.#drop()
    else {
      this.#waiting.push(body)
      this.#characters += body.length
      this.#dispatch()
    }
  }

  async close(): Promise<void> {
    this.#stop.abort(new Error('the subscription was closed'))
    this.#waiting = []
    if (this.#running > 0) await this.#idle.promise
  }

  #drop(): void {
    if (this.#dropped % DROPS_TOLD_EVERY === 0)
      this.#logger.warn(
        { channel: this.#channel, dropped: this.#dropped + 1 },
        'a listener is too slow for its channel: messages are dropped',
      )
    this.#dropped += 1
  }

  #dispatch(): void {
    while (this.#running < this.#concurrency) {
      const body = this.#waiting.shift()
      if (body === undefined) return
      this.#characters -= body.length
      this.#running += 1
      void this.#handle(body)
    }
  }

  async #handle(body: string): Promise<void> {
    try {
      await undefined
      const message = { id: `${this.#channel}/${randomUUID()}`, body, topic: this.#topic, attempt: 1 }
      await this.#handler(message, this.#stop.signal)
    } catch (error) {
      this.#logger.warn({ channel: this.#channel, reason: reasonOf(error) }, 'a message of a channel was not handled and is gone')
    }
    this.#running -= 1
    if (this.#running === 0 && this.#stop.signal.aborted) this.#idle.resolve()
    this.#dispatch()
  }
}
