import type { Clock } from '../../kernel/clock.ts'
import { RegentError, reasonOf } from '../../kernel/errors.ts'
import { isObject, type JsonObject } from '../../kernel/json.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Bus, Incoming, Outgoing, Subscription, Topic } from '../../ports/bus.ts'
import type { AgentRow, EventRow, Store } from '../../ports/store.ts'
import type { Claims } from '../agents/options.ts'
import type { Relay } from '../events/outbox.ts'
import { envelopeOf, type Heard, hear, requestOf } from './envelopes.ts'
import { post } from './inbox.ts'
import type { Links } from './links.ts'

export interface ChannelOptions {
  readonly store: Store
  readonly bus: Bus
  readonly clock: Clock
  readonly logger: Logger
  readonly links: Pick<Links, 'deliver' | 'answer'>
}

interface Channel {
  readonly agentId: string
  readonly owner: string
  readonly name: string
  readonly key: string
  /** Set where Regent's own bus carries it; a broker's channel is the runner's. */
  readonly stem: string | undefined
}

/** Where people write to the agent, and where it speaks; confirmation requests go to both. */
const inbound = (stem: string): Topic => ({ name: `agent:${stem}` })
const outbound = (stem: string): Topic => ({ name: `agent_${stem}` })

/**
 * The channels of agents with pub/sub on. Those of backend `memory` are carried here: what comes in goes into the agent's durable inbox
 * before the bus hears of success, and what the agent does goes out from the journal.
 */
export class Channels implements Claims {
  readonly #options: ChannelOptions
  readonly #channels = new Map<string, Channel>()
  readonly #subscriptions = new Map<string, Promise<Subscription>[]>()

  constructor(options: ChannelOptions) {
    this.#options = options
  }

  /** To be called once, before doors open. */
  async open(): Promise<void> {
    for (const agent of await this.#options.store.read.agents.list({ kind: 'team' })) this.add(agent)
  }

  check(agent: AgentRow): void {
    const mine = channelOf(agent)
    if (!mine) return
    for (const other of this.#channels.values()) {
      if (other.key !== mine.key || other.owner === mine.owner) continue
      const message = `channel '${mine.key}' belongs to another user`
      throw new RegentError('ALREADY_EXISTS', message, { hint: 'choose another pubsub_config.channel_name', details: { what: 'channel' } })
    }
  }

  add(agent: AgentRow): void {
    const before = this.#channels.get(agent.id)
    const channel = channelOf(agent)
    if (before?.key === channel?.key && before?.stem === channel?.stem) return
    if (before) this.#drop(agent.id)
    if (!channel) return
    this.#channels.set(agent.id, channel)
    if (channel.stem !== undefined) this.#subscribe(channel, channel.stem)
  }

  remove(agentId: string): void {
    this.#drop(agentId)
  }

  /** Carries what agents say and ask out to their channels. */
  relay(): Relay {
    return {
      name: 'channels',
      messages: async (event) => {
        if (event.type === 'agent.deleted' && event.agentId) this.remove(event.agentId)
        return this.#outgoing(event)
      },
    }
  }

  async close(): Promise<void> {
    const all = [...this.#subscriptions.values()].flat()
    this.#subscriptions.clear()
    await Promise.all(all.map(async (subscription) => (await subscription).close()))
  }

  #outgoing(event: EventRow): { topic: Topic; message: Outgoing }[] {
    const channel = event.agentId === null ? undefined : this.#channels.get(event.agentId)
    const stem = channel?.stem
    if (stem === undefined) return []
    if (event.type === 'approval.requested') {
      const message = { id: `${event.number}`, body: JSON.stringify(requestOf(event)), contentType: 'application/json' }
      return [
        { topic: inbound(stem), message },
        { topic: outbound(stem), message },
      ]
    }
    const envelope = event.type === 'message.sent' ? envelopeOf(event, `agent_${stem}`) : undefined
    if (!envelope) return []
    return [{ topic: outbound(stem), message: { id: `${event.number}`, body: JSON.stringify(envelope), contentType: 'application/json' } }]
  }

  #subscribe(channel: Channel, stem: string): void {
    const { bus, logger } = this.#options
    const take = (withPrompts: boolean) => (message: Incoming) => this.#take(channel, message, withPrompts)
    const failed = (error: unknown) => {
      logger.error({ agent: channel.agentId, channel: stem, error: reasonOf(error) }, 'a channel could not be subscribed')
      throw error
    }
    this.#subscriptions.set(channel.agentId, [
      bus.subscribe(inbound(stem), take(true), { group: channel.agentId }).catch(failed),
      bus.subscribe(outbound(stem), take(false), { group: channel.agentId }).catch(failed),
    ])
  }

  #drop(agentId: string): void {
    this.#channels.delete(agentId)
    const subscriptions = this.#subscriptions.get(agentId) ?? []
    this.#subscriptions.delete(agentId)
    for (const subscription of subscriptions) void subscription.then((one) => one.close())
  }

  async #take(channel: Channel, message: Incoming, withPrompts: boolean): Promise<void> {
    const heard: Heard = hear(message.body)
    if (heard.kind === 'answer') return this.#answer(channel, heard.requestId, heard.confirmed)
    if (heard.kind !== 'prompt' || !withPrompts) return
    const { store, clock, links } = this.#options
    await store.transaction(async (tables) => {
      const agent = await tables.agents.get(channel.agentId)
      if (!agent) return
      const id = `channel:${channel.agentId}:${message.id}`
      await post(
        tables,
        agent,
        { id, conversation: 'main', content: heard.content, metadata: heard.metadata, sender: 'channel', actor: 'channel' },
        clock,
      )
    })
    links.deliver(channel.agentId)
  }

  async #answer(channel: Channel, approvalId: string, confirmed: boolean): Promise<void> {
    const { store, links, logger } = this.#options
    const row = await store.read.approvals.get(approvalId)
    if (row?.agentId !== channel.agentId || row.state !== 'pending') return
    const told = await links.answer(channel.agentId, approvalId, confirmed, 'channel', 'channel')
    if (told.outcome !== 'accepted') logger.info({ approval: approvalId, outcome: told.outcome }, 'an answer on a channel came too late')
  }
}

function channelOf(agent: AgentRow): Channel | undefined {
  if (agent.kind !== 'team') return undefined
  const config = agent.definition.json_config as JsonObject | undefined
  const pubsub = config?.pubsub_config
  if (config?.pubsub_enabled !== true || !isObject(pubsub)) return undefined
  const stem = typeof pubsub.channel_name === 'string' ? pubsub.channel_name : agent.name
  const backend = pubsub.use_redis === true ? 'redis' : typeof pubsub.backend === 'string' ? pubsub.backend : 'memory'
  return {
    agentId: agent.id,
    owner: agent.owner,
    name: agent.name,
    key: `${backend}:${stem}`,
    stem: backend === 'memory' ? stem : undefined,
  }
}
