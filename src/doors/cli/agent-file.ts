import { type FieldError, RegentError, reasonOf } from '../../kernel/errors.ts'
import { isObject } from '../../kernel/json.ts'
import { placeOfMistake } from './json-place.ts'

/** An agent as a file gives it; the server checks it whole. */
export type WrittenAgent = Record<string, unknown> & { readonly kind: string; readonly name: string; readonly owner?: string }

/**
 * The agents of a JSON or YAML text: one, a list of them, or several YAML documents; each in the native form or as the manager API
 * takes it (`username`, `name`, `subagents`, `json_config`, `initial_task`). `file` opens the messages.
 */
export async function readAgents(text: string, file: string): Promise<WrittenAgent[]> {
  const documents = await parseDocuments(text, file)
  const agents = documents.flat().filter((agent) => agent !== null && agent !== undefined)
  if (agents.length === 0)
    throw new RegentError('INVALID', `${file} holds no agent`, { hint: 'a file of an agent has at least kind and name' })
  return agents.map((agent, index) => nativeForm(agent, agents.length === 1 ? file : `${file}, agent ${index + 1}`))
}

/** The one document of a JSON text, or those of a YAML one. Throws INVALID with the place of the mistake. */
export async function parseDocuments(text: string, file: string): Promise<unknown[]> {
  return /^\s*[[{]/.test(text) ? [parseJson(text, file)] : parseYaml(text, file)
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new RegentError('INVALID', `${file}${placeOfMistake(text)}: not JSON: ${reasonOf(error)}`, { cause: error })
  }
}

async function parseYaml(text: string, file: string): Promise<unknown[]> {
  const { parseAllDocuments } = await import('yaml')
  const parsed = parseAllDocuments(text)
  const documents = Array.isArray(parsed) ? parsed : []
  const problem = documents.flatMap(({ errors }) => errors)[0]
  if (problem) {
    const { line, col } = problem.linePos?.[0] ?? { line: 1, col: 1 }
    throw new RegentError('INVALID', `${file}:${line}:${col}: ${problem.message}`, { cause: problem })
  }
  return documents.map((document) => document.toJS({ maxAliasCount: 100 }))
}

/** An error about an agent of a file, with both of them. */
export function inFile(error: unknown, file: string, agent: WrittenAgent): unknown {
  if (!(error instanceof RegentError) || error.code !== 'INVALID') return error
  const message = `${file}: ${agent.name}: ${error.message.replace(/^agent\./, '')}`
  const hint = error.hint === undefined ? {} : { hint: error.hint }
  return new RegentError(error.code, message, { ...hint, fields: error.fields, details: error.details, cause: error })
}

function nativeForm(agent: unknown, where: string): WrittenAgent {
  if (!isObject(agent)) throw new RegentError('INVALID', `${where} is not an object with the fields of an agent`)
  const { username, ...rest } = agent
  const owner = agent.owner ?? username
  const kind = agent.kind ?? (agent.command === undefined ? 'team' : 'command')
  const missing: FieldError[] = typeof agent.name === 'string' ? [] : [{ path: 'name', message: 'is missing' }]
  if (missing.length > 0) throw new RegentError('INVALID', `${where}: name is missing`, { fields: missing })
  return { ...rest, kind, ...(owner === undefined ? {} : { owner }) } as WrittenAgent
}
