import { isObject, type Json, type JsonObject, tryParse } from '../../../kernel/json.ts'

/** Reads one value of a document whose shape another program decides; the last word says which type it must have. */
export function at(value: unknown, ...path: readonly string[]): unknown {
  let found: unknown = value
  for (const key of path) found = isObject(found) && Object.hasOwn(found, key) ? found[key] : undefined
  return found
}

export function textAt(value: unknown, ...path: readonly string[]): string | undefined {
  const found = at(value, ...path)
  return typeof found === 'string' ? found : undefined
}

export function numberAt(value: unknown, ...path: readonly string[]): number | undefined {
  const found = at(value, ...path)
  return typeof found === 'number' && Number.isFinite(found) ? found : undefined
}

/** A count that another program tells: a whole number that is not below 0. */
export function countAt(value: unknown, ...path: readonly string[]): number {
  return Math.max(0, Math.round(numberAt(value, ...path) ?? 0))
}

export function objectAt(value: unknown, ...path: readonly string[]): JsonObject {
  const found = at(value, ...path)
  return isObject(found) ? (found as JsonObject) : {}
}

export function listAt(value: unknown, ...path: readonly string[]): readonly unknown[] {
  const found = at(value, ...path)
  return Array.isArray(found) ? found : []
}

/** An object for what may be any JSON: what is none goes under `value`, texts that hold an object are read. */
export function asObject(value: unknown): JsonObject {
  const read = typeof value === 'string' ? (tryParse(value) ?? value) : value
  if (isObject(read)) return read as JsonObject
  return read === undefined || read === null ? {} : { value: read as Json }
}

/** Texts as they are, all else as JSON. */
export function asText(value: unknown): string {
  return typeof value === 'string' ? value : value === undefined ? '' : JSON.stringify(value)
}
