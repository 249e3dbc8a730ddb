import { type BrokerSettings, brokerKey, describeBroker } from '../../contract/brokers.ts'
import type { ChannelTopic } from '../../contract/channels.ts'
import { hear } from '../../contract/envelopes.ts'
import type { EventType } from '../../contract/events.ts'
import type { Clock } from '../../kernel/clock.ts'
import { RegentError, reasonOf } from '../../kernel/errors.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Brokers } from '../../ports/brokers.ts'
import type { Incoming } from '../../ports/bus.ts'
import type { Store } from '../../ports/store.ts'
import type { Journal } from '../events/journal.ts'
import { untilDone } from './again.ts'
import { InOrder, type Waiting } from './in-order.ts'
import type { Links } from './links.ts'
import { isPassing, PROMPTS_AT_ONCE, type Prompt, storePrompts } from './prompts.ts'

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

/** Why it is not listened to, and since when, epoch ms. */
export interface Trouble {
  readonly reason: string
  readonly since: number
}

/** Far more than are stored by one transaction: what waits beyond it is dropped by the bus. */
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
  readonly #troubles = new Map<string, Trouble>()
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

  /** From now on, tried again where it fails; for one that is listened to already under other settings, anew. */
  stand(agentId: string, topics: readonly ChannelTopic[], settings: BrokerSettings): void {
    const fleeting = topics.filter((topic) => topic.fleeting)
    const key = `${brokerKey(settings)} ${fleeting.map(({ name }) => name).join(' ')}`
    const before = this.#posts.get(agentId)
    if (before?.key === key || this.#closing.signal.aborted) return
    if (before) this.leave(agentId)
    if (fleeting.length === 0) return
    const leaving = new AbortController()
    const taken = new Map<string, string>()
    const failed = (error: unknown) => {
      const reason = reasonOf(error)
      this.#troubles.set(agentId, { reason, since: this.#troubles.get(agentId)?.since ?? this.#o.clock.now() })
      this.#o.logger.warn({ agent: agentId, broker: describeBroker(settings), reason }, 'nobody listens for a stopped agent')
    }
    const listening = () => this.#listen(agentId, fleeting, settings, { taken, leaving: leaving.signal })
    const open = untilDone(listening, failed, { clock: this.#o.clock, signal: leaving.signal })
    this.#posts.set(agentId, { settings, key, leaving, taken, open })
  }

  /** Where it is wanted and cannot be. */
  troubleOf(agentId: string): Trouble | undefined {
    return this.#troubles.get(agentId)
  }

  leave(agentId: string): void {
    this.#troubles.delete(agentId)
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
      const handler = (topic: ChannelTopic) => {
        const lane = new InOrder<Incoming>(PROMPTS_AT_ONCE, (batch) => this.#take(agentId, topic, batch, taken))
        return (message: Incoming) => lane.add(message)
      }
      const subscriptions = await Promise.allSettled(topics.map((topic) => bus.subscribe(topic, handler(topic), options)))
      const failed = subscriptions.find((one) => one.status === 'rejected')
      if (!failed) {
        this.#troubles.delete(agentId)
        await aborted(leaving)
      }
      await Promise.all(subscriptions.map(async (one) => one.status === 'fulfilled' && one.value.close()))
      if (failed) throw failed.reason
    } finally {
      forget()
      await brokers.release(settings)
    }
  }

  /** In their order: what stands behind a listener's word is not looked at before that word is known to be true or not. */
  async #take(agentId: string, { name }: ChannelTopic, batch: readonly Waiting<Incoming>[], taken: Map<string, string>): Promise<void> {
    const prompts: Prompt[] = []
    for (const { item } of batch) {
      const heard = hear(item.body)
      if (heard.kind === 'listener' && (await this.#isPresent(agentId, heard.run))) {
        if (heard.what === 'here') taken.set(name, heard.run)
        else if (taken.get(name) === heard.run) taken.delete(name)
      }
      if (heard.kind !== 'prompt' || taken.has(name)) continue
      prompts.push({ id: `channel:${agentId}:${name}:${item.id}`, content: heard.content, metadata: heard.metadata })
    }
    await this.#store(agentId, name, prompts)
    for (const { done } of batch) done()
  }

  /** All of them, or as many as can be: nobody has them again. */
  async #store(agentId: string, channel: string, prompts: readonly Prompt[]): Promise<void> {
    if (prompts.length === 0) return
    const { links, logger } = this.#o
    try {
      await storePrompts(this.#o, agentId, prompts)
      links.deliver(agentId)
    } catch (error) {
      const code = error instanceof RegentError ? error.code : 'INTERNAL'
      const isOneToBlame = code === 'TOO_MANY' || !isPassing(error)
      if (prompts.length > 1 && isOneToBlame) for (const prompt of prompts) await this.#store(agentId, channel, [prompt])
      else
        logger.warn(
          { agent: agentId, channel, messages: prompts.length, reason: reasonOf(error) },
          'messages of a channel that keeps nothing were lost',
        )
    }
  }

  /** Whether it is the run of this agent that lives; looked up where it was not heard of yet. */
  async #isPresent(agentId: string, runId: string): Promise<boolean> {
    if (runId === this.#runs.get(agentId)) return true
    const run = await this.#o.store.read.runs.get(runId).catch((error: unknown) => {
      this.#o.logger.warn({ agent: agentId, run: runId, reason: reasonOf(error) }, 'whether a run listens to a channel is not known')
      return undefined
    })
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
