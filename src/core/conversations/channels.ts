import type { Condition } from '../../contract/agents.ts'
import { confirmationRequest, envelopeOf, type Heard, hear } from '../../contract/envelopes.ts'
import type { Clock } from '../../kernel/clock.ts'
import { reasonOf } from '../../kernel/errors.ts'
import { isObject, type JsonObject } from '../../kernel/json.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Bus, Incoming, Outgoing, Subscription, Topic } from '../../ports/bus.ts'
import type { AgentRow, EventRow, Store } from '../../ports/store.ts'
import { type Claims, claimCursor } from '../agents/options.ts'
import type { Relay } from '../events/outbox.ts'
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
  readonly key: string
  readonly since: number
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
    const { read } = this.#options.store
    const teams = await read.agents.list({ kind: 'team' })
    const since = new Map<string, number>()
    for (const { id, createdAt } of teams) since.set(id, (await read.cursors.get(claimCursor(id))) || createdAt)
    for (const agent of teams.toSorted((a, b) => (since.get(a.id) ?? 0) - (since.get(b.id) ?? 0))) this.add(agent)
  }

  add(agent: AgentRow): void {
    const before = this.#channels.get(agent.id)
    const channel = channelOf(agent)
    if (before?.key === channel?.key) return
    if (before) this.remove(agent.id)
    if (!channel) return
    this.#channels.set(agent.id, channel)
    this.#listen(channel)
  }

  moves(before: AgentRow, after: AgentRow): boolean {
    return channelOf(before)?.key !== channelOf(after)?.key
  }

  /** Its channel is free; another owner's agent that wished for it has it now. */
  remove(agentId: string): void {
    const channel = this.#channels.get(agentId)
    if (!channel) return
    this.#channels.delete(agentId)
    for (const subscription of this.#subscriptions.get(agentId) ?? []) void subscription.then((one) => one.close())
    this.#subscriptions.delete(agentId)
    for (const other of this.#channels.values()) if (other.key === channel.key) this.#listen(other)
  }

  conditionsOf(agentId: string): readonly Condition[] {
    const channel = this.#channels.get(agentId)
    if (!channel || this.#holds(channel)) return []
    const message = 'another user has this channel, so messages come through Regent alone; choose another pubsub_config.channel_name'
    return [{ type: 'channel', subject: channel.key, message, since: channel.since }]
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
    if (stem === undefined || !this.#holds(channel)) return []
    if (event.type === 'approval.requested') {
      const message = { id: `${event.number}`, body: JSON.stringify(confirmationRequest(event.data)), contentType: 'application/json' }
      return [
        { topic: inbound(stem), message },
        { topic: outbound(stem), message },
      ]
    }
    const envelope = event.type === 'message.sent' ? envelopeOf(event.data, `agent_${stem}`) : undefined
    if (!envelope) return []
    return [{ topic: outbound(stem), message: { id: `${event.number}`, body: JSON.stringify(envelope), contentType: 'application/json' } }]
  }

  /** The owner who was there first has a channel, with all of his agents. */
  #holds(channel: Channel | undefined): boolean {
    const first = [...this.#channels.values()].find((other) => other.key === channel?.key)
    return first?.owner === channel?.owner
  }

  #listen(channel: Channel): void {
    const { stem, agentId } = channel
    if (stem === undefined || !this.#holds(channel) || this.#subscriptions.has(agentId)) return
    const { bus, logger } = this.#options
    const take = (withPrompts: boolean) => (message: Incoming) => this.#take(channel, message, withPrompts)
    const failed = (error: unknown) => {
      logger.error({ agent: agentId, channel: stem, error: reasonOf(error) }, 'a channel could not be subscribed')
      throw error
    }
    this.#subscriptions.set(agentId, [
      bus.subscribe(inbound(stem), take(true), { group: agentId }).catch(failed),
      bus.subscribe(outbound(stem), take(false), { group: agentId }).catch(failed),
    ])
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
  const carried = backend === 'memory' ? stem : undefined
  return { agentId: agent.id, owner: agent.owner, key: `${backend}:${stem}`, stem: carried, since: agent.createdAt }
}
