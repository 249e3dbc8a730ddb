import type { MessageRecord } from '@platformatic/kafka'
import { RegentError } from '../../../kernel/errors.ts'
import type { Outgoing } from '../../../ports/bus.ts'
import { checkBodyBytes, checkEnvelopeBytes } from '../shared/limits.ts'
import type { Cluster } from './cluster.ts'
import { idsOf, isForGood, toRegentError, within } from './failures.ts'
import { toRecord } from './records.ts'
import type { Line, Wire } from './wire.ts'

/** Of one request for one partition, in bytes: brokers take 1 MiB where nobody said otherwise. */
const MOST_BATCH = 900_000
const MOST_AT_ONCE = 5000
/** What waits to be sent, in bytes; beyond it a publish is refused. */
const MOST_WAITING = 64 * 1024 * 1024
/** How long a message may take, in ms. */
const PATIENCE_MS = 4700
const PAUSE_MS = 100

interface Entry {
  readonly message: Outgoing
  readonly group: string | null | undefined
  readonly size: number
  readonly deadline: number
  readonly signal: AbortSignal | undefined
  readonly done: PromiseWithResolvers<void>
  partition: number | undefined
}

export interface PublisherOptions {
  readonly wire: Wire
  readonly cluster: Cluster
  readonly acks: 'all' | 'leader'
  /** Told of each failure that may mean that the broker is away. */
  readonly doubt: () => void
  readonly alive: () => void
}

/**
 * Sends what is published: while one request of a topic is under way the next is gathered, so that the order of publishing holds and
 * many go together.
 */
export class Publisher {
  readonly #options: PublisherOptions
  readonly #line: Line
  readonly #topics = new Map<string, Outbound>()
  #waiting = 0
  #closed = false

  constructor(options: PublisherOptions) {
    this.#options = options
    this.#line = options.wire.line(PATIENCE_MS)
  }

  /** `group`: the only one that it is for; null for subscribers without one. Throws at once what cannot be sent. */
  publish(topic: string, message: Outgoing, signal?: AbortSignal, group?: string | null): Promise<void> {
    const size = checkedSize(message)
    if (this.#closed) throw new RegentError('UNAVAILABLE', 'the bus is closed')
    if (this.#waiting + size > MOST_WAITING)
      throw new RegentError('UNAVAILABLE', `too much waits to be sent to Kafka: ${this.#waiting} bytes`, { retryAfter: 1 })
    const done = Promise.withResolvers<void>()
    const outbound = this.#topics.get(topic) ?? this.#open(topic)
    this.#waiting += size
    outbound.add({ message, group, size, deadline: performance.now() + PATIENCE_MS, signal, done, partition: undefined })
    return signal ? givenUpBy(signal, done) : done.promise
  }

  #open(topic: string): Outbound {
    const outbound = new Outbound(topic, this.#options, this.#line, {
      empty: () => this.#topics.delete(topic),
      settled: (size) => {
        this.#waiting -= size
      },
    })
    this.#topics.set(topic, outbound)
    return outbound
  }

  /** A letter or a tombstone (no value), as it is. */
  async put(topic: string, key: string, value: string | undefined): Promise<void> {
    const { leaders } = await this.#options.cluster.topic(topic)
    const partition = partitionOf(this.#options.wire, key, leaders.length)
    // The library's type does not know tombstones, its encoder does.
    const record = {
      topic,
      partition,
      key: Buffer.from(key),
      value: value === undefined ? null : Buffer.from(value),
    } as unknown as MessageRecord
    const sent = this.#line.call(leaders[partition] ?? -1, 'Produce', -1, PATIENCE_MS, [record], {})
    await within(PATIENCE_MS, `sending to ${topic}`, sent).catch((error: unknown) => {
      this.#options.cluster.forget(topic)
      throw toRegentError(error, `sending to ${topic}`)
    })
  }

  close(): void {
    this.#closed = true
    for (const outbound of this.#topics.values()) outbound.close()
    this.#line.close()
  }
}

interface Told {
  /** Nothing waits any more. */
  readonly empty: () => void
  /** A message of this size is done with. */
  readonly settled: (size: number) => void
}

/** What goes out to one topic. */
class Outbound {
  readonly #topic: string
  readonly #options: PublisherOptions
  readonly #line: Line
  readonly #told: Told
  #queue: Entry[] = []
  #running = false
  #closed = false
  #sticky = 0

  constructor(topic: string, options: PublisherOptions, line: Line, told: Told) {
    this.#topic = topic
    this.#options = options
    this.#line = line
    this.#told = told
  }

  add(entry: Entry): void {
    this.#queue.push(entry)
    if (!this.#running) void this.#run()
  }

  close(): void {
    this.#closed = true
    this.#reject(this.#queue.splice(0), new RegentError('UNAVAILABLE', 'the bus is closed'))
  }

  async #run(): Promise<void> {
    this.#running = true
    // What is published in the same turn goes along.
    await new Promise((resolve) => setImmediate(resolve))
    while (this.#queue.length > 0) {
      const round = this.#take()
      const again = round.length > 0 ? await this.#send(round) : []
      if (again.length === 0) continue
      this.#queue = [...again, ...this.#queue]
      if (this.#closed) this.close()
      else await new Promise((resolve) => setTimeout(resolve, PAUSE_MS * (0.5 + Math.random())))
    }
    this.#running = false
    this.#told.empty()
  }

  /** The oldest, as many as one request holds, without those whose callers have given up. */
  #take(): Entry[] {
    const round: Entry[] = []
    let bytes = 0
    let taken = 0
    for (const entry of this.#queue) {
      if (round.length >= MOST_AT_ONCE || (round.length > 0 && bytes + entry.size > MOST_BATCH)) break
      taken += 1
      if (entry.signal?.aborted) {
        this.#told.settled(entry.size)
        continue
      }
      round.push(entry)
      bytes += entry.size
    }
    this.#queue.splice(0, taken)
    return round
  }

  /** The answer is what is to be sent again. */
  async #send(round: readonly Entry[]): Promise<readonly Entry[]> {
    const left = Math.max(1, Math.min(...round.map(({ deadline }) => deadline)) - performance.now())
    try {
      const { leaders } = await within(left, `topic ${this.#topic}`, this.#options.cluster.topic(this.#topic))
      for (const entry of round) entry.partition ??= this.#partitionFor(entry, leaders.length)
      const parts = Map.groupBy(round, ({ partition }) => partition ?? 0)
      const results = await Promise.all([...parts].map(([partition, part]) => this.#sendPart(partition, leaders[partition] ?? -1, part)))
      return results.flat()
    } catch (error) {
      return this.#failed(round, error)
    }
  }

  async #sendPart(partition: number, leader: number, part: readonly Entry[]): Promise<readonly Entry[]> {
    const left = Math.max(1, Math.min(...part.map(({ deadline }) => deadline)) - performance.now())
    const records = part.map(({ message, group }) => toRecord(this.#topic, partition, message, group))
    const acks = this.#options.acks === 'leader' ? 1 : -1
    try {
      await within(left, `sending to ${this.#topic}`, this.#line.call(leader, 'Produce', acks, Math.ceil(left), records, {}))
    } catch (error) {
      if (part.length > 1 && toRegentError(error, '').code === 'TOO_LARGE') return this.#oneByOne(partition, leader, part)
      this.#options.cluster.forget(this.#topic)
      return this.#failed(part, error)
    }
    this.#options.alive()
    for (const { done, size } of part) {
      done.resolve()
      this.#told.settled(size)
    }
    return []
  }

  /** All of them together are too large for the topic. */
  async #oneByOne(partition: number, leader: number, part: readonly Entry[]): Promise<readonly Entry[]> {
    for (const [at, entry] of part.entries()) {
      const again = await this.#sendPart(partition, leader, [entry])
      if (again.length > 0) return part.slice(at)
    }
    return []
  }

  #failed(entries: readonly Entry[], error: unknown): readonly Entry[] {
    if (!isForGood(error)) this.#options.doubt()
    const now = performance.now()
    const over = (entry: Entry) => this.#closed || isForGood(error) || entry.deadline - now < 2 * PAUSE_MS
    this.#reject(entries.filter(over), toRegentError(error, `publishing to ${this.#topic}`))
    if (idsOf(error).length === 0 && now > Math.min(...entries.map(({ deadline }) => deadline))) this.#line.reset()
    return entries.filter((entry) => !over(entry))
  }

  #reject(entries: readonly Entry[], error: RegentError): void {
    for (const { done, size } of entries) {
      done.reject(error)
      this.#told.settled(size)
    }
  }

  /** By key as Kafka's own clients do; without a key one partition after the other, a hundred messages each. */
  #partitionFor({ message }: Entry, partitions: number): number {
    if (message.key !== undefined) return partitionOf(this.#options.wire, message.key, partitions)
    this.#sticky += 1
    return Math.floor(this.#sticky / 100) % partitions
  }
}

async function givenUpBy(signal: AbortSignal, { promise, reject }: PromiseWithResolvers<void>): Promise<void> {
  const abort = () => reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    await promise
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

const partitionOf = (wire: Wire, key: string, partitions: number): number =>
  partitions === 1 ? 0 : (wire.library.murmur2(Buffer.from(key)) & 0x7fffffff) % partitions

function checkedSize({ id, body: text, key, headers, contentType, replyTo, correlationId }: Outgoing): number {
  const body = Buffer.byteLength(text)
  checkBodyBytes(body)
  let rest = 100 + Buffer.byteLength(id)
  for (const one of [key, contentType, replyTo, correlationId]) if (one !== undefined) rest += 20 + Buffer.byteLength(one)
  if (headers) for (const [name, value] of Object.entries(headers)) rest += 4 + Buffer.byteLength(name) + Buffer.byteLength(value)
  checkEnvelopeBytes(rest)
  return body + rest
}
