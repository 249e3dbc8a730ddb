import type { Input } from '../../contract/operations.ts'
import type { Caller } from '../../contract/tokens.ts'
import { type NewRace, newWorker, type RaceView, type WorkerView } from '../../contract/workers.ts'
import { RegentError } from '../../kernel/errors.ts'
import type { RaceRow, WorkerRow } from '../../ports/worker-store.ts'
import { mayTouch } from '../agents/find.ts'
import type { Handlers, Handling } from '../handling.ts'
import { checkNew, insertWorker, isTrusted, newRow } from './create-worker.ts'
import { ownerFor } from './find-worker.ts'
import { raceNamespace } from './race-judges.ts'
import { asJson, attemptsOf } from './race-rules.ts'
import { type Races, raceEvent, rowsOf } from './races.ts'
import { cursorOf, placeIn } from './worker-operations.ts'
import type { WorkerParts } from './worker-parts.ts'
import type { Kept } from './worker-secrets.ts'
import { viewsOf } from './worker-views.ts'

type Names = 'races.create' | 'races.list' | 'races.get' | 'races.cancel'
type Parts = WorkerParts & { readonly races: Races }

const WAIT_MS = 86_400_000

export function raceOperations(parts: Parts): Handlers<Names> {
  const { store } = parts
  return {
    'races.create': ({ race }, handling) => create(parts, race, handling),
    async 'races.list'({ owner, namespace, states, limit, cursor }, { caller }) {
      const whose = caller.role === 'admin' && owner === undefined ? undefined : ownerFor(owner, caller)
      const rows = await store.read.races.list({
        limit: limit + 1,
        ...(whose !== undefined && { owner: whose }),
        ...(namespace !== undefined && { namespace }),
        ...(states && { states }),
        ...(cursor !== undefined && { after: placeIn(cursor) }),
      })
      const page = rows.slice(0, limit)
      const last = page.at(-1)
      return {
        races: await Promise.all(page.map((row) => show(parts, row))),
        next_cursor: rows.length > limit && last ? cursorOf(last) : null,
      }
    },
    'races.get': (input, handling) => get(parts, input, handling),
    async 'races.cancel'({ race: ref }, { caller, accept }) {
      const { id } = await find(parts, ref, caller)
      await accept(async (tables) => {
        const race = await tables.races.get(id)
        if (race && !isOver(race)) {
          const at = parts.clock.now()
          await tables.races.update(id, { state: 'cancelled', reason: 'cancelled as asked', endedAt: at })
          await tables.events.append(raceEvent(race, 'race.cancelled', at, caller.user))
        }
        return { id }
      })
      parts.races.look(id)
      return show(parts, await find(parts, id, caller))
    },
  }
}

const isOver = ({ state }: RaceRow): boolean => state !== 'running' && state !== 'judging'

async function find({ store }: Parts, ref: string, caller: Caller): Promise<RaceRow> {
  const direct = await store.read.races.get(ref)
  const scope = caller.role === 'admin' ? {} : { owner: caller.user }
  const found = direct ? [direct] : ref.length >= 4 ? await store.read.races.list({ ...scope, idPrefix: ref.toLowerCase(), limit: 2 }) : []
  if (found.length > 1) throw new RegentError('AMBIGUOUS', `'${ref}' begins the id of several races`, { hint: 'give more of the id' })
  const [race] = found
  if (!race || !mayTouch(caller, race.owner))
    throw new RegentError('NOT_FOUND', `there is no race '${ref}'`, { hint: 'list them with: regent races', details: { what: 'race' } })
  return race
}

async function create(parts: Parts, given: NewRace, { caller, accept }: Handling): Promise<RaceView> {
  const { ids, clock, workerSecrets, workers, store, races } = parts
  const owner = ownerFor(given.owner, caller)
  const at = clock.now()
  const id = ids.random()
  const accepted = await workerSecrets.keeping(owner, given.worker.env ?? {}, async (kept) => {
    const rows = await attemptRows(parts, { given, id, owner, caller, at, kept })
    const race = newRaceRow(given, rows, { id, owner, caller, at })
    const told = await accept(async (tables) => {
      await tables.races.insert(race)
      for (const row of rows) await insertWorker(tables, row, caller.user)
      const event = raceEvent(race, 'race.started', at, caller.user)
      const data = { ...event.data, attempts: rows.length, judge: race.judge.by, prompt: race.prompt.slice(0, 500) }
      await tables.events.append({ ...event, data })
      return { id }
    })
    if (told.id === id) for (const row of rows) workers.queued(row)
    return told
  })
  const stored = await store.read.races.get(accepted.id)
  if (!stored) throw new RegentError('NOT_FOUND', 'the race of this command was forgotten', { details: { what: 'race' } })
  races.look(stored.id)
  return show(parts, stored)
}

function newRaceRow(given: NewRace, rows: readonly WorkerRow[], { id, owner, caller, at }: Omit<Attempts, 'given' | 'kept'>): RaceRow {
  const { namespace, prompt, judge } = given
  return {
    ...{ id, owner, namespace, state: 'running', reason: 'attempts are being made', prompt, judge },
    attempts: asJson(rows.map((row) => ({ worker: row.id, judge: null, verdict: 'waiting', score: null }))),
    ...{ winner: null, trusted: isTrusted(caller, owner), data: {}, createdAt: at, endedAt: null },
  }
}

interface Attempts {
  readonly given: NewRace
  readonly id: string
  readonly owner: string
  readonly caller: Caller
  readonly at: number
  readonly kept: Kept
}

/** In folders of their own where they can be: attempts at one task must not touch each other's files. */
async function attemptRows(parts: Parts, { given, id, owner, caller, at, kept }: Attempts): Promise<WorkerRow[]> {
  const { worker, variants, n, prompt } = given
  const cwd = worker.cwd ?? (isTrusted(caller, owner) ? parts.workerSurroundings.project : undefined)
  const worktree = worker.worktree ?? (n > 1 && cwd !== undefined && (await parts.worktrees.isRepository(cwd)))
  const rows = Array.from({ length: n }, (_, index) => {
    const variant = variants[index % Math.max(1, variants.length)]
    const attempt = newWorker.parse({
      label: `attempt ${index + 1}`,
      ...worker,
      ...variant,
      worktree,
      prompt,
      namespace: raceNamespace(id),
    })
    return newRow(parts.ids.random(), attempt, owner, caller, at, id, kept)
  })
  const checked = new Set<string>()
  for (const row of rows) {
    const kind = `${row.agent} ${row.spec.model ?? ''}`
    if (!checked.has(kind)) await checkNew(row, worker.env ?? {}, parts)
    checked.add(kind)
  }
  return rows
}

async function get(parts: Parts, { race: ref, wait, timeout }: Input<'races.get'>, { caller, signal }: Handling): Promise<RaceView> {
  const { clock, races } = parts
  let race = await find(parts, ref, caller)
  const until = clock.elapsed() + (timeout ?? WAIT_MS)
  while (wait && !isOver(race) && clock.elapsed() < until) {
    const { promise, resolve } = Promise.withResolvers<void>()
    const unwatch = races.watch(race.id, resolve)
    const cancel = clock.after(until - clock.elapsed(), resolve)
    const aborted = () => resolve()
    signal.addEventListener('abort', aborted, { once: true })
    try {
      race = await find(parts, race.id, caller)
      if (!isOver(race)) await promise
    } finally {
      unwatch()
      cancel()
      signal.removeEventListener('abort', aborted)
    }
    signal.throwIfAborted()
    race = await find(parts, race.id, caller)
  }
  return show(parts, race)
}

async function show(parts: Parts, race: RaceRow): Promise<RaceView> {
  const rows = await rowsOf(parts.store.read, race.id)
  const views = new Map((await viewsOf(parts, [...rows.values()])).map((view) => [view.id, view]))
  return {
    id: race.id,
    owner: race.owner,
    namespace: race.namespace,
    state: race.state,
    reason: race.reason,
    prompt: race.prompt.slice(0, 500),
    judge: race.judge,
    winner: (race.winner !== null && views.get(race.winner)) || null,
    attempts: attemptsOf(race).flatMap(({ worker, judge, verdict, score }) => {
      const view = views.get(worker)
      return view ? [{ worker: view, verdict, score, judged_by: judge }] : []
    }),
    usage: sumOf([...views.values()]),
    created_at: race.createdAt,
    ended_at: race.endedAt,
  }
}

function sumOf(views: readonly WorkerView[]): RaceView['usage'] {
  const costs = views.flatMap(({ usage }) => (usage.cost_usd === null ? [] : [usage.cost_usd]))
  return {
    input_tokens: views.reduce((sum, { usage }) => sum + usage.input_tokens, 0),
    output_tokens: views.reduce((sum, { usage }) => sum + usage.output_tokens, 0),
    cost_usd: costs.length > 0 ? costs.reduce((sum, cost) => sum + cost, 0) : null,
    run_seconds: views.reduce((sum, { usage }) => sum + usage.run_seconds, 0),
  }
}
