import type { Logger } from '../../../kernel/logger.ts'
import type { Topic } from '../../../ports/bus.ts'
import type { Cluster } from './cluster.ts'
import { failuresIn, idsOf, wordsOf } from './failures.ts'
import { jitter } from './link.ts'
import { type Found, fromRecord, recordsIn } from './records.ts'
import type { Item, Track } from './track.ts'
import type { Answer, Line, TopicMeta, Wire } from './wire.ts'

/** How long the broker holds a request for news, in ms; a partition that is free again waits no longer than the short one. */
const LONG_POLL_MS = 5000
const SHORT_POLL_MS = 250
const MOST_BYTES = 1024 * 1024
/** Of one partition, read and not handled. */
const MOST_WAITING = 1000
const MOST_WAITING_BYTES = 4 * 1024 * 1024

export interface ReaderOptions {
  readonly wire: Wire
  readonly cluster: Cluster
  readonly topic: Topic
  readonly name: string
  readonly group: string | undefined
  readonly logger: Logger
  readonly ready: () => Promise<void>
  readonly doubt: () => void
  /** Something was read of a track. */
  readonly onRead: () => void
}

/** Reads what the tracks lack, no more than a bounded amount ahead of their handler. */
export class Reader {
  readonly #options: ReaderOptions
  readonly #line: Line
  readonly #tracks = new Set<Track>()
  /** A loop for each node that leads a partition. */
  readonly #loops = new Map<number, Promise<void>>()
  #closed = false
  readonly #halted = Promise.withResolvers<void>()
  #changed = Promise.withResolvers<void>()
  #meta: TopicMeta | undefined
  #attempts = 0

  constructor(options: ReaderOptions) {
    this.#options = options
    this.#line = options.wire.line(LONG_POLL_MS + 5000)
  }

  add(track: Track): void {
    this.#tracks.add(track)
    void this.#spread()
  }

  remove(track: Track): void {
    this.#tracks.delete(track)
  }

  /** A track may have room again. */
  poke(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#halted.resolve()
    this.#line.close()
    this.poke()
    await Promise.all(this.#loops.values())
  }

  #unlessClosed(wait: Promise<void>): Promise<void> {
    return Promise.race([wait, this.#halted.promise])
  }

  /** Sees to it that each leader of our partitions is read from. */
  async #spread(): Promise<void> {
    while (!this.#closed && !this.#meta) {
      try {
        await this.#unlessClosed(this.#options.ready())
        this.#meta = await this.#options.cluster.topic(this.#options.name)
      } catch {
        await this.#unlessClosed(pause(jitter(this.#attempts++, 2000)))
      }
    }
    for (const { partition } of this.#tracks) {
      const leader = this.#meta?.leaders[partition] ?? -1
      if (this.#closed || this.#loops.has(leader)) continue
      const loop = this.#loop(leader).finally(() => {
        this.#loops.delete(leader)
        if ([...this.#tracks].some((track) => this.#meta?.leaders[track.partition] === leader)) void this.#spread()
      })
      this.#loops.set(leader, loop)
    }
    this.poke()
  }

  async #loop(leader: number): Promise<void> {
    while (!this.#closed) {
      const mine = [...this.#tracks].filter(({ partition }) => this.#meta?.leaders[partition] === leader)
      if (mine.length === 0) return
      const free = mine.filter((track) => !track.signal.aborted && track.waiting < MOST_WAITING && track.bytes < MOST_WAITING_BYTES)
      if (free.length === 0) {
        await this.#changed.promise
        continue
      }
      try {
        await this.#fetch(leader, free, mine.length > free.length ? SHORT_POLL_MS : LONG_POLL_MS)
        this.#attempts = 0
      } catch (error) {
        if (this.#closed) return
        await this.#trouble(error, free)
      }
    }
  }

  async #fetch(leader: number, tracks: readonly Track[], wait: number): Promise<void> {
    const { wire, name } = this.#options
    const { version } = await wire.api('Fetch')
    const partitions = tracks.map(({ partition, position }) => ({
      partition,
      currentLeaderEpoch: -1,
      fetchOffset: position,
      lastFetchedEpoch: -1,
      partitionMaxBytes: MOST_BYTES,
    }))
    // Up to version 12 a topic goes by its name.
    const topics = [{ topicId: version <= 12 ? name : (this.#meta?.id ?? ''), partitions }]
    const asked = new Map(tracks.map((track) => [track.partition, { track, from: track.position }]))
    const answer = await this.#line.call(leader, 'Fetch', wait, 1, 4 * MOST_BYTES, 1, 0, -1, topics, [], '')
    this.#take(answer, asked)
  }

  #take(answer: Answer<'Fetch'>, asked: ReadonlyMap<number, { readonly track: Track; readonly from: bigint }>): void {
    let news = false
    for (const { partitionIndex, records, abortedTransactions } of answer.responses.flatMap(({ partitions }) => partitions)) {
      const { track, from } = asked.get(partitionIndex) ?? {}
      if (!track || from === undefined || track.signal.aborted || track.position !== from || !records || records.length === 0) continue
      const { found, next } = recordsIn(records, from, abortedTransactions ?? [])
      track.take(this.#items(partitionIndex, found), next)
      news = true
    }
    if (news) this.#options.onRead()
  }

  #items(partition: number, found: readonly Found[]): Item[] {
    const { topic, name, group } = this.#options
    return found.flatMap(({ offset, record }) => {
      const { message, group: only } = fromRecord(topic, `${name}/${partition}/${offset}`, record)
      if (only !== undefined && only !== (group ?? '')) return []
      return [{ offset, message, size: (record.value?.length ?? 0) + 256, attempt: 1 }]
    })
  }

  async #trouble(error: unknown, tracks: readonly Track[]): Promise<void> {
    const { cluster, name, logger, doubt, ready } = this.#options
    const ids = idsOf(error)
    if (ids.includes('OFFSET_OUT_OF_RANGE')) {
      await this.#catchUp(error, tracks)
      return
    }
    logger.debug({ topic: name, reason: wordsOf(error) }, 'reading a topic failed and is tried again')
    if (ids.length === 0) doubt()
    await this.#unlessClosed(pause(jitter(this.#attempts++, 5000)))
    await this.#unlessClosed(ready())
    cluster.forget(name)
    this.#meta = undefined
    await this.#spread()
  }

  /** What was to be read is not there any more (retention), or the topic was made anew. */
  async #catchUp(error: unknown, tracks: readonly Track[]): Promise<void> {
    const { cluster, name, logger } = this.#options
    try {
      const response = failuresIn(error).flatMap((one) => (one as { response?: Answer<'Fetch'> }).response ?? [])[0]
      const bad = new Set(
        (response?.responses ?? []).flatMap(({ partitions }) =>
          partitions.flatMap((one) => (one.errorCode === 1 ? [one.partitionIndex] : [])),
        ),
      )
      const [oldest, next] = [await cluster.offsets(name, 'earliest'), await cluster.offsets(name, 'latest')]
      for (const track of tracks.filter(({ partition }) => bad.has(partition))) {
        const [from, to] = [oldest[track.partition] ?? 0n, next[track.partition] ?? 0n]
        const position = track.position < from || track.position > to ? from : track.position
        logger.warn(
          { topic: name, partition: track.partition, was: `${track.position}`, now: `${position}` },
          'messages of a topic are gone before they were read',
        )
        track.take([], position)
      }
    } catch {
      await this.#unlessClosed(pause(jitter(this.#attempts++, 2000)))
    }
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms).unref())
