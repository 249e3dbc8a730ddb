import type { AgentRow } from '../../ports/store.ts'
import { dependenciesOf } from './dependencies.ts'

/** As much of an agent as its place among the others takes. */
export type Known = Pick<AgentRow, 'id' | 'owner' | 'name' | 'policy'>

/** Who depends on whom among the agents that keepers have seen, both ways, so that nobody has to look through all of them. */
export class Dependents {
  /** By agent: the `owner/name` of what it depends on. */
  readonly #needs = new Map<string, readonly string[]>()
  readonly #dependents = new Map<string, Set<string>>()
  /** Agents whose stop waits for their dependents', by `owner/name`. */
  readonly #holding = new Map<string, string>()

  /** Takes note of what it depends on now. */
  note(agent: Known): void {
    const before = this.#needs.get(agent.id)
    const needs = dependenciesOf(agent).map(([name]) => `${agent.owner}/${name}`)
    if (!before && needs.length === 0) return
    for (const name of before ?? []) this.#drop(name, agent.id)
    if (needs.length === 0) this.#needs.delete(agent.id)
    else this.#needs.set(agent.id, needs)
    for (const name of needs) this.#dependents.set(name, (this.#dependents.get(name) ?? new Set()).add(agent.id))
  }

  of({ owner, name }: Known): readonly string[] {
    return [...(this.#dependents.get(`${owner}/${name}`) ?? [])]
  }

  /** Its stop waits, or does not any more. */
  hold({ id, owner, name }: Known, holds: boolean): void {
    if (holds) this.#holding.set(`${owner}/${name}`, id)
    else this.#holding.delete(`${owner}/${name}`)
  }

  /** Whose next step may depend on this agent: those that depend on it, and those whose stop waits for its. */
  concerned(agent: Known): readonly string[] {
    const above = this.of(agent)
    if (this.#holding.size === 0) return above
    return [...above, ...(this.#needs.get(agent.id) ?? []).flatMap((name) => this.#holding.get(name) ?? [])]
  }

  forget(agent: Known): void {
    this.hold(agent, false)
    for (const name of this.#needs.get(agent.id) ?? []) this.#drop(name, agent.id)
    this.#needs.delete(agent.id)
  }

  #drop(name: string, agentId: string): void {
    const set = this.#dependents.get(name)
    set?.delete(agentId)
    if (set?.size === 0) this.#dependents.delete(name)
  }
}
