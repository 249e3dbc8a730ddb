import { createHash } from 'node:crypto'
import type { Clock } from '../../../kernel/clock.ts'
import { isObject, tryParse } from '../../../kernel/json.ts'
import type { DeadLetter, Incoming, Topic } from '../../../ports/bus.ts'
import type { Cluster } from './cluster.ts'
import type { Publisher } from './publisher.ts'
import { DEAD_TOPIC, recordsIn } from './records.ts'
import type { Line, Wire } from './wire.ts'

const MOST_KNOWN = 10_000
/** So many of the newest records are looked at. */
const MOST_READ = 200_000n
/** JSON makes up to six bytes of one. */
const MOST_LETTER = 8 * 1024 * 1024
const configs = { 'cleanup.policy': 'compact', 'max.message.bytes': `${MOST_LETTER}` }

interface Known {
  readonly partition: number
  readonly offset: bigint
  readonly topic: string
  readonly at: number
}

export interface DeadLettersOptions {
  readonly wire: Wire
  readonly cluster: Cluster
  readonly publisher: Publisher
  readonly clock: Clock
}

/** Messages that were given up, in a compacted topic: a letter under its id, until a record without a value takes it back. */
export class DeadLetters {
  readonly #options: DeadLettersOptions
  readonly #line: Line
  /** Where each is, the oldest first. */
  readonly #known = new Map<string, Known>()
  readonly #read = new Map<number, bigint>()
  #topicId = ''
  #reading: Promise<void> = Promise.resolve()

  constructor(options: DeadLettersOptions) {
    this.#options = options
    this.#line = options.wire.line(5000)
  }

  /** `place`: of the record; the same message buried twice is one letter. */
  async bury(message: Incoming, group: string | null, reason: string, place: string): Promise<void> {
    await this.#options.cluster.topic(DEAD_TOPIC, false, configs)
    const at = this.#options.clock.now()
    const id = createHash('sha256')
      .update(JSON.stringify([message.topic, place, group]))
      .digest('hex')
      .slice(0, 32)
    await this.#options.publisher.put(DEAD_TOPIC, id, JSON.stringify({ topic: message.topic.name, group, reason, at, message }))
  }

  async list(topic: Topic | undefined, limit: number): Promise<readonly DeadLetter[]> {
    await this.#refresh()
    const wanted = [...this.#known].filter(([, known]) => topic === undefined || known.topic === topic.name).slice(-limit)
    const letters: DeadLetter[] = []
    for (const [id, known] of wanted) {
      const letter = await this.#letter(id, known)
      if (letter) letters.push(letter)
    }
    return letters.sort((a, b) => a.at - b.at)
  }

  async find(id: string): Promise<DeadLetter | undefined> {
    await this.#refresh()
    const known = this.#known.get(id)
    return known && (await this.#letter(id, known))
  }

  async drop(id: string): Promise<boolean> {
    await this.#refresh()
    if (!this.#known.has(id)) return false
    await this.#options.publisher.put(DEAD_TOPIC, id, undefined)
    this.#known.delete(id)
    return true
  }

  close(): void {
    this.#line.close()
  }

  /** One at a time. */
  #refresh(): Promise<void> {
    const work = this.#reading.then(() => this.#readOn())
    this.#reading = work.catch(() => {})
    return work
  }

  async #readOn(): Promise<void> {
    const { cluster } = this.#options
    const meta = await cluster.look(DEAD_TOPIC)
    if (!meta || meta.id !== this.#topicId) {
      this.#known.clear()
      this.#read.clear()
      this.#topicId = meta?.id ?? ''
    }
    if (!meta) return
    const [oldest, ends] = [await cluster.offsets(DEAD_TOPIC, 'earliest'), await cluster.offsets(DEAD_TOPIC, 'latest')]
    for (const [partition, end] of ends.entries()) {
      const from = [this.#read.get(partition) ?? 0n, oldest[partition] ?? 0n, end - MOST_READ].reduce((a, b) => (a > b ? a : b))
      for (let at = from; at < end; ) {
        const { found, next } = await this.#fetch(partition, at, MOST_LETTER)
        for (const { offset, record } of found) this.#note(partition, offset, record.key?.toString() ?? '', record.value)
        if (next <= at) break
        at = next
        this.#read.set(partition, at)
      }
    }
  }

  #note(partition: number, offset: bigint, id: string, value: Buffer | null): void {
    const letter = value && tryParse(value.toString())
    this.#known.delete(id)
    if (!isObject(letter) || typeof letter.topic !== 'string') return
    this.#known.set(id, { partition, offset, topic: letter.topic, at: Number(letter.at) })
    for (const [oldest] of this.#known) {
      if (this.#known.size <= MOST_KNOWN) break
      this.#known.delete(oldest)
    }
  }

  async #letter(id: string, { partition, offset }: Known): Promise<DeadLetter | undefined> {
    const { found } = await this.#fetch(partition, offset, 1024)
    const one = found.find((candidate) => candidate.offset === offset)
    const value = one?.record.value && tryParse(one.record.value.toString())
    if (!isObject(value) || !isObject(value.message)) return undefined
    const { group, reason, at, message } = value
    return {
      id,
      message: message as unknown as Incoming,
      group: typeof group === 'string' ? group : null,
      reason: String(reason),
      at: Number(at),
    }
  }

  async #fetch(partition: number, from: bigint, bytes: number) {
    const { wire, cluster } = this.#options
    const { id, leaders } = await cluster.topic(DEAD_TOPIC)
    const { version } = await wire.api('Fetch')
    const wanted = { partition, currentLeaderEpoch: -1, fetchOffset: from, lastFetchedEpoch: -1, partitionMaxBytes: bytes }
    const topics = [{ topicId: version <= 12 ? DEAD_TOPIC : id, partitions: [wanted] }]
    const answer = await this.#line.call(leaders[partition] ?? -1, 'Fetch', 500, 1, bytes, 1, 0, -1, topics, [], '')
    return recordsIn(answer.responses[0]?.partitions[0]?.records ?? [], from)
  }
}
