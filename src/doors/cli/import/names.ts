import { agentName } from '../../../contract/names.ts'
import type { Imported, Section } from './findings.ts'

/** Gives out names that agents may have, each once; a change is remarked upon. */
export class Names {
  readonly #taken = new Set<string>()

  of(wanted: string, section: Section): string {
    const allowed = allow(wanted)
    let name = allowed
    for (let count = 2; this.#taken.has(name); count++) name = `${allowed.slice(0, 60)}-${count}`
    this.#taken.add(name)
    if (name !== wanted) section.remark('name', `'${wanted}' is named ${name} here`)
    return name
  }
}

function allow(wanted: string): string {
  const plain = wanted
    .normalize('NFKD')
    .replaceAll(/[^A-Za-z0-9_-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+|-+$/g, '')
    .slice(0, 64)
  if (plain === '') return 'agent'
  return agentName.safeParse(plain).success ? plain : `${plain.slice(0, 58)}-agent`
}

/** Who depends on another comes after it; else in the order of priority, then of the file. */
export function inOrder(programs: readonly Imported[]): Imported[] {
  const byName = new Map(programs.map((one) => [one.agent.name, one]))
  const sorted = new Set<Imported>()
  const visit = (one: Imported, path: ReadonlySet<Imported>): void => {
    if (sorted.has(one) || path.has(one)) return
    for (const name of Object.keys(one.agent.policy?.depends_on ?? {})) {
      const other = byName.get(name)
      if (other) visit(other, new Set([...path, one]))
    }
    sorted.add(one)
  }
  for (const one of programs.toSorted((a, b) => a.priority - b.priority)) visit(one, new Set())
  return [...sorted]
}
