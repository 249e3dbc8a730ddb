import type { Input, Output } from '../../contract/operations.ts'
import type { WorkerView } from '../../contract/workers.ts'
import { RegentError } from '../../kernel/errors.ts'
import { isObject, tryParse } from '../../kernel/json.ts'
import type { WorkerFilter, WorkerRow } from '../../ports/worker-store.ts'
import type { Handlers, Handling } from '../handling.ts'
import { spentBy } from './budget.ts'
import { createWorker } from './create-worker.ts'
import { crewOf } from './crews.ts'
import { findWorker, noWorker, ownerFor } from './find-worker.ts'
import { isOpen, moveWorker, workerEvent } from './worker-moves.ts'
import type { WorkerParts } from './worker-parts.ts'
import { viewsOf } from './worker-views.ts'

type Names = 'workers.create' | 'workers.list' | 'workers.get' | 'workers.resume' | 'workers.cancel' | 'workers.delete' | 'workers.budget'

const CANCEL_MS = 30_000

export function workerOperations(parts: WorkerParts): Handlers<Names> {
  const { store } = parts
  return {
    async 'workers.create'({ worker }, { caller, accept }) {
      return show(parts, await createWorker(parts, { worker, caller }, accept))
    },
    'workers.list': (input, handling) => list(parts, input, handling),
    'workers.get': async ({ worker }, { caller }) => show(parts, await findWorker(store.read, worker, caller)),
    'workers.resume': (input, handling) => resume(parts, input, handling),
    'workers.cancel': (input, handling) => cancel(parts, input, handling),
    'workers.delete': async ({ worker }, { caller }) => {
      const row = await findWorker(store.read, worker, caller)
      await forgetWorker(parts, row.id, caller.user)
      return { id: row.id, deleted: true }
    },
    async 'workers.budget'({ owner: given }, { caller }) {
      const owner = ownerFor(given, caller)
      const { usd, tokens, ranFor } = await spentBy(store.read, owner, parts.clock.now())
      return { owner, spent: { usd, tokens, seconds: ranFor / 1000 }, limits: parts.workerLimits.ownerBudget }
    },
  }
}

async function show(parts: WorkerParts, row: WorkerRow): Promise<WorkerView> {
  const [view] = await viewsOf(parts, [row])
  if (!view) throw noWorker(row.id)
  return view
}

async function list(parts: WorkerParts, input: Input<'workers.list'>, { caller }: Handling): Promise<Output<'workers.list'>> {
  const { owner, namespace, states, claimed, race, limit, cursor } = input
  const whose = caller.role === 'admin' && owner === undefined ? undefined : ownerFor(owner, caller)
  const filter: WorkerFilter = {
    limit: limit + 1,
    ...(whose !== undefined && { owner: whose }),
    ...(namespace !== undefined && { namespace }),
    ...(states && { states }),
    ...(claimed !== undefined && { claimed }),
    ...(race !== undefined && { raceId: race }),
    ...(cursor !== undefined && { after: placeIn(cursor) }),
  }
  const rows = await parts.store.read.workers.list(filter)
  const page = rows.slice(0, limit)
  const last = page.at(-1)
  return { workers: await viewsOf(parts, page), next_cursor: rows.length > limit && last ? cursorOf(last) : null }
}

export const cursorOf = ({ createdAt, id }: { readonly createdAt: number; readonly id: string }): string =>
  Buffer.from(JSON.stringify({ createdAt, id })).toString('base64url')

/** Throws INVALID for what is no cursor. */
export function placeIn(cursor: string): { createdAt: number; id: string } {
  const value = tryParse(Buffer.from(cursor, 'base64url').toString('utf8'))
  if (isObject(value) && typeof value.createdAt === 'number' && typeof value.id === 'string')
    return { createdAt: value.createdAt, id: value.id }
  throw new RegentError('INVALID', 'cursor is not one that this list gave', {
    fields: [{ path: 'cursor', message: 'must be next_cursor of a page' }],
  })
}

async function resume(parts: WorkerParts, input: Input<'workers.resume'>, handling: Handling): Promise<WorkerView> {
  const { store, clock, workers, codingAgents } = parts
  const { id } = await findWorker(store.read, input.worker, handling.caller)
  await handling.accept(async (tables) => {
    const row = await tables.workers.get(id)
    if (!row || workers.forgetting.has(id)) throw noWorker(id)
    if (row.trusted && handling.caller.role !== 'admin')
      throw new RegentError('FORBIDDEN', `worker ${id} works with the rights of an administrator, and ${handling.caller.user} is none`)
    if (isOpen(row)) throw notEnded(row, 'is still active')
    if (input.claimed_only && !row.claimed) throw notEnded(row, 'has an end that nobody has claimed')
    if (row.raceId !== null && row.cwd === null) throw notEnded(row, 'never began')
    const agent = codingAgents.get(row.agent)
    if (!agent.can.resume || !row.begun)
      throw new RegentError(
        'ILLEGAL_STATE',
        agent.can.resume ? 'this worker never began a session' : `${agent.title} cannot go on with a session`,
        {
          hint: 'create another worker',
          details: { what: 'session' },
        },
      )
    const at = clock.now()
    const columns = {
      ...{ turn: row.turn + 1, prompt: input.prompt, claimed: false, wanted: 'run' as const, queuedAt: at, startedAt: null, endedAt: null },
      ...{ runId: null, handle: null, pid: null, lines: 0, attempts: 0, retryAt: null, exitCode: null, result: null },
      ...{ failureKind: null, failure: null, errorHint: null },
      ...(input.timeout !== undefined && { timeout: Math.round(input.timeout * 1000) }),
    } satisfies Partial<Omit<WorkerRow, 'id' | 'state' | 'reason'>>
    const move = { to: 'queued', reason: 'waits for its turn', at, actor: handling.caller.user } as const
    await moveWorker(tables, row, move, columns, { prompt: input.prompt.slice(0, 500) })
    return { id }
  })
  const stored = await store.read.workers.get(id)
  if (!stored) throw noWorker(id)
  if (stored.state === 'queued') workers.queued(stored)
  return show(parts, stored)
}

const notEnded = ({ id }: WorkerRow, what: string): RegentError =>
  new RegentError('ILLEGAL_STATE', `worker ${id} ${what}`, { hint: 'wait for it first', details: { what: 'worker' } })

async function cancel(parts: WorkerParts, { worker, wait, timeout }: Input<'workers.cancel'>, handling: Handling): Promise<WorkerView> {
  const { store } = parts
  const { id } = await findWorker(store.read, worker, handling.caller)
  const over = wait ? ended(parts, id, timeout ?? CANCEL_MS, handling.signal) : undefined
  try {
    await handling.accept((tables) => wantCancel(parts, tables, id, handling.caller.user))
    const row = await store.read.workers.get(id)
    if (!row) throw noWorker(id)
    if (row.wanted === 'cancel') parts.workers.cancel(row)
    if (isOpen(row)) await over?.promise
    const after = await store.read.workers.get(id)
    if (!after) throw noWorker(id)
    return await show(parts, after)
  } finally {
    over?.stop()
  }
}

/** Puts on record that a worker is to be ended, where it is still open. */
export async function wantCancel(
  { clock }: Pick<WorkerParts, 'clock'>,
  tables: WorkerParts['store']['read'],
  id: string,
  actor: string,
): Promise<{ id: string }> {
  const row = await tables.workers.get(id)
  if (row && isOpen(row) && row.wanted !== 'cancel') {
    await tables.workers.update(id, { wanted: 'cancel' })
    await tables.events.append(workerEvent(row, 'worker.cancel_requested', clock.now(), actor))
  }
  return { id }
}

/** Resolves when a worker has ended, or it was waited long enough. */
function ended({ workers, clock }: WorkerParts, id: string, ms: number, signal: AbortSignal): { promise: Promise<void>; stop: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  const unwatch = workers.watch(id, (row) => {
    if (!isOpen(row)) resolve()
  })
  const stopTimer = clock.after(ms, resolve)
  const aborted = () => resolve()
  signal.addEventListener('abort', aborted, { once: true })
  const stop = () => {
    unwatch()
    stopTimer()
    signal.removeEventListener('abort', aborted)
  }
  return { promise, stop }
}

/** Forgets an ended worker with all that is kept of it. Throws ILLEGAL_STATE for one that is open. */
export async function forgetWorker(parts: WorkerParts, id: string, actor: string): Promise<void> {
  const { store, runtime, workerSecrets, workerFiles, worktrees, crews, workers, clock } = parts
  if (workers.forgetting.has(id)) throw noWorker(id)
  // Nobody goes on with it from here on.
  workers.forgetting.add(id)
  try {
    // As it is now that nothing begins any more: what was accepted before this is on record behind it.
    const row = await store.transaction((tables) => tables.workers.get(id))
    if (!row) throw noWorker(id)
    if (isOpen(row)) throw new RegentError('ILLEGAL_STATE', `worker ${id} is still ${row.state}`, { hint: 'cancel it first' })
    await runtime.forget(id)
    if (row.branch !== null) await worktrees.remove(id)
    await workerFiles.remove(id)
    await store.transaction(async (tables) => {
      await tables.events.append(workerEvent(row, 'worker.deleted', clock.now(), actor))
      await tables.workers.delete(id)
    })
    await workerSecrets.release(row.secretsId)
    crews.forget(crewOf(row), id)
  } finally {
    workers.forgetting.delete(id)
  }
}
