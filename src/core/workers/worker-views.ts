import type { WorkerView } from '../../contract/workers.ts'
import type { Store } from '../../ports/store.ts'
import type { WorkerRow } from '../../ports/worker-store.ts'
import { pendingPermissions } from './permission-rows.ts'
import { isOpen } from './worker-moves.ts'

const PROMPT_CHARACTERS = 500

export interface WorkerViewing {
  readonly store: Store
  /** Why a queued one waits, where that is known. */
  readonly whyQueued: (row: WorkerRow) => string | undefined
}

export async function viewsOf({ store, whyQueued }: WorkerViewing, rows: readonly WorkerRow[]): Promise<WorkerView[]> {
  const asking = rows.filter((row) => isOpen(row) && row.spec.permissions === 'ask').map(({ id }) => id)
  const pending = await pendingPermissions(store.read, asking)
  return rows.map((row) => ({
    ...viewOf(row, row.state === 'queued' ? (whyQueued(row) ?? row.reason) : row.reason),
    pending_permissions: pending.filter(({ workerId }) => workerId === row.id).length,
  }))
}

function viewOf(row: WorkerRow, reason: string): Omit<WorkerView, 'pending_permissions'> {
  return {
    id: row.id,
    owner: row.owner,
    namespace: row.namespace,
    label: row.label,
    agent: row.agent,
    state: row.state,
    reason,
    claimed: row.claimed,
    prompt: row.prompt.slice(0, PROMPT_CHARACTERS),
    turn: row.turn,
    priority: row.priority,
    cwd: row.cwd,
    branch: row.branch,
    model: row.spec.model ?? null,
    session_id: row.sessionId,
    pid: row.state === 'running' ? row.pid : null,
    run_id: row.runId,
    timeout: row.timeout / 1000,
    exit_code: row.exitCode,
    result: row.result,
    failure: row.failure,
    failure_kind: row.failureKind,
    error_hint: row.errorHint,
    output_file: row.outputFile,
    usage: { input_tokens: row.inputTokens, output_tokens: row.outputTokens, cost_usd: row.costUsd, run_seconds: row.ranFor / 1000 },
    budget: row.budget,
    race: row.raceId,
    created_at: row.createdAt,
    queued_at: row.queuedAt,
    started_at: row.startedAt,
    ended_at: row.endedAt,
    retry_at: row.retryAt,
  }
}
