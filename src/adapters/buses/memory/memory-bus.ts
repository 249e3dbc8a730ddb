import type { Clock } from '../../../kernel/clock.ts'
import { RegentError } from '../../../kernel/errors.ts'
import type { Logger } from '../../../kernel/logger.ts'
import type { Bus, BusStatus, DeadLetter, Handler, Lag, Outgoing, SubscribeOptions, Subscription, Topic } from '../../../ports/bus.ts'
import { checkBodyBytes, checkEnvelopeBytes } from '../shared/limits.ts'
import { MemoryTopic } from './memory-topic.ts'

/** How long a publish waits for its subscribers, in ms; a handler that publishes to its own topic waits it out. */
const PATIENCE_MS = 5000
/** Topics without subscribers whose dead letters are kept. */
const MOST_FORGOTTEN = 1000

export interface MemoryBusOptions {
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * A bus inside this process. A publish resolves once every subscription of that moment has handled the message or will have it again,
 * so that what a handler stored is stored then; it waits a bounded time for that.
 */
export function createMemoryBus(options: MemoryBusOptions): Bus {
  return new MemoryBus(options)
}

class MemoryBus implements Bus {
  readonly kind = 'memory'
  readonly can = { durable: false, ordered: true, groups: true, replays: false, pipelined: false }
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #topics = new Map<string, MemoryTopic>()
  readonly #subscriptions = new Set<Subscription>()
  #closed = false
  readonly #since: number

  constructor({ clock, logger }: MemoryBusOptions) {
    this.#clock = clock
    this.#since = clock.now()
    this.#logger = logger
  }

  async publish(topic: Topic, message: Outgoing, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    this.#checkOpen()
    const size = sizeOf(message)
    const tried = this.#topics.get(keyOf(topic))?.publish({ ...message }, size)
    if (tried) await this.#patiently(tried, signal)
  }

  async subscribe(topic: Topic, handler: Handler, options: SubscribeOptions = {}): Promise<Subscription> {
    this.#checkOpen()
    const key = keyOf(topic)
    const found = this.#topics.get(key) ?? new MemoryTopic({ ...topic }, this.#clock, (letter) => this.#tell(letter))
    this.#topics.set(key, found)
    const { concurrency = 1, maxAttempts = 5, exclusive = false } = options
    const leave = found.subscribe(options.group, { handler, concurrency, maxAttempts, exclusive })
    const subscription: Subscription = {
      close: async () => {
        this.#subscriptions.delete(subscription)
        const idle = leave()
        this.#tidy(key, found)
        await idle
        this.#tidy(key, found)
      },
    }
    this.#subscriptions.add(subscription)
    return subscription
  }

  async topics(): Promise<readonly { readonly name: string; readonly subscribers: number; readonly waiting: number }[]> {
    const all = [...this.#topics.values()].map(({ topic, subscribers, waiting }) => ({ name: topic.name, subscribers, waiting }))
    return all.sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  async lag(): Promise<readonly Lag[]> {
    return [...this.#topics.values()].flatMap((topic) => topic.lag())
  }

  async deadLetters(topic?: Topic, limit = 100): Promise<readonly DeadLetter[]> {
    const all = [...this.#topics.values()].filter((one) => topic === undefined || isOf(one.topic, topic)).flatMap(({ dead }) => [...dead])
    return all.sort((a, b) => a.at - b.at).slice(-limit)
  }

  async requeue(id: string): Promise<boolean> {
    this.#checkOpen()
    return [...this.#topics.values()].some((topic) => topic.exhume(id, true))
  }

  async drop(id: string): Promise<boolean> {
    return [...this.#topics.values()].some((topic) => topic.exhume(id, false))
  }

  status(): BusStatus {
    return { connected: !this.#closed, since: this.#since, reason: this.#closed ? 'the bus is closed' : null, reconnects: 0 }
  }

  /** It is there as long as this process is. */
  onStatus(): () => void {
    return () => {}
  }

  async check(): Promise<void> {
    this.#checkOpen()
  }

  async close(): Promise<void> {
    this.#closed = true
    const ended = Promise.all([...this.#subscriptions].map((subscription) => subscription.close()))
    await this.#patiently(ended)
    this.#topics.clear()
  }

  #checkOpen(): void {
    if (this.#closed) throw new RegentError('UNAVAILABLE', 'the bus is closed')
  }

  #tell({ message, reason }: DeadLetter): void {
    this.#logger.warn({ topic: message.topic.name, id: message.id, attempts: message.attempt, reason }, 'a message was given up')
  }

  /** Forgets a topic that is empty, and the oldest of those that are kept for their dead letters alone. */
  #tidy(key: string, topic: MemoryTopic): void {
    if (this.#topics.get(key) !== topic) return
    if (topic.empty) this.#topics.delete(key)
    const silent = [...this.#topics].filter(([, one]) => one.subscribers === 0)
    for (const [name] of silent.slice(0, Math.max(0, silent.length - MOST_FORGOTTEN))) this.#topics.delete(name)
  }

  /** Waits for it, but not for long. Rejects only when the signal says so. */
  #patiently(work: Promise<unknown>, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = () => {
        cancel()
        signal?.removeEventListener('abort', abort)
        resolve()
      }
      const abort = () => {
        cancel()
        reject(signal?.reason)
      }
      const cancel = this.#clock.after(PATIENCE_MS, end)
      signal?.addEventListener('abort', abort, { once: true })
      void work.then(end)
    })
  }
}

const isOf = ({ name, exchange }: Topic, wanted: Topic) =>
  name === wanted.name && (wanted.exchange === undefined || wanted.exchange === exchange)

function keyOf({ name, exchange }: Topic): string {
  return JSON.stringify([exchange ?? null, name])
}

function sizeOf(message: Outgoing): number {
  const body = Buffer.byteLength(message.body)
  const { body: _, ...envelope } = message
  const rest = Buffer.byteLength(JSON.stringify(envelope))
  checkBodyBytes(body)
  checkEnvelopeBytes(rest)
  return body + rest
}
