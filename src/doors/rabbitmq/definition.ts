import { createHash } from 'node:crypto'
import { type AgentConfig, agentConfig, CONFIG_KEY } from '../../contract/agent-commands.ts'
import { agentName } from '../../contract/names.ts'
import { referenced } from '../../contract/secret-reference.ts'
import { isObject, type JsonObject } from '../../kernel/json.ts'

const instructions: Readonly<Record<AgentConfig['agent_type'], string>> = {
  trading: 'You are a trading agent for cryptocurrencies and stocks. You weigh risk before profit and say what you are not sure of.',
  analysis: 'You analyse markets and data. You say what the figures show, what they do not show, and how sure you are.',
  risk_management: 'You manage the risk of portfolios. You name exposures, limits and what breaks them first.',
  portfolio_optimization: 'You optimise the allocation of assets. You give weights, the reasons for them and what would change them.',
  custom: 'You are a helpful agent.',
}

export interface Team {
  readonly subagents: readonly object[]
  readonly json_config: Readonly<Record<string, unknown>>
}

/** The agent as a team of one, which carries the caller's own config with it, whole. */
export function teamOf(given: AgentConfig): Team {
  const { sequence: _, ...config } = given
  const model = modelOf(config.autogen_config)
  const message = config.autogen_config.system_message
  const base = typeof message === 'string' && message.trim() !== '' ? message : instructions[config.agent_type]
  const about = config.description ? `\nWhat you are for: ${config.description}` : ''
  const member = { name: config.agent_type, instruction: `${base}${about}`, servers: [], ...(model !== undefined && { model }) }
  return { subagents: [member], json_config: { ...(model !== undefined && { default_model: model }), [CONFIG_KEY]: config } }
}

/** `model`, or the first of `custom_models`, as texts or as AutoGen's entries. */
function modelOf({ model, custom_models: models }: Readonly<Record<string, unknown>>): string | undefined {
  const first: unknown = Array.isArray(models) ? models[0] : undefined
  const named = [model, first, isObject(first) ? first.model : undefined]
  return named.find((one): one is string => typeof one === 'string' && one !== '' && one.length <= 200)
}

/** Names to try for it, the nicest first; the last is its own. */
export function namesFor({ name, agent_type: type, agent_id: id, customer_id: customer }: AgentConfig): string[] {
  const plain = name
    .normalize('NFKD')
    .replaceAll(/\p{M}/gu, '')
    .replaceAll(/[^A-Za-z0-9_-]+/g, '-')
    .replaceAll(/^[-_]+|[-_]+$/g, '')
    .slice(0, 50)
  const own = `${plain || type}-${createHash('sha256').update(`${customer}/${id}`).digest('hex').slice(0, 12)}`
  return agentName.safeParse(plain).success ? [plain, own] : [own]
}

/** The config that an agent was made of, as stored: references stand in the places of secrets. */
export function configOf(definition: JsonObject): AgentConfig | undefined {
  const kept = isObject(definition.json_config) ? definition.json_config[CONFIG_KEY] : undefined
  const parsed = agentConfig.safeParse(kept)
  return parsed.success ? parsed.data : undefined
}

/** Whether a config is the one that is stored, as far as it can be seen: a secret is taken to be the same. */
export function sameConfig(stored: unknown, given: unknown): boolean {
  if (typeof stored === 'string' && referenced(stored) !== undefined) return typeof given === 'string'
  if (Array.isArray(stored) && Array.isArray(given))
    return stored.length === given.length && stored.every((one, index) => sameConfig(one, given[index]))
  if (!isObject(stored) || !isObject(given)) return Object.is(stored, given)
  const keys = new Set([...Object.keys(stored), ...Object.keys(given)])
  keys.delete('sequence')
  return [...keys].every((key) => sameConfig(stored[key], given[key]))
}
