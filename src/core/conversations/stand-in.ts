import { type BrokerSettings, brokerKey, describeBroker } from '../../contract/brokers.ts'
import type { ChannelTopic } from '../../contract/channels.ts'
import { hear } from '../../contract/envelopes.ts'
import type { EventType } from '../../contract/events.ts'
import type { Clock } from '../../kernel/clock.ts'
import { reasonOf } from '../../kernel/errors.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Brokers } from '../../ports/brokers.ts'
import type { Incoming } from '../../ports/bus.ts'
import type { Store } from '../../ports/store.ts'
import type { Journal } from '../events/journal.ts'
import { post } from './inbox.ts'
import type { Links } from './links.ts'

export interface StandInOptions {
  readonly store: Store
  readonly journal: Journal
  readonly brokers: Brokers
  readonly clock: Clock
  readonly logger: Logger
  readonly links: Pick<Links, 'deliver'>
}

/** What Regent listens to for one agent. */
interface Post {
  readonly settings: BrokerSettings
  readonly key: string
  readonly leaving: AbortController
  /** Topics that a run of the agent listens to by itself, and which one. */
  readonly taken: Map<string, string>
  readonly open: Promise<void>
}

/** Far more than are stored at once: what waits beyond it is dropped by the bus. */
const AT_ONCE = 1000
const live: readonly string[] = ['STARTING', 'RUNNING', 'STOPPING', 'UNKNOWN']
const endings: readonly EventType[] = ['run.exited', 'run.stopped', 'run.backoff', 'run.fatal']

/**
 * Listens in an agent's stead where the broker keeps nothing (Redis pub/sub) while the agent does not: what comes then goes into its
 * inbox. A run that begins to listen says so on the topic itself, so that both know from which message on the other has it.
 */
export class StandIn {
  readonly #o: StandInOptions
  readonly #posts = new Map<string, Post>()
  /** The present run of each agent. */
  readonly #runs = new Map<string, string>()
  readonly #closing = new AbortController()
  #following: Promise<void> = Promise.resolve()

  constructor(options: StandInOptions) {
    this.#o = options
  }

  /** Begins to follow the agents' runs. To be called once, when the journal is open. */
  begin(): void {
    this.#following = this.#follow().catch((error: unknown) => {
      if (!this.#closing.signal.aborted) this.#o.logger.error({ error: reasonOf(error) }, 'runs are no longer followed for channels')
    })
  }

  /** From now on; for one that is listened to already under other settings, anew. */
  stand(agentId: string, topics: readonly ChannelTopic[], settings: BrokerSettings): void {
    const fleeting = topics.filter((topic) => topic.fleeting)
    const key = `${brokerKey(settings)} ${fleeting.map(({ name }) => name).join(' ')}`
    const before = this.#posts.get(agentId)
    if (before?.key === key || this.#closing.signal.aborted) return
    if (before) this.leave(agentId)
    if (fleeting.length === 0) return
    const leaving = new AbortController()
    const taken = new Map<string, string>()
    const open = this.#listen(agentId, fleeting, settings, { taken, leaving: leaving.signal }).catch((error: unknown) => {
      if (!leaving.signal.aborted)
        this.#o.logger.warn(
          { agent: agentId, broker: describeBroker(settings), reason: reasonOf(error) },
          'nobody listens for a stopped agent',
        )
    })
    this.#posts.set(agentId, { settings, key, leaving, taken, open })
  }

  leave(agentId: string): void {
    const found = this.#posts.get(agentId)
    this.#posts.delete(agentId)
    found?.leaving.abort()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    const posts = [...this.#posts.values()]
    for (const agentId of [...this.#posts.keys()]) this.leave(agentId)
    await Promise.all([this.#following, ...posts.map(({ open }) => open)])
  }

  /** Resolves when it was left. */
  async #listen(
    agentId: string,
    topics: readonly ChannelTopic[],
    settings: BrokerSettings,
    { taken, leaving }: { taken: Map<string, string>; leaving: AbortSignal },
  ): Promise<void> {
    const { brokers, store } = this.#o
    const life = await store.read.lives.get(agentId)
    if (life?.runId && live.includes(life.state)) {
      this.#runs.set(agentId, life.runId)
      // One that lives already listens already, or will say that it does.
      for (const { name } of topics) taken.set(name, life.runId)
    }
    const bus = await brokers.at(settings)
    // What was announced while Regent was cut off was not heard.
    const forget = bus.onStatus(({ connected }) => {
      const run = connected ? this.#runs.get(agentId) : undefined
      if (run !== undefined) for (const { name } of topics) taken.set(name, run)
    })
    try {
      const options = { signal: leaving, concurrency: AT_ONCE }
      const handler = (topic: ChannelTopic) => (message: Incoming) => this.#take(agentId, topic, message, taken)
      const subscriptions = await Promise.allSettled(topics.map((topic) => bus.subscribe(topic, handler(topic), options)))
      const failed = subscriptions.find((one) => one.status === 'rejected')
      if (!failed) await aborted(leaving)
      await Promise.all(subscriptions.map(async (one) => one.status === 'fulfilled' && one.value.close()))
      if (failed) throw failed.reason
    } finally {
      forget()
      await brokers.release(settings)
    }
  }

  async #take(agentId: string, { name }: ChannelTopic, message: Incoming, taken: Map<string, string>): Promise<void> {
    const heard = hear(message.body)
    if (heard.kind === 'listener') {
      if (heard.run !== this.#runs.get(agentId) && !(await this.#isPresent(agentId, heard.run))) return
      if (heard.what === 'here') taken.set(name, heard.run)
      else if (taken.get(name) === heard.run) taken.delete(name)
    }
    if (heard.kind !== 'prompt' || taken.has(name)) return
    const { store, clock, links, logger } = this.#o
    const { content, metadata } = heard
    const id = `channel:${agentId}:${name}:${message.id}`
    try {
      await store.transaction(async (tables) => {
        const agent = await tables.agents.get(agentId)
        if (agent) await post(tables, agent, { id, conversation: 'main', content, metadata, sender: 'channel', actor: 'channel' }, clock)
      })
      links.deliver(agentId)
    } catch (error) {
      logger.warn({ agent: agentId, channel: name, reason: reasonOf(error) }, 'a message of a channel that keeps nothing was lost')
    }
  }

  /** Whether a run that was not heard of yet is one of this agent's that lives. */
  async #isPresent(agentId: string, runId: string): Promise<boolean> {
    const run = await this.#o.store.read.runs.get(runId)
    if (run?.agentId !== agentId || run.endedAt !== null) return false
    this.#runs.set(agentId, runId)
    return true
  }

  async #follow(): Promise<void> {
    const { journal, store } = this.#o
    const types: readonly EventType[] = ['run.starting', 'agent.deleted', ...endings]
    for await (const item of journal.read(undefined, { types }, this.#closing.signal)) {
      if (item.kind === 'resync') {
        for (const [agentId, runId] of [...this.#runs]) {
          const life = await store.read.lives.get(agentId)
          if (life?.runId !== runId || !live.includes(life.state)) this.#ended(agentId, runId)
        }
        continue
      }
      const { type, agentId, data } = item.event
      if (agentId === null) continue
      if (type === 'agent.deleted') this.#runs.delete(agentId)
      else if (typeof data.run_id !== 'string') continue
      else if (type === 'run.starting') this.#runs.set(agentId, data.run_id)
      else this.#ended(agentId, data.run_id)
    }
  }

  #ended(agentId: string, runId: string): void {
    if (this.#runs.get(agentId) === runId) this.#runs.delete(agentId)
    const taken = this.#posts.get(agentId)?.taken
    for (const [topic, run] of [...(taken ?? [])]) if (run === runId) taken?.delete(topic)
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
