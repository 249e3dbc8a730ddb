import { RegentError } from '../../../kernel/errors.ts'
import type { Logger } from '../../../kernel/logger.ts'
import { idsOf, toRegentError } from './failures.ts'
import type { Line, TopicMeta, Wire } from './wire.ts'

const FRESH_MS = 30_000
const CREATED_MS = 5000
/** A body, its headers and what Kafka adds. */
const MOST_RECORD = 2 * 1024 * 1024

export interface Committed {
  readonly offset: bigint
  readonly metadata: string
}

/** Topics, their leaders and offsets; what a group has committed. */
export class Cluster {
  readonly #wire: Wire
  readonly #line: Line
  readonly #logger: Logger
  readonly #topics = new Map<string, { readonly meta: TopicMeta; readonly at: number }>()
  readonly #making = new Map<string, Promise<TopicMeta>>()

  constructor(wire: Wire, logger: Logger) {
    this.#wire = wire
    this.#line = wire.line(4000)
    this.#logger = logger
  }

  /** What is known of a topic, made when it is missing. `fresh` asks the broker. */
  async topic(name: string, fresh = false, configs: Readonly<Record<string, string>> = {}): Promise<TopicMeta> {
    const known = this.#topics.get(name)
    if (known && !fresh && performance.now() - known.at < FRESH_MS) return known.meta
    const making = this.#making.get(name) ?? this.#find(name, configs).finally(() => this.#making.delete(name))
    this.#making.set(name, making)
    return making
  }

  /** Leaders have moved. */
  forget(name: string): void {
    this.#topics.delete(name)
  }

  /** undefined where there is no such topic. */
  async look(name: string): Promise<TopicMeta | undefined> {
    const meta = await this.#wire.topic(name)
    if (meta) this.#topics.set(name, { meta, at: performance.now() })
    return meta
  }

  async #find(name: string, configs: Readonly<Record<string, string>>): Promise<TopicMeta> {
    const meta = await this.#lookLed(name)
    if (meta) return meta
    await this.#create(name, configs)
    const end = performance.now() + CREATED_MS
    for (;;) {
      const made = await this.#lookLed(name)
      if (made) return made
      if (performance.now() > end)
        throw new RegentError('UNAVAILABLE', `Kafka: topic ${name} was created and has no leader yet`, { retryAfter: 1 })
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  async #lookLed(name: string): Promise<TopicMeta | undefined> {
    const meta = await this.look(name).catch((error: unknown) => {
      if (idsOf(error).includes('LEADER_NOT_AVAILABLE')) return undefined
      throw error
    })
    return meta && meta.leaders.length > 0 && !meta.leaders.includes(-1) ? meta : undefined
  }

  async #create(name: string, configs: Readonly<Record<string, string>>): Promise<void> {
    const replicas = Math.min(3, Math.max(1, this.#wire.nodes.length))
    const wanted = { 'max.message.bytes': `${MOST_RECORD}`, ...(replicas === 3 && { 'min.insync.replicas': '2' }), ...configs }
    try {
      await this.#wire.admin.createTopics({
        topics: [name],
        partitions: 1,
        replicas,
        configs: Object.entries(wanted).map(([key, value]) => ({ name: key, value })),
      })
      this.#logger.info({ topic: name, replicas }, 'a topic was created')
    } catch (error) {
      if (!idsOf(error).includes('TOPIC_ALREADY_EXISTS')) throw toRegentError(error, `topic ${name} is missing and cannot be created`)
    }
  }

  /** By partition: the offset of the next message (`latest`), or of the oldest one. */
  async offsets(name: string, which: 'latest' | 'earliest', line = this.#line): Promise<readonly bigint[]> {
    const { leaders } = await this.topic(name)
    const found: bigint[] = leaders.map(() => 0n)
    await Promise.all(
      [...new Set(leaders)].map(async (leader) => {
        const partitions = leaders.flatMap((one, partitionIndex) =>
          one === leader ? [{ partitionIndex, currentLeaderEpoch: -1, timestamp: which === 'latest' ? -1n : -2n }] : [],
        )
        const answer = await line.call(leader, 'ListOffsets', -1, 1, [{ name, partitions }]).catch((error: unknown) => {
          this.forget(name)
          throw error
        })
        for (const { partitionIndex, offset } of answer.topics[0]?.partitions ?? []) found[partitionIndex] = offset
      }),
    )
    return found
  }

  async coordinator(group: string, line = this.#line): Promise<number> {
    const [node] = this.#wire.nodes
    if (node === undefined) throw new RegentError('UNAVAILABLE', 'Kafka: no node is known yet', { retryAfter: 1 })
    const { coordinators } = await line.call(node, 'FindCoordinator', 0, [group])
    const found = coordinators[0]
    if (!found) throw new Error(`group ${group} has no coordinator`)
    return found.nodeId
  }

  /** By partition; undefined where nothing is committed. */
  async committed(
    group: string,
    topic: string,
    partitions: readonly number[],
    coordinator?: number,
    line = this.#line,
  ): Promise<ReadonlyMap<number, Committed>> {
    const node = coordinator ?? (await this.coordinator(group, line))
    const { version } = await this.#wire.api('OffsetFetch')
    const asked = [{ groupId: group, memberId: null, memberEpoch: -1, topics: [{ name: topic, partitionIndexes: [...partitions] }] }]
    const answer = await line.call(node, 'OffsetFetch', asked, false)
    // Before version 8 an answer is about one group.
    const topics = version >= 8 ? (answer.groups[0]?.topics ?? []) : (answer as unknown as (typeof answer.groups)[number]).topics
    const all = topics.flatMap((one) => one.partitions)
    return new Map(
      all.flatMap(({ partitionIndex, committedOffset, metadata }) =>
        committedOffset >= 0n ? [[partitionIndex, { offset: committedOffset, metadata: metadata ?? '' }] as const] : [],
      ),
    )
  }

  close(): void {
    this.#line.close()
  }
}
