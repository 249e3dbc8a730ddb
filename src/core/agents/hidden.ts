import { referenced, referenceTo } from '../../contract/secret-reference.ts'
import { isObject, type Json, type JsonObject } from '../../kernel/json.ts'

/** What stands for a secret wherever a definition is shown. Given back on a change it means: leave it as it is. */
const MASK = '***'

const secretKey =
  /(^|[_-])(api|access|secret|private|auth)[_-]?key$|(^|[_-])(token|secret|password|passwd|authorization|cookie|credentials?)$/i
const camelCase = /([a-z])([A-Z])/g
/** Texts of people: whatever their keys are called, they are no secrets. */
const people = new Set(['subagents', 'initial_task', 'command'])
/**
 * Takes the secrets out of a definition: `definition` has references in their places, `secrets` the values by path.
 * A value that is the mask keeps what `before` holds under the same path; where there is nothing, it stays an empty text.
 */
export function hide(
  definition: JsonObject,
  before: Readonly<Record<string, string>> = {},
): { definition: JsonObject; secrets: Record<string, string> } {
  const secrets: Record<string, string> = {}
  const place = (key: string, value: string, path: string): string => {
    if (value === '' || !isSecret(key)) return value
    const kept = value === MASK || value === referenceTo(path) ? before[path] : value
    if (kept === undefined) return ''
    secrets[path] = kept
    return referenceTo(path)
  }
  const hidden = Object.fromEntries(
    Object.entries(definition).map(([key, value]) => [key, people.has(key) ? value : walk(value, key, key, place)]),
  )
  return { definition: hidden, secrets }
}

/** The definition with a mask for every secret. */
export function masked(definition: JsonObject): JsonObject {
  const place = (_key: string, value: string): string => (referenced(value) === undefined ? value : MASK)
  return Object.fromEntries(Object.entries(definition).map(([key, value]) => [key, people.has(key) ? value : walk(value, key, key, place)]))
}

function walk(value: Json, key: string, path: string, place: (key: string, value: string, path: string) => string): Json {
  if (typeof value === 'string') return place(key, value, path)
  if (Array.isArray(value)) return value.map((inner: Json, index) => walk(inner, key, `${path}.${index}`, place))
  if (!isObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, walk(inner as Json, name, `${path}.${name}`, place)]))
}

function isSecret(key: string): boolean {
  return secretKey.test(key.replace(camelCase, '$1_$2'))
}
