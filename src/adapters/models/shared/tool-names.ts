import { createHash } from 'node:crypto'

/** Translates between names of tools and what providers accept as one: 64 letters, digits, `_` and `-`. */
export interface ToolNames {
  toProvider(name: string): string
  /** As it came, where no tool of the request has the name. */
  fromProvider(name: string): string
}

const accepted = /^[A-Za-z0-9_-]{1,64}$/

export function toolNames(tools: Iterable<string>): ToolNames {
  const known = new Map<string, string>()
  for (const name of tools) known.set(safeName(name), name)
  return { toProvider: safeName, fromProvider: (name) => known.get(name) ?? name }
}

/** The same name always becomes the same one, and two different names never do. */
function safeName(name: string): string {
  if (accepted.test(name)) return name
  const mark = createHash('sha256').update(name).digest('hex').slice(0, 8)
  return `${name.replace(/[^A-Za-z0-9_-]/g, '_').slice(0, 55)}_${mark}`
}
