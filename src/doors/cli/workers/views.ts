import type { Client } from '../../../client/client.ts'
import type { Output } from '../../../contract/operations.ts'
import { openWorkerStates, type WorkerState } from '../../../contract/states.ts'
import type { WorkerView } from '../../../contract/workers.ts'
import type { Column } from '../output/table.ts'
import type { Colour, Paint } from '../output/terminal.ts'
import { clean, duration, money, timeOf } from '../output/text.ts'

type Filter = Parameters<typeof listPage>[1]
const listPage = (client: Client, input: Parameters<typeof client.call<'workers.list'>>[1], signal?: AbortSignal) =>
  client.call('workers.list', input, { signal })

/** All that match, newest first, page by page. */
export async function listWorkers(client: Client, filter: Filter, signal?: AbortSignal): Promise<WorkerView[]> {
  const workers: WorkerView[] = []
  for (let cursor: string | undefined; ; ) {
    const page: Output<'workers.list'> = await listPage(client, { limit: 500, ...filter, ...(cursor ? { cursor } : {}) }, signal)
    workers.push(...page.workers)
    if (page.next_cursor === null || page.next_cursor === cursor) return workers
    cursor = page.next_cursor
  }
}

/** The beginning of an id that people type; ids of version 7 begin with their time, so that more of them is needed. */
export const shortId = (id: string): string => id.slice(0, id[14] === '7' ? 23 : 8)

export const isOpen = ({ state }: Pick<WorkerView, 'state'>): boolean => openWorkerStates.includes(state)

const stateColours: Readonly<Record<WorkerState, Colour>> = {
  queued: 'dim',
  running: 'cyan',
  limited: 'yellow',
  completed: 'green',
  failed: 'red',
  cancelled: 'yellow',
}
export const workerColour = (state: WorkerState): Colour => stateColours[state]

/** How long it has run: its present turn while it does, all turns once it has ended. In ms. */
export function ranFor({ state, started_at, usage }: WorkerView, now = Date.now()): number {
  return state === 'running' && started_at !== null ? Math.max(0, now - started_at) : usage.run_seconds * 1000
}

const stateOf = ({ state, pending_permissions }: WorkerView): string => (pending_permissions > 0 ? `${state} (asks)` : state)

export const costOf = ({ usage }: Pick<WorkerView, 'usage'>): string => (usage.cost_usd === null ? '-' : money(usage.cost_usd))

/** Why a person should look at it. */
export function whyOf(worker: WorkerView): string {
  if (worker.pending_permissions > 0) return 'waits for an approval: regent approvals'
  if (worker.state === 'limited' && worker.retry_at !== null) return `${worker.reason}; goes on at ${timeOf(worker.retry_at)}`
  if (worker.state === 'failed') return worker.failure ?? worker.reason
  return worker.state === 'running' || worker.state === 'completed' ? '' : worker.reason
}

export const taskOf = ({ label, prompt }: Pick<WorkerView, 'label' | 'prompt'>): string => label ?? prompt

const dash = (value: string | number | null): string => (value === null || value === '' ? '-' : String(value))

export const workerColumns: readonly Column<WorkerView>[] = [
  { title: 'ID', value: ({ id }) => shortId(id) },
  { title: 'AGENT', value: ({ agent, model }) => (model === null ? agent : `${agent} ${model}`), dropAt: 3 },
  {
    title: 'STATE',
    value: stateOf,
    colour: ({ state, pending_permissions }) => (pending_permissions > 0 ? 'yellow' : workerColour(state)),
  },
  { title: 'TURN', value: ({ turn }) => String(turn), align: 'right', dropAt: 5 },
  { title: 'TIME', value: (worker) => (worker.started_at === null ? '-' : duration(ranFor(worker))), align: 'right', dropAt: 2 },
  { title: 'COST', value: costOf, align: 'right', dropAt: 4 },
  { title: 'LABEL/PROMPT', value: taskOf, least: 16 },
  { title: 'WHY', value: whyOf, colour: () => 'dim', least: 16, dropAt: 1 },
]

export const wideWorkerColumns: readonly Column<WorkerView>[] = [
  { title: 'FULL ID', value: ({ id }) => id },
  { title: 'OWNER', value: ({ owner }) => owner },
  { title: 'NAMESPACE', value: ({ namespace }) => namespace },
  { title: 'PRIORITY', value: ({ priority }) => String(priority), align: 'right' },
  { title: 'TOKENS', value: ({ usage }) => dash(usage.input_tokens + usage.output_tokens || null), align: 'right' },
  { title: 'EXIT', value: ({ exit_code }) => dash(exit_code) },
  { title: 'SESSION', value: ({ session_id }) => dash(session_id) },
  { title: 'BRANCH', value: ({ branch }) => dash(branch) },
  { title: 'FOLDER', value: ({ cwd }) => dash(cwd) },
  { title: 'CREATED', value: ({ created_at }) => timeOf(created_at) },
]

/** `3f2c1a9e  completed  12s  $0.03  session 9a…`, or why not. */
export function headline(worker: WorkerView, paint: Paint): string {
  const parts = [
    shortId(worker.id),
    paint(workerColour(worker.state), worker.state),
    worker.turn > 1 ? `turn ${worker.turn}` : '',
    worker.started_at === null ? '' : duration(ranFor(worker)),
    costOf(worker) === '-' ? '' : costOf(worker),
    clean(whyOf(worker)),
    !isOpen(worker) && worker.session_id !== null ? `session ${clean(worker.session_id)}` : '',
  ]
  return parts.filter((part) => part !== '').join('  ')
}
