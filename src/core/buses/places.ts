import type { BrokerSettings } from '../../contract/brokers.ts'
import type { BrokerName } from '../../contract/bus-operations.ts'
import type { ChannelDefaults, ChannelTopic } from '../../contract/channels.ts'
import type { Caller } from '../../contract/tokens.ts'
import type { Clock } from '../../kernel/clock.ts'
import { RegentError } from '../../kernel/errors.ts'
import type { Brokers, NamedBroker } from '../../ports/brokers.ts'
import type { Bus, Topic } from '../../ports/bus.ts'
import type { Secrets } from '../../ports/secrets.ts'
import type { Store } from '../../ports/store.ts'
import { findAgent } from '../agents/find.ts'
import type { Viewing } from '../agents/views.ts'
import { placeOfAgent } from '../conversations/channel-places.ts'

export interface PlaceOptions {
  readonly store: Store
  readonly bus: Bus
  readonly brokers: Brokers
  readonly secrets: Secrets
  readonly clock: Clock
  readonly conditionsOf: Viewing['conditionsOf']
  readonly channelDefaults: ChannelDefaults
}

/** What a caller said of where. */
export interface Wanted {
  readonly topic?: string | undefined
  readonly broker?: BrokerName | undefined
  readonly agent?: string | undefined
  readonly fleeting: boolean
  readonly exchange?: string | undefined
}

/** A topic at a broker. `stem` is there for an agent's channel. */
export interface Place {
  readonly bus: Bus
  readonly broker: string
  /** The agent, by its id, whose channel it is. */
  readonly agentId?: string
  readonly topic: Topic
  readonly stem?: string
  /** To be called once, when the bus is not needed any more. */
  readonly done: () => void
}

const nothing = () => {}
/** The client of an agent's own broker is kept for so long after its last use. */
const LINGER_MS = 60_000

/** Throws NOT_FOUND, with what there is and how to name another, for a broker that the configuration does not name. */
export function brokerNamed(brokers: Brokers, name: BrokerName): NamedBroker {
  const { configured } = brokers
  const found = configured.find((one) => one.name === name) ?? configured.find(({ bus }) => bus.kind === name)
  if (found) return found
  const settings = { redis: 'REDIS_URL', kafka: 'MSK_BOOTSTRAP_SERVERS', rabbitmq: 'RABBITMQ_URL', stomp: 'ACTIVEMQ_HOST', bus: '' }
  throw new RegentError(
    'NOT_FOUND',
    `the configuration names no broker '${name}'; there is ${configured.map((one) => one.name).join(', ')}`,
    {
      hint: `name it with ${settings[name]} before Regent starts; see docs/buses.md`,
      details: { what: 'broker' },
    },
  )
}

/** Throws FORBIDDEN for whoever is no admin. */
export function needAdmin({ role, user }: Caller, what: string): void {
  if (role === 'admin') return
  throw new RegentError('FORBIDDEN', `${what} needs the role admin; ${user} has ${role}`, {
    hint: 'with an agent named, whoever may use the agent may use its channel',
  })
}

/** Regent may read more than an agent may, and whoever makes an agent names these files. */
function needFiles({ tls }: BrokerSettings, { role }: Caller): void {
  if (role === 'admin' || (tls?.ca ?? tls?.cert ?? tls?.key) === undefined) return
  throw new RegentError('FORBIDDEN', "the agent's broker is reached with files, which Regent reads for admins alone", {
    hint: 'ask an admin, or speak with the broker by a client of its own; messages can be sent with: regent send AGENT',
  })
}

/** Where a caller means, checked: a topic for admins, an agent's channel for those who may use the agent. */
export async function placeOf(options: PlaceOptions, wanted: Wanted, caller: Caller, way: 'inbound' | 'outbound'): Promise<Place> {
  if (wanted.agent !== undefined) return channelOf(options, wanted, wanted.agent, caller, way)
  needAdmin(caller, 'a topic of a broker')
  const { topic, exchange, fleeting } = wanted
  if (topic === undefined) throw new RegentError('INVALID', 'topic is missing', { hint: 'name a topic, or an agent' })
  const { name, bus } = brokerNamed(options.brokers, wanted.broker ?? 'bus')
  if (exchange !== undefined && bus.kind !== 'rabbitmq')
    throw new RegentError('INVALID', `${name} is ${bus.kind}, which knows no exchanges`, { hint: 'leave exchange out' })
  if (fleeting && bus.kind !== 'redis' && bus.kind !== 'memory')
    throw new RegentError('INVALID', `${name} is ${bus.kind}, which knows no fleeting topics`, { hint: 'leave fleeting out' })
  return {
    bus,
    broker: name,
    topic: { name: topic, ...(exchange !== undefined && { exchange }), ...(fleeting && { fleeting }) },
    done: nothing,
  }
}

async function channelOf(options: PlaceOptions, wanted: Wanted, ref: string, caller: Caller, way: 'inbound' | 'outbound'): Promise<Place> {
  for (const field of ['topic', 'broker', 'exchange'] as const)
    if (wanted[field] !== undefined)
      throw new RegentError('INVALID', `${field} and agent were both given`, {
        hint: `leave ${field} out: an agent's channel is where it is`,
      })
  const agent = await findAgent(options.store.read, ref, caller)
  const name = `${agent.owner}/${agent.name}`
  const place = placeOfAgent(agent, await options.secrets.get(agent.id), options.channelDefaults)
  if (!place)
    throw new RegentError('ILLEGAL_STATE', `${name} has no channel`, {
      hint: `turn pubsub_enabled on in its json_config, or use: regent send ${name}`,
    })
  const taken = options.conditionsOf(agent.id).find(({ type }) => type === 'channel')
  if (taken) throw new RegentError('ILLEGAL_STATE', `${name} does not have its channel: ${taken.message}`)
  const topic = pick(place[way], wanted.fleeting)
  const { broker, stem } = place
  const agentId = agent.id
  if (broker === undefined) return { bus: options.bus, broker: 'bus', agentId, topic, stem, done: nothing }
  needFiles(broker, caller)
  const bus = await options.brokers.at(broker)
  const release = () => void options.brokers.release(broker).catch(() => undefined)
  return { bus, broker: place.backend, agentId, topic, stem, done: () => void options.clock.after(LINGER_MS, release) }
}

/** Of the ways that one channel has, the one that keeps messages, unless the other is asked for. */
function pick(topics: readonly ChannelTopic[], fleeting: boolean): Topic {
  const found = topics.find((one) => (one.fleeting ?? false) === fleeting) ?? topics[0]
  if (!found) throw new RegentError('INTERNAL', 'a channel has no topic')
  return found
}
