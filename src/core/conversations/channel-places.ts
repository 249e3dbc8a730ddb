import type { BrokerSettings } from '../../contract/brokers.ts'
import { type ChannelDefaults, type ChannelPlace, type ChannelTopic, channelPlace } from '../../contract/channels.ts'
import { referenced } from '../../contract/secret-reference.ts'
import { teamConfig } from '../../contract/team.ts'
import { isObject } from '../../kernel/json.ts'
import type { AgentRow } from '../../ports/store.ts'

/**
 * Where the channel of an agent is; undefined where it has none. `secrets`: the values of its definition's references, needed to
 * reach the broker. Throws INVALID where its definition names no broker.
 */
export function placeOfAgent(
  agent: Pick<AgentRow, 'kind' | 'name' | 'definition'>,
  secrets: Readonly<Record<string, string>>,
  defaults: ChannelDefaults,
): ChannelPlace | undefined {
  const config = agent.definition.json_config
  if (agent.kind !== 'team' || !isObject(config)) return undefined
  const parsed = teamConfig.safeParse(revealed(config, secrets))
  return parsed.success ? channelPlace(agent.name, parsed.data, defaults) : undefined
}

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
  if (Array.isArray(value)) return value.map((one: unknown) => revealed(one, secrets))
  if (!isObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, revealed(inner, secrets)]))
}
