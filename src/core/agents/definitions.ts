import { createHash } from 'node:crypto'
import type { z } from 'zod'
import { commandDefinition, type NewAgent } from '../../contract/agents.ts'
import { type Policy, policy } from '../../contract/policy.ts'
import { teamDefinition } from '../../contract/team.ts'
import { RegentError } from '../../kernel/errors.ts'
import { isObject, type Json, type JsonObject } from '../../kernel/json.ts'
import type { AgentRow } from '../../ports/store.ts'

/** What each kind is made of. A kind that is not here cannot be created yet. */
const schemas: Partial<Record<AgentRow['kind'], z.ZodObject>> = { team: teamDefinition.strict(), command: commandDefinition.strict() }

const restartOf: Record<AgentRow['kind'], Policy['restart']> = {
  team: 'always',
  runbook: 'always',
  command: 'on-failure',
  container: 'on-failure',
}

/** Checks a definition and gives it back as posted: defaults are applied when it is read, unknown keys of json_config stay. */
export function checkDefinition(kind: AgentRow['kind'], given: unknown): JsonObject {
  const schema = schemas[kind]
  if (!schema) throw new RegentError('NOT_YET', `agents of kind ${kind} are not there yet`)
  const parsed = schema.safeParse(given)
  if (!parsed.success) throw invalid(parsed.error)
  return given as JsonObject
}

/** The keys of a new agent that make its definition; a team's parts as they were given, without a schema's defaults. */
export function definitionOf(agent: NewAgent, given: unknown): JsonObject {
  const { kind, owner: _owner, name: _name, policy: _policy, limits: _limits, ...definition } = agent
  const posted = isObject(given) && isObject(given.agent) ? given.agent : {}
  return {
    ...definition,
    ...(kind === 'team' && { subagents: posted.subagents, json_config: posted.json_config }),
  } as unknown as JsonObject
}

/** A policy as far as somebody spoke of it. */
export type Said = { readonly [K in keyof Policy]?: Policy[K] | undefined }

/** Fills in what was not said, from the kind and this Regent's configuration. */
export function policyOf(kind: AgentRow['kind'], given: Said, defaults: Partial<Policy>): Policy {
  const said = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  return policy.parse({ restart: restartOf[kind], ...defaults, ...said })
}

/** A definition with some keys replaced; `null` removes one. */
export function patched(definition: JsonObject, change: Readonly<Record<string, unknown>>): JsonObject {
  const result: Record<string, Json> = { ...definition }
  for (const [key, value] of Object.entries(change)) {
    if (value === null) delete result[key]
    else result[key] = value as Json
  }
  return result
}

/** Equal for values that are equal as JSON, whatever the order of their keys. */
export function fingerprint(value: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(sorted(value)))
    .digest('hex')
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (!isObject(value)) return value
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key])]),
  )
}

/** A schema's findings as an error that names each field. */
export function invalid(error: z.ZodError, prefix = ''): RegentError {
  const fields = error.issues
    .slice(0, 20)
    .map((issue) => ({ path: [prefix, ...issue.path.map(String)].filter(Boolean).join('.'), message: words(issue) }))
  const first = fields[0]
  const more = error.issues.length > 1 ? ` (and ${error.issues.length - 1} more)` : ''
  return new RegentError('INVALID', `${first?.path || 'the input'}: ${first?.message ?? 'is not valid'}${more}`, { fields })
}

function words(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys')
    return `unknown key ${issue.keys
      .slice(0, 5)
      .map((key) => `'${key.slice(0, 80)}'`)
      .join(', ')}`
  if (issue.code === 'invalid_type') {
    if (issue.input === undefined && /received undefined$/.test(issue.message)) return 'is missing'
    const received = /received (\S+)$/.exec(issue.message)?.[1]
    return `must be ${kinds[issue.expected] ?? issue.expected}${received === undefined ? '' : `, not ${kinds[received] ?? received}`}`
  }
  if (issue.code === 'invalid_value') return `must be ${issue.values.length === 1 ? '' : 'one of '}${issue.values.map(String).join(', ')}`
  const choices = /^Invalid discriminator value\. Expected (.+)$/.exec(issue.message)?.[1]
  return choices === undefined ? issue.message : `must be one of ${choices.replaceAll(' |', ',').replaceAll("'", '')}`
}

const kinds: Readonly<Record<string, string>> = {
  array: 'a list',
  object: 'an object',
  record: 'an object',
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
}
