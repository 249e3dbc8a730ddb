import { z } from 'zod'
import { referenced } from '../contract/secret-reference.ts'
import { type SubAgent, subAgent, type TeamConfig, teamConfig } from '../contract/team.ts'
import { type FieldError, RegentError } from '../kernel/errors.ts'
import { isObject } from '../kernel/json.ts'

/** What an agent file hands to its Team. */
export interface TeamInput {
  readonly name: string
  readonly subagents: readonly unknown[]
  readonly config: unknown
}

export interface TeamSpec {
  readonly name: string
  readonly subagents: readonly SubAgent[]
  readonly config: TeamConfig
  /** Keys of secrets that the definition names and nobody gave; empty texts stand in their place. */
  readonly missingSecrets: readonly string[]
}

/**
 * Checks a definition and puts the secrets in. Who names no model has the team's `default_model`, and a team without one has
 * `model`. Throws INVALID with the fields that are wrong.
 */
export function readTeam(input: TeamInput, secrets: Readonly<Record<string, string>>, model?: string): TeamSpec {
  const missing = new Set<string>()
  const named = input.subagents.filter((entry) => !isObject(entry) || entry.name !== undefined)
  const filled = fill(input.config, secrets, missing)
  const config = parse(teamConfig, model !== undefined && isObject(filled) ? { default_model: model, ...filled } : filled, 'config')
  const withModel = (entry: unknown) => (isObject(entry) ? { model: config.default_model, ...entry } : entry)
  const subagents = parse(z.array(subAgent), named.map(withModel), 'subagents')
  const names = subagents.map(({ name }) => name.toLowerCase())
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw new RegentError('INVALID', `two subagents are called '${twice}'; a plan could not tell them apart`)
  return { name: parse(z.string().min(1).max(200), input.name, 'name'), subagents, config, missingSecrets: [...missing] }
}

const secretName = /key|token|secret|passw|authorization|cookie|credential/i

/** The texts in a configuration that stand under the name of a secret, to be masked wherever something is said. */
export function secretsIn(config: unknown): string[] {
  if (!isObject(config) && !Array.isArray(config)) return []
  return Object.entries(config).flatMap(([name, value]: [string, unknown]) =>
    typeof value === 'string' ? (secretName.test(name) ? [value] : []) : secretsIn(value),
  )
}

function parse<T>(schema: z.ZodType<T>, value: unknown, where: string): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const fields = parsed.error.issues.map((issue): FieldError => ({ path: [where, ...issue.path].join('.'), message: issue.message }))
  const told = fields.map(({ path, message }) => `${path}: ${message}`).join('; ')
  throw new RegentError('INVALID', `the definition of the agent is not right: ${told}`, { fields })
}

/** The same value with every text that is a reference replaced by its secret. */
function fill(value: unknown, secrets: Readonly<Record<string, string>>, missing: Set<string>): unknown {
  if (typeof value === 'string') {
    const key = referenced(value)
    if (key === undefined) return value
    const secret = Object.hasOwn(secrets, key) ? secrets[key] : undefined
    if (secret === undefined) missing.add(key)
    return secret ?? ''
  }
  if (Array.isArray(value)) return value.map((inner) => fill(inner, secrets, missing))
  if (!isObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, fill(inner, secrets, missing)]))
}
