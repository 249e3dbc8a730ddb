import type { Input, Output } from '../../contract/operations.ts'
import { RegentError } from '../../kernel/errors.ts'
import type { WorkerRow } from '../../ports/worker-store.ts'
import { mayTouch } from '../agents/find.ts'
import type { Handlers, Handling } from '../handling.ts'
import { crewOf, type Lease } from './crews.ts'
import { findWorker, ownerFor } from './find-worker.ts'
import { pendingOf, pendingPermissions } from './permission-rows.ts'
import { isOpen, workerEvent } from './worker-moves.ts'
import type { WorkerParts } from './worker-parts.ts'
import { viewsOf } from './worker-views.ts'

type Names = 'workers.wait' | 'workers.claim'
type Wait = Input<'workers.wait'>
type Answer = Output<'workers.wait'>

export function waitOperations(parts: WorkerParts): Handlers<Names> {
  return {
    'workers.wait': (input, handling) => wait(parts, input, handling),
    'workers.claim': async ({ lease: id, keep }, handling) => {
      const crew = parts.crews.crewOfLease(id)
      const isHis = crew !== undefined && mayTouch(handling.caller, crew.split(' ')[0] ?? '')
      const lease = isHis ? parts.crews.take(id) : undefined
      if (!lease)
        throw new RegentError('NOT_FOUND', 'this lease was settled already, or is over', {
          hint: 'wait again: what it offered is told again',
        })
      return { claimed: keep ? await claim(parts, lease, handling) : giveBack(parts, lease) }
    },
  }
}

function giveBack({ crews }: WorkerParts, lease: Lease): string[] {
  crews.release(lease)
  return []
}

/** Ends that are still those that were offered become claimed; they are free again when the store refuses. */
async function claim({ store, crews, clock }: WorkerParts, lease: Lease, { caller }: Pick<Handling, 'caller'>): Promise<string[]> {
  try {
    const { claimed, gone } = await store.transaction(async (tables) => {
      const claimed: WorkerRow[] = []
      const gone: string[] = []
      for (const { id, turn } of lease.members) {
        const row = await tables.workers.get(id)
        if (!row || (row.claimed && !isOpen(row))) gone.push(id)
        if (!row || row.claimed || isOpen(row) || row.turn !== turn) continue
        await tables.workers.update(id, { claimed: true })
        await tables.events.append(workerEvent(row, 'worker.claimed', clock.now(), caller.user, { via: caller.via }))
        claimed.push({ ...row, claimed: true })
      }
      return { claimed, gone }
    })
    for (const row of claimed) crews.note(row)
    for (const id of gone) crews.forget(lease.crew, id)
    return claimed.map(({ id }) => id)
  } finally {
    crews.release(lease)
  }
}

/** Whom a caller waits for. */
interface Sought {
  readonly crew: string
  /** undefined: all of the crew. */
  readonly among: ReadonlySet<string> | undefined
}

async function soughtOf({ store }: WorkerParts, input: Wait, { caller }: Handling): Promise<Sought> {
  if (input.workers === undefined)
    return { crew: crewOf({ owner: ownerFor(input.owner, caller), namespace: input.namespace }), among: undefined }
  const rows = await Promise.all(input.workers.map((ref) => findWorker(store.read, ref, caller)))
  const crews = new Set(rows.map(crewOf))
  const [crew] = crews
  if (crew === undefined)
    throw new RegentError('INVALID', 'workers must name at least one', { fields: [{ path: 'workers', message: 'is empty' }] })
  if (crews.size > 1)
    throw new RegentError('INVALID', 'these workers are of several namespaces', {
      fields: [{ path: 'workers', message: 'must be of one owner and namespace' }],
      hint: 'wait for each namespace on its own',
    })
  return { crew, among: new Set(rows.map(({ id }) => id)) }
}

async function wait(parts: WorkerParts, input: Wait, handling: Handling): Promise<Answer> {
  const { clock, crews } = parts
  const sought = await soughtOf(parts, input, handling)
  const until = clock.elapsed() + (input.wait ? input.timeout : 0)
  for (;;) {
    handling.signal.throwIfAborted()
    const changed = changeOf(parts, sought.crew, until - clock.elapsed(), handling.signal)
    try {
      const answer = await look(parts, input, sought, handling)
      if (answer) return answer
      if (clock.elapsed() >= until)
        return {
          outcome: 'timeout',
          workers: [],
          active: crews.active(sought.crew, sought.among).length,
          pending_permissions: [],
          lease: null,
        }
      await changed.seen
    } finally {
      changed.stop()
    }
  }
}

/** Seen at the first change of the crew from now on, after `ms`, or when the caller is gone. */
function changeOf({ crews, clock }: WorkerParts, crew: string, ms: number, signal: AbortSignal): { seen: Promise<void>; stop: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  const unwatch = crews.watch(crew, resolve)
  const cancel = clock.after(Math.max(0, ms), resolve)
  const aborted = () => resolve()
  signal.addEventListener('abort', aborted, { once: true })
  const stop = () => {
    unwatch()
    cancel()
    signal.removeEventListener('abort', aborted)
  }
  return { seen: promise, stop }
}

/** What can be told now; undefined where there is something to wait for. */
async function look(parts: WorkerParts, input: Wait, sought: Sought, handling: Handling): Promise<Answer | undefined> {
  const { crews, store } = parts
  const { crew, among } = sought
  const active = crews.active(crew, among)
  const told = among ? await claimedAmong(parts, among) : []
  if (input.mode !== 'all' || active.length === 0) {
    const ended = crews.unclaimed(crew, among)
    const chosen = input.mode === 'first' ? (told.length > 0 ? [] : ended.slice(0, 1)) : ended
    const known = input.mode === 'first' ? told.slice(0, 1) : told
    if (chosen.length > 0 || known.length > 0) return tell(parts, { input, crew, chosen, known, active: active.length }, handling)
  }
  if (input.permissions && active.length > 0) {
    const pending = await pendingPermissions(store.read, active)
    if (pending.length > 0)
      return { outcome: 'permission', workers: [], active: active.length, pending_permissions: pending.map(pendingOf), lease: null }
  }
  if (crews.hasAny(crew, among)) return undefined
  return { outcome: 'none', workers: [], active: 0, pending_permissions: [], lease: null }
}

/** Of those that are named, who had ended and was claimed before. */
async function claimedAmong({ store }: WorkerParts, among: ReadonlySet<string>): Promise<WorkerRow[]> {
  const rows = await Promise.all([...among].map((id) => store.read.workers.get(id)))
  return rows.filter((row) => row !== undefined).filter((row) => row.claimed && !isOpen(row))
}

interface Telling {
  readonly input: Wait
  readonly crew: string
  readonly chosen: readonly string[]
  readonly known: readonly WorkerRow[]
  readonly active: number
}

async function tell(parts: WorkerParts, { input, crew, chosen, known, active }: Telling, handling: Handling): Promise<Answer | undefined> {
  const { crews, store } = parts
  // Nothing is awaited between the choice and the offer, so nobody else is told of the same end.
  const lease = input.claim === 'no' ? undefined : crews.offer(crew, chosen)
  let settled = false
  try {
    const rows = await stillThere(parts, crew, chosen)
    const workers = await viewsOf(parts, [...known, ...rows])
    if (workers.length === 0) return undefined
    const permissions = input.permissions ? await pendingPermissions(store.read, crews.active(crew)) : []
    const answer = { outcome: 'ended' as const, workers, active, pending_permissions: permissions.map(pendingOf) }
    if (input.claim === 'later') {
      settled = chosen.length > 0
      return { ...answer, lease: settled && lease ? lease.id : null }
    }
    if (input.claim === 'now' && lease) {
      handling.signal.throwIfAborted()
      crews.take(lease.id)
      settled = true
      const claimed = new Set([...(await claim(parts, lease, handling)), ...known.map(({ id }) => id)])
      const told = workers.filter(({ id }) => claimed.has(id)).map((view) => ({ ...view, claimed: true }))
      return told.length === 0 ? undefined : { ...answer, workers: told, lease: null }
    }
    return { ...answer, lease: null }
  } finally {
    if (!settled && lease) {
      crews.take(lease.id)
      crews.release(lease)
    }
  }
}

/** Ends as they are on record now; of what is not there any more, nobody is told again. */
async function stillThere({ crews, store }: WorkerParts, crew: string, ids: readonly string[]): Promise<WorkerRow[]> {
  const rows = await Promise.all(ids.map(async (id) => ({ id, row: await store.read.workers.get(id) })))
  for (const { id, row } of rows) if (!row || (row.claimed && !isOpen(row))) crews.forget(crew, id)
  return rows.flatMap(({ row }) => (row && !isOpen(row) && !row.claimed ? [row] : []))
}
