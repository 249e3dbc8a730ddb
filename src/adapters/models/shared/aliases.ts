import { RegentError } from '../../../kernel/errors.ts'
import { nearest } from '../../../kernel/nearest.ts'

export const efforts = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh'] as const
export type Effort = (typeof efforts)[number]

export const providers = ['anthropic', 'openai', 'generic', 'offline'] as const
export type Provider = (typeof providers)[number]

/** What a reference such as `haiku`, `gpt-4o.high` or `openai.meta-llama/Llama-3.1-8B` means. */
export interface ModelReference {
  readonly provider: Provider
  readonly model: string
  readonly effort: Effort | undefined
  /** Of an alias: asked in the model's stead once its provider says that it does not offer it any more. */
  readonly successors: readonly string[]
}

/** Short names, each with the models that it means, the first that is offered. */
const aliases = new Map<string, readonly [Provider, string, ...string[]]>([
  ['haiku', ['anthropic', 'claude-3-5-haiku-latest', 'claude-haiku-4-5']],
  ['haiku35', ['anthropic', 'claude-3-5-haiku-latest']],
  ['haiku45', ['anthropic', 'claude-haiku-4-5']],
  ['sonnet', ['anthropic', 'claude-sonnet-4-6', 'claude-sonnet-5']],
  ['sonnet4', ['anthropic', 'claude-sonnet-4-0']],
  ['opus', ['anthropic', 'claude-opus-4-6', 'claude-opus-5']],
  ['opus4', ['anthropic', 'claude-opus-4-1']],
  ['claude', ['anthropic', 'claude-sonnet-4-6', 'claude-sonnet-5']],
])

const familyOf: readonly (readonly [RegExp, Provider])[] = [
  [/^claude-/, 'anthropic'],
  [/^(gpt-|chatgpt-|o\d)/, 'openai'],
]

/**
 * An alias, a model of a family that is known by its name, or `provider.model`; each may end in `.effort`. Where `compatible`
 * (an OpenAI-compatible address is configured), any other name is a model of that address. Throws INVALID.
 */
export function parseReference(reference: string, compatible: boolean): ModelReference {
  const { name, effort } = splitEffort(reference.trim())
  if (name === 'offline') return { provider: 'offline', model: 'offline', effort: undefined, successors: [] }
  const [provider, model, ...successors] = aliases.get(name) ?? explicit(name) ?? byFamily(name) ?? []
  if (provider !== undefined && model !== undefined) return { provider, model, effort, successors }
  if (compatible && name !== '') return { provider: 'generic', model: name, effort, successors: [] }
  throw unknown(reference, name)
}

function splitEffort(reference: string): { name: string; effort: Effort | undefined } {
  const at = reference.lastIndexOf('.')
  const last = reference.slice(at + 1)
  const effort = at > 0 ? efforts.find((one) => one === last) : undefined
  return { name: effort === undefined ? reference : reference.slice(0, at), effort }
}

function explicit(name: string): [Provider, string] | undefined {
  const at = name.indexOf('.')
  const provider = providers.find((one) => one === name.slice(0, at))
  const model = name.slice(at + 1)
  return provider === undefined || model === '' ? undefined : [provider, aliasedModel(provider, model)]
}

/** `anthropic.haiku` means what `haiku` means. */
function aliasedModel(provider: Provider, model: string): string {
  const alias = aliases.get(model)
  return alias?.[0] === provider ? alias[1] : model
}

function byFamily(name: string): [Provider, string] | undefined {
  const family = familyOf.find(([pattern]) => pattern.test(name))
  return family && [family[1], name]
}

function unknown(reference: string, name: string): RegentError {
  const meant = nearest(name, [...aliases.keys(), 'offline'])
  const shown = reference.length > 100 ? `${reference.slice(0, 100)}…` : reference
  return new RegentError('INVALID', `there is no model "${shown}"`, {
    hint: `${meant === undefined ? '' : `Did you mean "${meant}"? `}Write an alias (${[...aliases.keys()].join(', ')}), anthropic.MODEL or openai.MODEL; any OpenAI-compatible address serves as generic.MODEL once OPENAI_BASE_URL or openai.base_url names it.`,
  })
}
