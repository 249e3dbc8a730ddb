import type { Condition, Resources } from '../../contract/agents.ts'
import type { Health } from '../../contract/states.ts'

export interface HealthView {
  readonly health: Health | null
  readonly ready: boolean | null
}

const unseen: HealthView = { health: null, ready: null }

/** What Regent sees of live agents from outside: true only while it looks, so kept in memory. */
export class Observed {
  readonly #health = new Map<string, HealthView>()
  readonly #resources = new Map<string, Resources>()
  readonly #stalled = new Set<string>()
  /** By agent, then by who says so. */
  readonly #conditions = new Map<string, Map<string, readonly Condition[]>>()

  health(agentId: string): HealthView {
    return this.#health.get(agentId) ?? unseen
  }

  setHealth(agentId: string, view: HealthView): void {
    if (view.health === null && view.ready === null) this.#health.delete(agentId)
    else this.#health.set(agentId, view)
  }

  resources(agentId: string): Resources | null {
    return this.#resources.get(agentId) ?? null
  }

  setResources(agentId: string, resources: Resources): void {
    this.#resources.set(agentId, resources)
  }

  clearResources(agentId: string): void {
    this.#resources.delete(agentId)
  }

  stalled(agentId: string): boolean {
    return this.#stalled.has(agentId)
  }

  setStalled(agentId: string, stalled: boolean): void {
    if (stalled) this.#stalled.add(agentId)
    else this.#stalled.delete(agentId)
  }

  conditions(agentId: string): readonly Condition[] {
    return [...(this.#conditions.get(agentId)?.values() ?? [])].flat()
  }

  /** All that `source` has to say of this agent now. */
  setConditions(agentId: string, source: string, conditions: readonly Condition[]): void {
    const known = this.#conditions.get(agentId) ?? new Map<string, readonly Condition[]>()
    if (conditions.length === 0) known.delete(source)
    else known.set(source, conditions)
    if (known.size === 0) this.#conditions.delete(agentId)
    else this.#conditions.set(agentId, known)
  }

  /** Its run is over. */
  clear(agentId: string): void {
    this.#health.delete(agentId)
    this.#resources.delete(agentId)
    this.#stalled.delete(agentId)
    this.#conditions.delete(agentId)
  }
}
