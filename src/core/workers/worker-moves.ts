import type { EventType } from '../../contract/events.ts'
import { type FailureKind, openWorkerStates, type WorkerState } from '../../contract/workers.ts'
import type { Json, JsonObject } from '../../kernel/json.ts'
import type { RunHandle } from '../../ports/runtime.ts'
import type { NewEvent, Tables } from '../../ports/store.ts'
import type { TurnRow, WorkerRow } from '../../ports/worker-store.ts'

/** Which states follow which. Whatever has ended can be given another turn. */
const next: Readonly<Record<WorkerState, readonly WorkerState[]>> = {
  queued: ['running', 'failed', 'cancelled'],
  running: ['completed', 'failed', 'cancelled', 'limited'],
  limited: ['queued', 'cancelled', 'failed'],
  completed: ['queued'],
  failed: ['queued'],
  cancelled: ['queued'],
}

export const isOpen = ({ state }: Pick<WorkerRow, 'state'>): boolean => openWorkerStates.includes(state)

const events: Readonly<Partial<Record<WorkerState, EventType>>> = {
  queued: 'worker.queued',
  limited: 'worker.limited',
  completed: 'worker.completed',
  failed: 'worker.failed',
  cancelled: 'worker.cancelled',
}

/** As every store can hold it: PostgreSQL knows no NUL in a text, and none has half characters. */
export const storable = (text: string): string => text.replaceAll('\0', '\uFFFD').toWellFormed()

export interface Move {
  readonly to: WorkerState
  readonly reason: string
  readonly at: number
  readonly actor: string
}

/** An event that tells of a worker. */
export function workerEvent(row: WorkerRow, type: EventType, at: number, actor: string, data: JsonObject = {}): NewEvent {
  const about = { worker_id: row.id, namespace: row.namespace, turn: row.turn, ...(row.raceId !== null && { race: row.raceId }) }
  return { at, type, agentId: row.id, agent: null, owner: row.owner, actor, data: { ...about, ...data } }
}

/** The one place where `workers.state` is written: the row, its turn, and the event that tells of it. Answers the row as it is then. */
export async function moveWorker(
  tables: Tables,
  row: WorkerRow,
  { to, reason, at, actor }: Move,
  columns: Partial<Omit<WorkerRow, 'id' | 'state' | 'reason'>> = {},
  data: JsonObject = {},
): Promise<WorkerRow> {
  if (!next[row.state].includes(to)) throw new Error(`a worker does not go from ${row.state} to ${to}`)
  const change = { ...columns, state: to, reason }
  const after = { ...row, ...change }
  await tables.workers.update(row.id, change)
  if (after.turn === row.turn) await tables.workers.updateTurn(row.id, row.turn, turnChange(row, after))
  else await tables.workers.insertTurn(turnOf(after))
  const type = events[to]
  if (type) await tables.events.append(workerEvent(after, type, at, actor, { from: row.state, to, reason, ...data }))
  return after
}

function turnChange(before: WorkerRow, after: WorkerRow): Partial<TurnRow> {
  return {
    state: after.state,
    runId: after.runId,
    ...(before.state === 'queued' && after.state === 'running' && { startedAt: after.startedAt }),
    ...(!isOpen(after) && { endedAt: after.endedAt }),
  }
}

export const turnOf = (row: WorkerRow): TurnRow => ({
  workerId: row.id,
  turn: row.turn,
  owner: row.owner,
  prompt: row.prompt,
  runId: row.runId,
  state: row.state,
  startedAt: null,
  endedAt: null,
  inputTokens: 0,
  outputTokens: 0,
  costUsd: null,
  ranFor: 0,
})

/** The run is on record before it is started, under the handle that it will have. */
export function beginTurn(
  tables: Tables,
  row: WorkerRow,
  begin: {
    readonly handle: RunHandle
    readonly cwd: string
    readonly branch: string | null
    readonly sessionId: string | null
    readonly at: number
  },
): Promise<WorkerRow> {
  const { handle, cwd, branch, sessionId, at } = begin
  const columns = {
    ...{ runId: handle.runId, handle: { ...handle } as unknown as Json, pid: null, lines: 0, cwd, branch, sessionId },
    ...{ startedAt: at, endedAt: null, retryAt: null },
  }
  return moveWorker(tables, row, { to: 'running', reason: 'its CLI is being started', at, actor: 'regent' }, columns)
}

export interface Failure {
  readonly kind: FailureKind
  readonly message: string
  readonly hint?: string | null
}

/** A turn that never got as far as a process. */
export function failTurn(tables: Tables, row: WorkerRow, failure: Failure, at: number): Promise<WorkerRow> {
  const columns = {
    failureKind: failure.kind,
    failure: storable(failure.message),
    errorHint: storable(failure.hint ?? failure.message.slice(0, 150)),
    endedAt: at,
  }
  return moveWorker(
    tables,
    row,
    { to: 'failed', reason: columns.failure, at, actor: 'regent' },
    { ...columns, wanted: 'run' },
    endData(row, columns),
  )
}

export function cancelTurn(
  tables: Tables,
  row: WorkerRow,
  at: number,
  columns: Partial<Omit<WorkerRow, 'id' | 'state' | 'reason'>> = {},
): Promise<WorkerRow> {
  const all = { failure: 'cancelled', errorHint: 'Cancelled.', ...columns, wanted: 'run', endedAt: at, retryAt: null } as const
  return moveWorker(tables, row, { to: 'cancelled', reason: 'cancelled as asked', at, actor: 'regent' }, all, endData(row, all))
}

/** What the events that end a turn say beside its state. */
export function endData(row: WorkerRow, columns: Partial<WorkerRow>): JsonObject {
  const now = { ...row, ...columns }
  return {
    session_id: now.sessionId,
    exit_code: now.exitCode,
    result: now.result === null ? null : now.result.slice(0, 500),
    failure_kind: now.failureKind,
    failure: now.failure,
    cost_usd: now.costUsd,
    output_file: now.outputFile,
  }
}
