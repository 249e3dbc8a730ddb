import type { Logger } from '../../../kernel/logger.ts'
import { assignAll, decodeAssignment, decodeSubscription, encodeAssignment, encodeSubscription } from './assignment.ts'
import type { Cluster } from './cluster.ts'
import { failuresIn, idsOf, isForGood, within, wordsOf } from './failures.ts'
import { jitter } from './link.ts'
import type { Answer, Line, Wire } from './wire.ts'

const SESSION_MS = 7000
const REBALANCE_MS = 20_000
const HEARTBEAT_MS = 2000
const LEAVE_MS = 2000
const protocols = ['regent', 'range']

export interface GroupMemberOptions {
  readonly wire: Wire
  readonly cluster: Cluster
  readonly group: string
  readonly topic: string
  readonly exclusive: boolean
  readonly logger: Logger
  /** Resolves when the cluster answers. */
  readonly ready: () => Promise<void>
  readonly doubt: () => void
  /** These are ours from now on. Rejects where it cannot begin; it is called again after the next round. */
  readonly onGained: (partitions: readonly number[]) => Promise<void>
  /** These go to others: ends the work on them and commits. */
  readonly onRevoked: (partitions: readonly number[]) => Promise<void>
  /** The group has gone on without us: nothing can be committed any more. */
  readonly onLost: () => Promise<void>
}

export interface Commit {
  readonly partition: number
  readonly offset: bigint
  readonly metadata: string
}

/** A member of a consumer group for one topic: joins, keeps alive, hands over. */
export class GroupMember {
  readonly #options: GroupMemberOptions
  readonly #line: Line
  readonly #stop = new AbortController()
  readonly #first = Promise.withResolvers<void>()
  #owned: readonly number[] = []
  #id = ''
  #generation = -1
  #coordinator: number | undefined
  #joined = false
  #wake = Promise.withResolvers<void>()
  readonly #halted = Promise.withResolvers<void>()
  #ended: Promise<void> = Promise.resolve()

  constructor(options: GroupMemberOptions) {
    this.#options = options
    this.#line = options.wire.line(REBALANCE_MS + SESSION_MS)
  }

  /** Resolves once the group has taken this member; rejects when it refuses for good. */
  start(): Promise<void> {
    this.#ended = this.#run()
    return this.#first.promise
  }

  /** Leaves the group; what it had goes to the others at once. */
  async close(): Promise<void> {
    if (this.#stop.signal.aborted) return this.#ended
    this.#stop.abort()
    this.#halted.resolve()
    this.#wake.resolve()
    this.#first.reject(new Error('the subscription was closed'))
    this.#first.promise.catch(() => {})
    if (this.#id !== '' && this.#coordinator !== undefined) {
      const leave = this.#options.wire.line(LEAVE_MS)
      const left = leave.call(this.#coordinator, 'LeaveGroup', this.#options.group, [{ memberId: this.#id }])
      await within(LEAVE_MS, 'leaving a group', left).catch(() => {})
      leave.close()
    }
    this.#line.close()
    await this.#ended
  }

  /** Rejects when the group has moved on; then the member joins again by itself. */
  async commit(commits: readonly Commit[]): Promise<void> {
    if (this.#coordinator === undefined) throw new Error('the group has no coordinator')
    const partitions = commits.map(({ partition, offset, metadata }) => ({
      partitionIndex: partition,
      committedOffset: offset,
      committedLeaderEpoch: -1,
      committedMetadata: metadata,
    }))
    try {
      await this.#line.call(this.#coordinator, 'OffsetCommit', this.#options.group, this.#generation, this.#id, null, [
        { name: this.#options.topic, partitions },
      ])
    } catch (error) {
      this.#wake.resolve()
      throw error
    }
  }

  get #stopped(): boolean {
    return this.#stop.signal.aborted
  }

  async #run(): Promise<void> {
    for (let attempt = 0; !this.#stopped; ) {
      try {
        await Promise.race([this.#options.ready(), this.#halted.promise])
        if (this.#stopped) return
        if (!this.#joined) await this.#join()
        this.#first.resolve()
        attempt = 0
        await Promise.race([pause(HEARTBEAT_MS), this.#wake.promise])
        this.#wake = Promise.withResolvers()
        if (this.#joined && !this.#stopped) await this.#heartbeat()
      } catch (error) {
        if (this.#stopped) return
        if (await this.#recover(error)) continue
        if (isForGood(error)) this.#first.reject(error)
        this.#options.doubt()
        this.#options.logger.debug(
          { group: this.#options.group, topic: this.#options.topic, reason: wordsOf(error) },
          'a group member tries again',
        )
        await Promise.race([pause(jitter(attempt++, 5000)), this.#halted.promise])
      }
    }
  }

  /** Whether it is to go on at once. */
  async #recover(error: unknown): Promise<boolean> {
    const ids = idsOf(error)
    const given = failuresIn(error).map((one) => (one as { memberId?: string }).memberId)
    if (ids.includes('MEMBER_ID_REQUIRED')) {
      this.#id = given.find((one) => one) ?? ''
      return this.#id !== ''
    }
    if (ids.includes('REBALANCE_IN_PROGRESS')) {
      this.#joined = false
      return true
    }
    if (ids.includes('UNKNOWN_MEMBER_ID') || ids.includes('ILLEGAL_GENERATION') || ids.includes('FENCED_INSTANCE_ID')) {
      this.#joined = false
      if (!ids.includes('ILLEGAL_GENERATION')) this.#id = ''
      this.#owned = []
      await this.#options.onLost()
      return true
    }
    this.#coordinator = undefined
    return false
  }

  async #heartbeat(): Promise<void> {
    const { group, cluster } = this.#options
    this.#coordinator ??= await cluster.coordinator(group, this.#line)
    const beat = this.#line.call(this.#coordinator, 'Heartbeat', group, this.#generation, this.#id, null)
    await Promise.race([beat, late(SESSION_MS / 2)])
  }

  async #join(): Promise<void> {
    const { group, topic, cluster, exclusive } = this.#options
    this.#coordinator ??= await cluster.coordinator(group, this.#line)
    await cluster.topic(topic, true)
    const metadata = encodeSubscription(topic, this.#owned, exclusive)
    const offered = protocols.map((name) => ({ name, metadata }))
    const joined = await this.#line.call(
      this.#coordinator,
      'JoinGroup',
      group,
      SESSION_MS,
      REBALANCE_MS,
      this.#id,
      null,
      'consumer',
      offered,
    )
    this.#id = joined.memberId
    this.#generation = joined.generationId
    const shares = joined.leader === joined.memberId ? await this.#divide(joined.members) : []
    const synced = await this.#line.call(
      this.#coordinator,
      'SyncGroup',
      group,
      this.#generation,
      this.#id,
      null,
      'consumer',
      joined.protocolName,
      shares,
    )
    this.#joined = true
    await this.#take(decodeAssignment(topic, synced.assignment))
  }

  /** As the leader of the group. */
  async #divide(joined: Answer<'JoinGroup'>['members']): Promise<{ memberId: string; assignment: Buffer }[]> {
    const members = joined.map((one) => decodeSubscription(one.memberId, one.metadata))
    const topics = [...new Set(members.flatMap((one) => one.topics))]
    const metas = await Promise.all(
      topics.map(async (name) => [name, (await this.#options.cluster.look(name))?.leaders.length ?? 0] as const),
    )
    return [...assignAll(members, new Map(metas))].map(([memberId, share]) => ({ memberId, assignment: encodeAssignment(share) }))
  }

  async #take(mine: readonly number[]): Promise<void> {
    const given = this.#owned.filter((one) => !mine.includes(one))
    const gained = mine.filter((one) => !this.#owned.includes(one))
    this.#owned = this.#owned.filter((one) => mine.includes(one))
    if (gained.length > 0) {
      // What fails here is tried again in another round.
      await this.#options.onGained(gained).catch((error: unknown) => {
        this.#joined = false
        throw error
      })
      this.#owned = mine
    }
    if (given.length === 0) return
    this.#options.logger.debug(
      { group: this.#options.group, topic: this.#options.topic, partitions: given },
      'partitions go to another member',
    )
    const beating = this.#beatWhile()
    await this.#options.onRevoked(given)
    await beating()
    // The others get them in the round that begins now.
    this.#joined = false
    this.#wake.resolve()
  }

  /** Keeps the member alive while it ends its work. */
  #beatWhile(): () => Promise<void> {
    const done = Promise.withResolvers<void>()
    const beating = (async () => {
      for (let ended = false; !ended; ) {
        ended = await Promise.race([pause(HEARTBEAT_MS).then(() => false), done.promise.then(() => true)])
        if (!ended) await this.#heartbeat().catch(() => {})
      }
    })()
    return () => {
      done.resolve()
      return beating
    }
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms).unref())

async function late(ms: number): Promise<never> {
  await pause(ms)
  throw new Error(`the group's coordinator does not answer within ${ms} ms`)
}
