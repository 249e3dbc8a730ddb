import type { Policy } from '../../contract/policy.ts'
import type { Ids } from '../../kernel/ids.ts'
import type { Calendar } from '../../ports/calendar.ts'
import type { Project } from '../../ports/project.ts'
import type { Secrets } from '../../ports/secrets.ts'
import type { AgentRow, Store } from '../../ports/store.ts'
import type { Viewing } from './views.ts'

/** Channels that agents listen on: one cannot belong to two owners, and whoever was there first has it. */
export interface Claims {
  /** Takes note of a stored agent's channel. */
  add(agent: AgentRow): void
  /** Whether a change brings the agent another channel. */
  moves(before: AgentRow, after: AgentRow): boolean
}

/** Where it is kept since when an agent claims its channel, epoch ms; nothing there: since it was created. */
export const claimCursor = (agentId: string): string => `channel:${agentId}`

export interface AgentsOptions extends Viewing {
  readonly store: Store
  readonly project: Project
  readonly secrets: Secrets
  readonly ids: Ids
  readonly claims: Claims
  readonly wake: (agentId: string) => void
  /** An agent was created or changed, and stored so. */
  readonly changed: (agent: AgentRow) => void
  readonly calendar: Calendar
  /** The name of this Regent among several on one store. */
  readonly node: string
  /** Defaults of the configuration, below what an agent says. */
  readonly defaults: Partial<Policy>
  readonly caps: { readonly perUser: number }
}
