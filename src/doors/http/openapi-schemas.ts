import { z } from 'zod'
import { isObject } from '../../kernel/json.ts'

/** A JSON document in the making. */
export type Doc = Record<string, unknown>

/** Turns a schema into one of the document; named parts go to its components. */
export type Describe = (schema: z.ZodType, io: 'input' | 'output') => Doc

/**
 * Describes schemas into `schemas`. The same name for an input and an output that differ (defaults make them) would be one too few: the later is told apart.
 */
export function describeInto(schemas: Doc): Describe {
  return (schema, io) => {
    const { $schema: _, $defs, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as Doc
    const names = new Map<string, string>()
    const parts = Object.entries(isObject($defs) ? $defs : {})
    for (const [name, part] of parts) {
      const known = schemas[name]
      const differs = known !== undefined && JSON.stringify(known) !== JSON.stringify(rename(part, names))
      names.set(name, differs ? `${name}${io === 'input' ? 'Input' : 'Output'}` : name)
    }
    for (const [name, part] of parts) schemas[names.get(name) ?? name] = rename(part, names)
    return rename(rest, names) as Doc
  }
}

function rename(value: unknown, names: ReadonlyMap<string, string>): unknown {
  if (Array.isArray(value)) return value.map((inner) => rename(inner, names))
  if (!isObject(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      if (key !== '$ref' || typeof inner !== 'string') return [key, rename(inner, names)]
      const name = inner.slice(inner.lastIndexOf('/') + 1)
      return [key, `#/components/schemas/${names.get(name) ?? name}`]
    }),
  )
}
