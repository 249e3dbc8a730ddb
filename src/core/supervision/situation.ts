import type { EventType } from '../../contract/events.ts'
import type { JsonObject } from '../../kernel/json.ts'
import type { AgentRow, LifeRow, RunRow, Tables } from '../../ports/store.ts'
import type { StateChange } from './states.ts'

/** One agent as supervision sees it: who it is, how it lives, its present or last run. */
export interface Record {
  readonly agent: AgentRow
  readonly life: LifeRow
  readonly run: RunRow | undefined
}

export async function loadRecord(tables: Tables, agentId: string): Promise<Record | undefined> {
  const agent = await tables.agents.get(agentId)
  const life = agent && (await tables.lives.get(agentId))
  if (!life) return undefined
  return { agent, life, run: life.runId === null ? undefined : await tables.runs.get(life.runId) }
}

/** Appends an event about an agent. */
export async function tell(tables: Tables, agent: AgentRow, type: EventType, at: number, actor: string, data: JsonObject): Promise<void> {
  await tables.events.append({ at, type, agentId: agent.id, agent: `${agent.owner}/${agent.name}`, owner: agent.owner, actor, data })
}

/** Stores a change of state with what goes along, and the event that tells of it: the one place where `lives.state` is written. */
export async function applyMove(
  tables: Tables,
  agent: AgentRow,
  change: StateChange,
  columns: Partial<Omit<LifeRow, 'agentId' | 'state' | 'reason' | 'since'>> = {},
  data: JsonObject = {},
): Promise<void> {
  await tables.lives.update(agent.id, { ...columns, state: change.to, reason: change.reason, since: change.at })
  await tell(tables, agent, change.event, change.at, 'regent', { from: change.from, to: change.to, reason: change.reason, ...data })
}
