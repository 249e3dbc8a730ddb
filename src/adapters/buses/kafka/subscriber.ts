import type { Clock } from '../../../kernel/clock.ts'
import type { Logger } from '../../../kernel/logger.ts'
import type { Handler, Incoming, Lag, SubscribeOptions, Subscription, Topic } from '../../../ports/bus.ts'
import type { Cluster } from './cluster.ts'
import { isForGood, within, wordsOf } from './failures.ts'
import { GroupMember } from './group-member.ts'
import { jitter, type Link } from './link.ts'
import { Reader } from './reader.ts'
import { Track } from './track.ts'
import type { TopicMeta, Wire } from './wire.ts'
import { Worker } from './worker.ts'

/** What is done is committed this often at the latest, in ms. */
const COMMIT_MS = 200
/** How long a partition that goes to another member waits for the message that is handled. */
const HAND_OVER_MS = 10_000
const LAST_COMMIT_MS = 3000

export interface SubscriberOptions {
  readonly wire: Wire
  readonly cluster: Cluster
  readonly link: Link
  readonly clock: Clock
  readonly logger: Logger
  readonly topic: Topic
  readonly name: string
  readonly handler: Handler
  readonly options: SubscribeOptions
  readonly bury: (message: Incoming, group: string | null, reason: string, place: string, signal: AbortSignal) => Promise<void>
}

/** One subscription: alone with all partitions from now on, or as a member of a group. */
export class Subscriber implements Subscription {
  readonly #options: SubscriberOptions
  readonly #stop = new AbortController()
  readonly #tracks = new Map<number, Track>()
  /** Tracks that the group took away: what they did is not done again should they come back. */
  readonly #retired = new Map<number, { readonly track: Track; readonly topicId: string }>()
  readonly #reader: Reader
  readonly #worker: Worker
  readonly #member: GroupMember | undefined
  #topicId = ''
  #timer: (() => void) | undefined
  #committing: Promise<void> = Promise.resolve()
  #closing: Promise<void> | undefined

  constructor(given: SubscriberOptions) {
    this.#options = given
    const { wire, cluster, link, clock, logger, topic, name, handler, options, bury } = given
    const { group, concurrency = 1, maxAttempts = 5, exclusive = false } = options
    const shared = { wire, cluster, logger, ready: () => link.ready(), doubt: () => link.doubt() }
    this.#worker = new Worker({
      handler,
      concurrency,
      maxAttempts,
      clock,
      bury: (message, reason, place, signal) => bury(message, group ?? null, reason, place, signal),
      mark: group === undefined ? undefined : (track) => this.#commit([track]),
      onDone: (track) => this.#onDone(track),
    })
    this.#reader = new Reader({ ...shared, topic, name, group, onRead: () => this.#worker.dispatch() })
    if (group === undefined) return
    this.#member = new GroupMember({
      ...shared,
      group,
      topic: name,
      exclusive,
      onGained: (partitions) => this.#gain(group, partitions),
      onRevoked: (partitions) => this.#hand(partitions),
      onLost: () => this.#lose(),
    })
  }

  /** Resolves once the broker has it; rejects when it refuses for good, or the signal says so. */
  async start(signal?: AbortSignal): Promise<void> {
    const given = Promise.withResolvers<never>()
    const abort = () => given.reject(signal?.reason)
    signal?.addEventListener('abort', abort, { once: true })
    try {
      const begun = this.#begin()
      begun.catch(() => {})
      await Promise.race([begun, given.promise])
    } catch (error) {
      void this.close()
      throw error
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }

  get name(): string {
    return this.#options.name
  }

  async lag(): Promise<Lag> {
    const { cluster, name, topic, options } = this.#options
    const group = options.group ?? null
    const ends = await cluster.offsets(name, 'latest')
    const done =
      options.group === undefined
        ? new Map([...this.#tracks].map(([partition, track]) => [partition, track.doneUpTo]))
        : await this.#committedOf(options.group, ends.length)
    let waiting = 0n
    for (const [partition, end] of ends.entries()) waiting += end - (done.get(partition) ?? end)
    return { topic: topic.name, group, waiting: Math.max(0, Number(waiting)) }
  }

  /** Waits for the handler, `patience` ms at most. */
  close(patience = Number.POSITIVE_INFINITY): Promise<void> {
    this.#closing ??= this.#close(patience)
    return this.#closing
  }

  async #close(patience: number): Promise<void> {
    this.#stop.abort(new Error('the subscription was closed'))
    await Promise.all([...this.#tracks.values()].map((track) => track.end(patience)))
    await this.#reader.close()
    this.#timer?.()
    const last = this.#tracks.size > 0 ? this.#commit([...this.#tracks.values()], true) : this.#committing
    await within(LAST_COMMIT_MS, 'the last commit', last).catch(() => {})
    await this.#member?.close()
  }

  async #begin(): Promise<void> {
    const { link, cluster, name } = this.#options
    for (let attempt = 0; ; ) {
      try {
        await this.#up(link)
        if (this.#stop.signal.aborted) throw this.#stop.signal.reason
        const meta = await cluster.topic(name, true)
        if (this.#member) await this.#member.start()
        else await this.#alone(meta)
        return
      } catch (error) {
        if (isForGood(error) || this.#stop.signal.aborted || this.#member) throw error
        this.#options.logger.debug({ topic: name, reason: wordsOf(error) }, 'a subscription is tried again')
        await new Promise((resolve) => setTimeout(resolve, jitter(attempt++, 5000)).unref())
      }
    }
  }

  /** Waits for the cluster; a refused account is told at once. */
  async #up(link: Link): Promise<void> {
    while (!link.status.connected && !this.#stop.signal.aborted) {
      if (isForGood(link.failure)) throw link.failure
      await Promise.race([link.ready(), new Promise((resolve) => setTimeout(resolve, 100).unref())])
    }
  }

  async #alone(meta: TopicMeta): Promise<void> {
    const { cluster, name, options } = this.#options
    const places = await cluster.offsets(name, options.from ?? 'latest')
    this.#topicId = meta.id
    for (const [partition, place] of places.entries()) this.#add(new Track(partition, place, this.#stop.signal))
  }

  #add(track: Track): void {
    this.#tracks.set(track.partition, track)
    this.#worker.add(track)
    this.#reader.add(track)
  }

  #drop(track: Track): void {
    this.#tracks.delete(track.partition)
    this.#worker.remove(track)
    this.#reader.remove(track)
    this.#retired.set(track.partition, { track, topicId: this.#topicId })
  }

  async #committedOf(group: string, partitions: number): Promise<ReadonlyMap<number, bigint>> {
    const found = await this.#options.cluster.committed(group, this.#options.name, [...Array(partitions).keys()])
    return new Map([...found].map(([partition, { offset }]) => [partition, offset]))
  }

  /** Begins where the group stood; a group that is new gets its place written down at once. */
  async #gain(group: string, partitions: readonly number[]): Promise<void> {
    const { cluster, name, options } = this.#options
    const { id, leaders } = await cluster.topic(name, true)
    this.#topicId = id
    const committed = await cluster.committed(group, name, [...leaders.keys()])
    // Of a group that is known, a partition that is new was added after it: all of it counts.
    const earliest = committed.size > 0 || options.from === 'earliest'
    const missing = partitions.some((partition) => !committed.has(partition))
    const beginnings = missing ? await cluster.offsets(name, earliest ? 'earliest' : 'latest') : []
    const tracks: Track[] = []
    for (const partition of partitions) {
      const known = committed.get(partition)
      const from = known?.offset ?? beginnings[partition] ?? 0n
      const retired = await this.#cameBack(partition, id)
      const position = retired !== undefined && retired > from ? retired : from
      tracks.push(new Track(partition, position, this.#stop.signal, known?.metadata))
    }
    await this.#commit(tracks)
    for (const track of tracks) this.#add(track)
  }

  /** Where this subscriber itself stood; waits for what it still handles there. */
  async #cameBack(partition: number, topicId: string): Promise<bigint | undefined> {
    const known = this.#retired.get(partition)
    if (!known || known.topicId !== topicId) return undefined
    await known.track.end(HAND_OVER_MS)
    this.#retired.delete(partition)
    return known.track.doneUpTo
  }

  async #hand(partitions: readonly number[]): Promise<void> {
    const tracks = partitions.flatMap((partition) => this.#tracks.get(partition) ?? [])
    await Promise.all(tracks.map((track) => track.end(HAND_OVER_MS, false)))
    for (const track of tracks) this.#drop(track)
    await this.#commit(tracks, true).catch(() => {})
  }

  async #lose(): Promise<void> {
    const tracks = [...this.#tracks.values()]
    for (const track of tracks) this.#drop(track)
    await Promise.all(tracks.map((track) => track.end(0)))
  }

  #onDone(track: Track): void {
    this.#reader.poke()
    if (!this.#member || this.#timer || track.signal.aborted) return
    this.#timer = this.#options.clock.after(COMMIT_MS, () => {
      this.#timer = undefined
      void this.#commit([...this.#tracks.values()]).catch((error: unknown) => {
        this.#options.logger.debug({ topic: this.#options.name, reason: wordsOf(error) }, 'a commit failed; the next one makes up for it')
        for (const one of this.#tracks.values()) this.#onDone(one)
      })
    })
  }

  /** One after the other. `ending`: nobody works there any more. */
  #commit(tracks: readonly Track[], ending = false): Promise<void> {
    const member = this.#member
    if (!member || tracks.length === 0) return Promise.resolve()
    const work = this.#committing.then(() =>
      member.commit(
        tracks.map((track) => ({ partition: track.partition, offset: track.doneUpTo, metadata: ending ? '' : track.metadata() })),
      ),
    )
    this.#committing = work.catch(() => {})
    return work
  }
}
