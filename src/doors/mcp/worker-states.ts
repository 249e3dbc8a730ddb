import type { PendingPermission, WorkerView } from '../../contract/workers.ts'

/** How `wait` tells of workers, as an earlier generation of these tools did. */
export interface WaitState {
  readonly result: string | null
  readonly completed: readonly object[]
  readonly failed: readonly object[]
  readonly pending_permissions: readonly PendingPermission[]
}

const completed = (view: WorkerView) => ({
  worker_id: view.id,
  task_id: view.id,
  claude_session_id: view.session_id,
  output_file: view.output_file,
  timeout: view.timeout,
  cost_usd: view.usage.cost_usd,
})

const failed = (view: WorkerView) => ({
  worker_id: view.id,
  task_id: view.id,
  returncode: view.exit_code,
  output_file: view.output_file,
  error_hint: view.error_hint ?? view.failure ?? '',
  timeout: view.timeout,
  error: view.failure,
})

export function stateOf(workers: readonly WorkerView[], permissions: readonly PendingPermission[]): WaitState {
  const done = workers.filter(({ state }) => state === 'completed')
  return {
    result: done[0]?.id ?? null,
    completed: done.map(completed),
    failed: workers.filter(({ state }) => state !== 'completed').map(failed),
    pending_permissions: permissions,
  }
}
