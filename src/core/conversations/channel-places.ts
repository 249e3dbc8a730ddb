import type { BrokerSettings } from '../../contract/brokers.ts'
import { type ChannelDefaults, type ChannelPlace, type ChannelTopic, channelPlace } from '../../contract/channels.ts'
import { referenced } from '../../contract/secret-reference.ts'
import { teamConfig } from '../../contract/team.ts'
import { RegentError } from '../../kernel/errors.ts'
import { isObject } from '../../kernel/json.ts'
import type { AgentRow } from '../../ports/store.ts'

/**
 * Where the channel of an agent is; undefined where it has none. `secrets`: the values of its definition's references, needed to
 * reach the broker. Throws INVALID where its definition names no broker, or names it by a secret.
 */
export function placeOfAgent(
  agent: Pick<AgentRow, 'kind' | 'name' | 'definition'>,
  secrets: Readonly<Record<string, string>>,
  defaults: ChannelDefaults,
): ChannelPlace | undefined {
  const config = agent.definition.json_config
  if (agent.kind !== 'team' || !isObject(config)) return undefined
  const { pubsub_enabled } = config
  const placeWith = (known: Readonly<Record<string, string>>): ChannelPlace | undefined => {
    // The rest may hold secrets that are not known here, and says nothing of the channel.
    const parsed = teamConfig.safeParse({ pubsub_enabled, pubsub_config: revealed(config.pubsub_config, known) })
    return parsed.success ? channelPlace(agent.name, parsed.data, defaults) : undefined
  }
  const place = placeWith(secrets)
  // Whose a channel is goes by what a definition says openly: a topic or an address behind a reference could be another owner's.
  if (place && Object.keys(secrets).length > 0 && keysOfAny(placeWith({})) !== keysOfAny(place))
    throw new RegentError('INVALID', 'pubsub_config names its broker or its topics by a secret', {
      hint: 'write hosts, ports, prefixes and channel_name openly; passwords alone are secrets',
    })
  return place
}

const keysOfAny = (place: ChannelPlace | undefined): string | undefined => place && keysOf(place).join()

/** What a channel takes up: each of its topics at each address of its broker, so that two that share one share a key. */
export function keysOf({ broker, inbound, outbound }: ChannelPlace): readonly string[] {
  const topics = [...inbound, ...outbound].map(({ name }: ChannelTopic) => name)
  return addressesOf(broker).flatMap((address) => topics.map((topic) => `${address} ${topic}`))
}

const addressesOf = (broker: BrokerSettings | undefined): readonly string[] =>
  broker === undefined
    ? ['memory']
    : broker.addresses.map((address) => `${broker.kind} ${address.toLowerCase().replace(/^localhost:/, '127.0.0.1:')}`)

/** With the secrets in the places of their references; one that is not there is left out. */
function revealed(value: unknown, secrets: Readonly<Record<string, string>>): unknown {
  if (typeof value === 'string') {
    const key = referenced(value)
    return key === undefined ? value : secrets[key]
  }
  const isThere = (inner: unknown): boolean => inner !== undefined
  if (Array.isArray(value)) return value.map((one: unknown) => revealed(one, secrets)).filter(isThere)
  if (!isObject(value)) return value
  const inner = Object.entries(value).map(([name, one]): [string, unknown] => [name, revealed(one, secrets)])
  return Object.fromEntries(inner.filter(([, one]) => isThere(one)))
}
