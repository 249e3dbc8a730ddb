import type { Condition } from '../../contract/agents.ts'
import type { ChannelDefaults, ChannelHold, ChannelPlace } from '../../contract/channels.ts'
import { confirmationRequest, envelopeOf, type Heard, hear } from '../../contract/envelopes.ts'
import type { Clock } from '../../kernel/clock.ts'
import { reasonOf } from '../../kernel/errors.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Brokers } from '../../ports/brokers.ts'
import type { Bus, Handler, Incoming, Outgoing, Subscription, Topic } from '../../ports/bus.ts'
import type { Secrets } from '../../ports/secrets.ts'
import type { AgentRow, EventRow, Store } from '../../ports/store.ts'
import { type Claims, claimCursor } from '../agents/options.ts'
import type { Journal } from '../events/journal.ts'
import type { Relay } from '../events/outbox.ts'
import { untilDone } from './again.ts'
import { keysOf, placeOfAgent } from './channel-places.ts'
import { InOrder, type Waiting } from './in-order.ts'
import type { Links } from './links.ts'
import { isPassing, PROMPTS_AT_ONCE, type Prompt, storePrompts } from './prompts.ts'
import { StandIn, type Trouble } from './stand-in.ts'

/** Handlers begin in the order of the messages; what they bring is stored in that order, what came during one commit by the next. */
const AT_ONCE = PROMPTS_AT_ONCE

/** Between tries to store a prompt. */
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5000

export interface ChannelOptions {
  readonly store: Store
  readonly journal: Journal
  readonly bus: Bus
  readonly brokers: Brokers
  readonly secrets: Secrets
  readonly channelDefaults: ChannelDefaults
  readonly clock: Clock
  readonly logger: Logger
  readonly links: Pick<Links, 'deliver' | 'answer' | 'tellChannel'>
}

interface Channel {
  readonly agent: AgentRow
  readonly agentId: string
  readonly owner: string
  /** As people know it. */
  readonly subject: string
  readonly keys: readonly string[]
  readonly since: number
  /** Where people write to it; the first where there are several. */
  readonly topic: string
  /** Set where Regent's own bus carries it; a broker's channel is the runner's. */
  readonly stem: string | undefined
}

/** A prompt as the bus gave it. */
interface Heeded extends Prompt {
  /** The subscription ends. */
  readonly ended: AbortSignal
}

/** What is subscribed for one agent, or tried to be; undefined where it was left before. */
interface Listening {
  readonly leaving: AbortController
  readonly made: readonly Promise<Subscription | undefined>[]
  /** By topic. */
  readonly troubles: ReadonlyMap<string, Trouble>
}

/** Where people write to the agent, and where it speaks; confirmation requests go to both. */
const inbound = (stem: string): Topic => ({ name: `agent:${stem}` })
const outbound = (stem: string): Topic => ({ name: `agent_${stem}` })

/**
 * The channels of agents with pub/sub on, and whose they are: no topic of a broker belongs to two owners. Those of backend `memory` are
 * carried here: what comes in goes into the agent's durable inbox before the bus hears of success, and what the agent does goes out from
 * the journal. Those of a broker are the runner's, which is told whether it holds them.
 */
export class Channels implements Claims {
  readonly #options: ChannelOptions
  readonly #standIn: StandIn
  readonly #channels = new Map<string, Channel>()
  readonly #subscriptions = new Map<string, Listening>()
  /** Who has each key; those that hold their channel. */
  readonly #owners = new Map<string, string>()
  readonly #holding = new Set<string>()

  constructor(options: ChannelOptions) {
    this.#options = options
    this.#standIn = new StandIn(options)
  }

  /** To be called once, before doors open. */
  async open(): Promise<void> {
    this.#standIn.begin()
    const { read } = this.#options.store
    const teams = await read.agents.list({ kind: 'team' })
    const since = new Map<string, number>()
    for (const { id, createdAt } of teams) since.set(id, (await read.cursors.get(claimCursor(id))) || createdAt)
    for (const agent of teams.toSorted((a, b) => (since.get(a.id) ?? 0) - (since.get(b.id) ?? 0))) this.add(agent)
  }

  add(agent: AgentRow): void {
    const before = this.#channels.get(agent.id)
    const channel = this.#channelOf(agent)
    const moved = before?.keys.join() !== channel?.keys.join()
    if (moved) this.remove(agent.id)
    if (channel) {
      this.#channels.set(agent.id, channel)
      if (this.#holding.has(agent.id) || this.#claim(channel)) this.#listen(channel)
    }
    if (moved) this.#options.links.tellChannel(agent.id)
  }

  moves(before: AgentRow, after: AgentRow): boolean {
    return this.#channelOf(before)?.keys.join() !== this.#channelOf(after)?.keys.join()
  }

  /** Its channel is free; another owner's agent that wished for it has it now. */
  remove(agentId: string): void {
    if (!this.#channels.delete(agentId)) return
    void this.#leave(agentId)
    this.#standIn.leave(agentId)
    if (!this.#holding.delete(agentId)) return
    this.#owners.clear()
    const held = new Set(this.#holding)
    const all = [...this.#channels.values()]
    for (const channel of [...all.filter((one) => held.has(one.agentId)), ...all.filter((one) => !held.has(one.agentId))]) {
      if (!this.#claim(channel) || held.has(channel.agentId)) continue
      this.#options.links.tellChannel(channel.agentId)
      this.#listen(channel)
    }
  }

  hold(agentId: string): ChannelHold {
    const channel = this.#channels.get(agentId)
    const here = channel !== undefined && channel.stem === undefined
    return here ? { held: this.#holding.has(agentId), topic: channel.topic } : { held: false, topic: '' }
  }

  /** Another owner has the channel that it wishes for. */
  refuses(agentId: string): boolean {
    return this.#channels.has(agentId) && !this.#holding.has(agentId)
  }

  conditionsOf(agentId: string): readonly Condition[] {
    const channel = this.#channels.get(agentId)
    if (!channel) return []
    if (this.#holding.has(agentId)) return this.#troublesOf(channel)
    const message = 'another user has this channel, so messages come through Regent alone; choose another pubsub_config.channel_name'
    return [{ type: 'channel', subject: channel.subject, message, since: channel.since }]
  }

  #troublesOf({ agentId, subject }: Channel): readonly Condition[] {
    const told = (what: string, { reason, since }: Trouble): Condition => ({
      ...{ type: 'broker', subject, message: `${what}: ${reason}; tried again every minute`, since },
    })
    const missed = this.#standIn.troubleOf(agentId)
    const refused = [...(this.#subscriptions.get(agentId)?.troubles ?? [])]
    return [
      ...(missed ? [told('Regent cannot listen to pub/sub in its stead while it is stopped', missed)] : []),
      ...refused.map(([topic, trouble]) => told(`Regent's own bus lets nobody listen to ${topic}`, trouble)),
    ]
  }

  /** Carries what agents say and ask out to their channels. */
  relay(): Relay {
    return {
      name: 'channels',
      types: ['agent.deleted', 'approval.requested', 'message.sent'],
      messages: async (event) => {
        if (event.type === 'agent.deleted' && event.agentId) this.remove(event.agentId)
        return this.#outgoing(event)
      },
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#standIn.close(), ...[...this.#subscriptions.keys()].map((agentId) => this.#leave(agentId))])
  }

  /** Also where the bus was away all the time, so that nothing is subscribed yet. */
  async #leave(agentId: string): Promise<void> {
    const listening = this.#subscriptions.get(agentId)
    this.#subscriptions.delete(agentId)
    listening?.leaving.abort(new Error('the channel is left'))
    const failed = (error: unknown) =>
      this.#options.logger.warn({ agent: agentId, error: reasonOf(error) }, 'a channel was not left in order')
    await Promise.all((listening?.made ?? []).map(async (made) => (await made)?.close().catch(failed)))
  }

  #outgoing(event: EventRow): { topic: Topic; message: Outgoing }[] {
    const channel = event.agentId === null ? undefined : this.#channels.get(event.agentId)
    const stem = channel?.stem
    if (stem === undefined || !this.#holding.has(event.agentId ?? '')) return []
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
  #claim({ agentId, owner, keys }: Channel): boolean {
    if (keys.some((key) => (this.#owners.get(key) ?? owner) !== owner)) return false
    for (const key of keys) this.#owners.set(key, owner)
    this.#holding.add(agentId)
    return true
  }

  #listen(channel: Channel): void {
    const { stem, agentId } = channel
    if (stem === undefined) return void this.#standFor(channel)
    if (this.#subscriptions.has(agentId)) return
    const { bus, clock, logger } = this.#options
    const lane = new InOrder<Heeded>(AT_ONCE, (batch) => this.#store(channel, batch))
    const take = (prompts?: InOrder<Heeded>) => (message: Incoming, ended: AbortSignal) => this.#take(channel, message, ended, prompts)
    const leaving = new AbortController()
    const { signal } = leaving
    const troubles = new Map<string, Trouble>()
    const subscribe = (topic: Topic, handler: Handler, concurrency: number) => {
      const subscribing = async () => {
        const made = await bus.subscribe(topic, handler, { group: agentId, concurrency, signal })
        troubles.delete(topic.name)
        return made
      }
      const refused = (error: unknown) => {
        const reason = reasonOf(error)
        troubles.set(topic.name, { reason, since: troubles.get(topic.name)?.since ?? clock.now() })
        logger.error({ agent: agentId, topic: topic.name, error: reason }, 'a channel could not be subscribed; tried again')
      }
      return untilDone(subscribing, refused, { clock, signal })
    }
    const made = [subscribe(inbound(stem), take(lane), AT_ONCE), subscribe(outbound(stem), take(), 1)]
    this.#subscriptions.set(agentId, { leaving, made, troubles })
  }

  async #standFor({ agent }: Channel): Promise<void> {
    const { secrets, channelDefaults, logger } = this.#options
    try {
      const place = placeOfAgent(agent, await secrets.get(agent.id), channelDefaults)
      if (place?.broker && this.#holding.has(agent.id)) this.#standIn.stand(agent.id, place.inbound, place.broker)
    } catch (error) {
      logger.warn({ agent: agent.id, reason: reasonOf(error) }, 'nobody listens for a stopped agent')
    }
  }

  async #take(channel: Channel, message: Incoming, ended: AbortSignal, lane?: InOrder<Heeded>): Promise<void> {
    const heard: Heard = hear(message.body)
    if (heard.kind === 'answer') return this.#answer(channel, heard.requestId, heard.confirmed)
    if (heard.kind !== 'prompt' || !lane) return
    const id = `channel:${channel.agentId}:${message.id}`
    await lane.add({ id, content: heard.content, metadata: heard.metadata, ended })
  }

  /** One after the other where one cannot be stored at all: it fails alone. Throws when the subscription ends before they are stored. */
  async #store(channel: Channel, batch: readonly Waiting<Heeded>[]): Promise<void> {
    const prompts = batch.map(({ item }) => item)
    try {
      await this.#patiently(channel.agentId, prompts)
      for (const one of batch) one.done()
    } catch (error) {
      const [first] = batch
      if (isPassing(error) || first?.item.ended.aborted) throw error
      if (batch.length === 1) return first?.failed(error)
      for (const one of batch) await this.#store(channel, [one])
    }
  }

  /** While the store is away or the inbox full prompts wait with the bus, in their order: that is no reason to give them up. */
  async #patiently(agentId: string, prompts: readonly Heeded[]): Promise<void> {
    const { clock, logger, links } = this.#options
    const ended = prompts[0]?.ended
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      try {
        await storePrompts(this.#options, agentId, prompts)
        return links.deliver(agentId)
      } catch (error) {
        if (!isPassing(error) || ended?.aborted) throw error
        logger.warn(
          { agent: agentId, prompts: prompts.length, error: reasonOf(error) },
          `prompts cannot be stored; tried again in ${pause} ms`,
        )
        await clock.sleep(pause, ended)
      }
    }
  }

  async #answer(channel: Channel, approvalId: string, confirmed: boolean): Promise<void> {
    const { store, links, logger } = this.#options
    const row = await store.read.approvals.get(approvalId)
    if (row?.agentId !== channel.agentId || row.state !== 'pending') return
    const told = await links.answer(channel.agentId, approvalId, confirmed, 'channel', 'channel')
    if (told.outcome !== 'accepted') logger.info({ approval: approvalId, outcome: told.outcome }, 'an answer on a channel came too late')
  }

  #channelOf(agent: AgentRow): Channel | undefined {
    const place = this.#placeOf(agent)
    if (!place) return undefined
    const { id: agentId, owner, createdAt: since } = agent
    const { backend, stem, broker } = place
    const topic = place.inbound[0]?.name ?? ''
    return { agent, agentId, owner, since, topic, subject: `${backend}:${stem}`, keys: keysOf(place), stem: broker ? undefined : stem }
  }

  /** One whose definition names no broker has no channel; its runner says so. */
  #placeOf(agent: AgentRow): ChannelPlace | undefined {
    try {
      return placeOfAgent(agent, {}, this.#options.channelDefaults)
    } catch {
      return undefined
    }
  }
}
