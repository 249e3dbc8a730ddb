import type { EventType } from '../../contract/events.ts'
import type { JsonObject } from '../../kernel/json.ts'
import type { AgentRecord, AgentRow, LifeRow, NewEvent, Tables } from '../../ports/store.ts'
import type { StateChange } from './states.ts'

export type Record = AgentRecord

export function loadRecord(tables: Tables, agentId: string): Promise<Record | undefined> {
  return tables.records.get(agentId)
}

/** Appends an event about an agent. */
export async function tell(tables: Tables, agent: AgentRow, type: EventType, at: number, actor: string, data: JsonObject): Promise<void> {
  await tables.events.append(eventOf(agent, type, at, actor, data))
}

export function eventOf(agent: AgentRow, type: EventType, at: number, actor: string, data: JsonObject): NewEvent {
  return { at, type, agentId: agent.id, agent: `${agent.owner}/${agent.name}`, owner: agent.owner, actor, data }
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
