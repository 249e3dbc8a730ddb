import type { EventType } from '../../contract/events.ts'
import { RegentError } from '../../kernel/errors.ts'
import type { JsonObject } from '../../kernel/json.ts'
import type { AgentRow, LifeRow, Tables } from '../../ports/store.ts'
import { notFound } from '../agents/find.ts'
import { type DependencyOptions, dependenciesOf, findRecord, isMet } from './dependencies.ts'
import { loadRecord, tell } from './situation.ts'

/** What a command writes: the intent alone. The keeper does the rest. */
export type Intend = (
  life: LifeRow,
  runStart: number,
) => { readonly change: Partial<Pick<LifeRow, 'desired' | 'start' | 'reason'>>; readonly event: EventType | null; readonly deleting?: true }

export const intendStart: Intend = (life, runStart) => {
  const under = runStart < life.start || ['STARTING', 'RUNNING', 'UNKNOWN'].includes(life.state)
  if (life.desired === 'running' && under) return { change: {}, event: null }
  return { change: { desired: 'running', start: life.start + 1 }, event: 'agent.start_requested' }
}

export const intendStop: Intend = (life) => {
  if (life.desired === 'stopped') return { change: {}, event: null }
  const untold = life.state === 'STOPPED' ? { reason: 'stopped as asked, before it was started' } : {}
  return { change: { desired: 'stopped', ...untold }, event: 'agent.stop_requested' }
}

export const intendRestart: Intend = (life) => ({
  change: { desired: 'running', start: life.start + 1 },
  event: 'agent.restart_requested',
})

export const intendDelete: Intend = (life) => ({
  change: { desired: 'stopped' },
  event: life.desired === 'running' ? 'agent.stop_requested' : null,
  deleting: true,
})

/** Who asks for it, when, and why, where it is not for its own sake: `needed by alice/web`. */
export interface Asking {
  readonly actor: string
  readonly at: number
  readonly cause?: string
}

/** Writes an intent, with its event; answers the `start` that is wanted now. Whoever calls it wakes the keeper after the commit. */
export async function writeIntent(tables: Tables, agentId: string, intend: Intend, { actor, at, cause }: Asking): Promise<number> {
  const record = await loadRecord(tables, agentId)
  if (!record) throw notFound(agentId)
  const { agent: row, life, run } = record
  const { change, event, deleting } = intend(life, run?.start ?? 0)
  if (row.deleting && !deleting) throw new RegentError('ILLEGAL_STATE', `${row.owner}/${row.name} is being deleted`)
  if (deleting && !row.deleting) await tables.agents.update(agentId, { deleting: true })
  if (Object.keys(change).length > 0) await tables.lives.update(agentId, change)
  const start = change.start ?? life.start
  const data: JsonObject = { start, ...(deleting && { deleting }), ...(cause !== undefined && { cause }) }
  if (event) await tell(tables, row, event, at, actor, data)
  return start
}

/**
 * Wants everything an agent depends on, directly or not, that is not there: in the transaction of its own start. Answers the ids
 * whose keepers are to be woken.
 */
export async function wantDependencies(
  tables: Tables,
  agent: AgentRow,
  { actor, at }: Asking,
  options: DependencyOptions,
  seen = new Set<string>(),
): Promise<string[]> {
  const wanted: string[] = []
  for (const [name, condition] of dependenciesOf(agent)) {
    if (seen.has(name)) continue
    seen.add(name)
    const record = await findRecord(tables, agent.owner, name)
    if (!record || isMet(record, condition, options)) continue
    await writeIntent(tables, record.agent.id, intendStart, { actor, at, cause: `needed by ${agent.owner}/${agent.name}` })
    wanted.push(record.agent.id, ...(await wantDependencies(tables, record.agent, { actor, at }, options, seen)))
  }
  return wanted
}

/** Wants an agent and all it depends on. Answers the `start` that is wanted, and the ids whose keepers are to be woken. */
export async function writeStart(
  tables: Tables,
  agent: AgentRow,
  intend: Intend,
  asking: Asking,
  options: DependencyOptions,
): Promise<{ readonly start: number; readonly woken: readonly string[] }> {
  const start = await writeIntent(tables, agent.id, intend, asking)
  return { start, woken: [agent.id, ...(await wantDependencies(tables, agent, asking, options))] }
}
