import { createHash } from 'node:crypto'
import type { PendingPermission } from '../../contract/workers.ts'
import { hashedUuid } from '../../kernel/ids.ts'
import type { JsonObject } from '../../kernel/json.ts'
import type { ApprovalRow, Tables } from '../../ports/store.ts'
import type { WorkerRow } from '../../ports/worker-store.ts'
import { workerEvent } from './worker-moves.ts'

/** The server that a worker's permission is shown to belong to. */
export const PERMISSIONS = 'permissions'
const MOST_PENDING = 500

/** The same question of the same run has the same id, however often it is asked. */
export function permissionId(runId: string, requestId: string): string {
  const hex = createHash('sha256').update(`${runId} ${requestId}`).digest('hex')
  return hashedUuid(hex, '8')
}

export const pendingOf = (row: ApprovalRow): PendingPermission => ({
  request_id: row.id,
  worker_id: row.workerId ?? '',
  tool: row.tool,
  input: { ...row.arguments },
})

/** What these workers wait for, oldest first. */
export async function pendingPermissions(tables: Tables, workerIds: readonly string[]): Promise<ApprovalRow[]> {
  if (workerIds.length === 0) return []
  return (await tables.approvals.list({ workerIds, state: 'pending', limit: MOST_PENDING })).reverse()
}

export interface Verdict {
  readonly allow: boolean
  /** A user, `timeout`, or `regent`. */
  readonly by: string
  readonly via: string | null
  readonly at: number
}

/** Closes a question that waits; false where it was closed before. */
export async function closePermission(tables: Tables, worker: WorkerRow, id: string, { allow, by, via, at }: Verdict): Promise<boolean> {
  const row = await tables.approvals.get(id)
  if (row?.state !== 'pending') return false
  await tables.approvals.update(id, { state: allow ? 'confirmed' : 'rejected', answeredAt: at, answeredBy: by, via })
  const data: JsonObject = { id, confirmed: allow, by, via, tool: row.tool }
  await tables.events.append(workerEvent(worker, 'approval.answered', at, by, data))
  return true
}

/** The worker has ended: nobody hears an answer any more. */
export async function closePermissions(tables: Tables, worker: WorkerRow, at: number): Promise<void> {
  if (worker.spec.permissions !== 'ask') return
  for (const { id } of await pendingPermissions(tables, [worker.id]))
    await closePermission(tables, worker, id, { allow: false, by: 'regent', via: null, at })
}
