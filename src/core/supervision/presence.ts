import type { Condition } from '../../contract/agents.ts'
import type { Activity } from '../../contract/states.ts'

export interface PresenceView {
  readonly activity: Activity | null
  readonly conditions: readonly Condition[]
  readonly linked: boolean
}

const nobody: PresenceView = { activity: null, conditions: [], linked: false }

/** What agents say of themselves over their links: true only while it is said, so kept in memory. */
export class Presence {
  readonly #known = new Map<string, PresenceView>()

  of(agentId: string): PresenceView {
    return this.#known.get(agentId) ?? nobody
  }

  set(agentId: string, view: PresenceView): void {
    this.#known.set(agentId, view)
  }

  /** The runner is gone: what it missed is unknown now. */
  clear(agentId: string): void {
    this.#known.delete(agentId)
  }
}
