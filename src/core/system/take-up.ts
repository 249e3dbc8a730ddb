import { z } from 'zod'
import { limits } from '../../contract/agents.ts'
import { agentName, userName } from '../../contract/names.ts'
import { policy } from '../../contract/policy.ts'
import type { Clock } from '../../kernel/clock.ts'
import { RegentError, reasonOf } from '../../kernel/errors.ts'
import type { JsonObject } from '../../kernel/json.ts'
import type { Run, RunHandle, Runtime } from '../../ports/runtime.ts'
import type { AgentRow, LifeRow, RunRow, Store, Tables } from '../../ports/store.ts'
import type { WorkerRow } from '../../ports/worker-store.ts'
import { tell } from '../supervision/situation.ts'

export interface TakeUpOptions {
  readonly store: Store
  readonly runtime: Runtime
  readonly clock: Clock
}

export interface TakenUp {
  /** `wasKnown`: the store had the agent, and knew nothing of this run. `pid` is null for a run that is over. */
  readonly agents: readonly { readonly agent: string; readonly pid: number | null; readonly wasKnown: boolean }[]
  /** Runs that could not be given back to an agent, and why; those of workers that the store does not know among them. */
  readonly left: readonly Left[]
  /** Ids of all agents and workers that the store has now. */
  readonly known: readonly string[]
}

export interface Left {
  readonly run: string
  readonly pid: number | null
  readonly reason: string
}

/** What stands beside the run of a worker: without its prompt, so that it cannot be made anew. */
const ofWorker = z.object({ worker: z.string(), turn: z.number(), agent: z.string(), owner: z.string() })

/** The agent's row as a start left it beside its run; a policy of an earlier version gets today's defaults. */
const kept = z.object({
  id: z.uuid(),
  owner: userName,
  name: agentName,
  kind: z.enum(['team', 'runbook', 'command', 'container']),
  runtime: z.enum(['process', 'docker', 'swarm']),
  node: z.string(),
  epoch: z.number().int(),
  revision: z.number().int(),
  definition: z.record(z.string(), z.json()),
  policy,
  limits,
  file: z.string().nullable(),
  deleting: z.boolean(),
  createdAt: z.number(),
  updatedAt: z.number(),
  start: z.number().int(),
})

const PAGE = 500

interface Found {
  readonly run: Run
  readonly isOver: boolean
  readonly agent: AgentRow
  readonly start: number
}

/**
 * Gives the store the runs that it knows nothing of, with their agents where those are missing too, so that supervision adopts them
 * like any other. For a store that was lost or is older than what runs; nothing is started or ended. May be repeated. A worker's live run
 * that the store does not know is told of, for a person to end.
 */
export async function takeUpRuns(options: TakeUpOptions): Promise<TakenUp> {
  const left: Left[] = []
  const found = new Map<string, Found>()
  for (const handle of await options.runtime.list()) {
    const { runId } = handle
    if (await options.store.read.runs.get(runId)) continue
    try {
      const record = await options.runtime.recordOf(handle)
      const worker = ofWorker.safeParse(record)
      if (worker.success) {
        left.push(...(await ghostOf(options, handle, worker.data)))
        continue
      }
      const next = await look(options, handle, record)
      if (next === undefined) continue
      const before = found.get(next.agent.id)
      const [newer, older] = before && before.run.startedAt > next.run.startedAt ? [before, next] : [next, before]
      found.set(next.agent.id, newer)
      if (older && !older.isOver) left.push({ run: older.run.handle.runId, pid: older.run.pid, reason: 'its agent has a newer run' })
    } catch (error) {
      left.push({ run: runId, pid: null, reason: reasonOf(error) })
    }
  }
  const { taken, refused } = await options.store.transaction(async (tables) => {
    const taken: TakenUp['agents'][number][] = []
    const refused: Left[] = []
    for (const one of found.values()) {
      const { run, isOver, agent } = one
      const outcome = await enter(tables, one, options.clock.now())
      const pid = isOver ? null : run.pid
      const name = `${agent.owner}/${agent.name}`
      if (outcome !== 'refused') taken.push({ agent: name, pid, wasKnown: outcome === 'known' })
      else if (!isOver) refused.push({ run: run.handle.runId, pid, reason: `there is another agent ${name}` })
    }
    return { taken, refused }
  })
  const known = [...(await options.store.read.agents.list({})).map(({ id }) => id), ...(await workerIds(options.store))]
  return { agents: taken, left: [...left, ...refused], known }
}

/** A worker's run that lives, where the store would never learn of its end. */
async function ghostOf(options: TakeUpOptions, handle: RunHandle, record: z.output<typeof ofWorker>): Promise<Left[]> {
  const { worker, turn, agent, owner } = record
  const row = await options.store.read.workers.get(worker)
  if (row?.runId === handle.runId) return []
  const run = await options.runtime.reattach(handle)
  if (!run || (await isOver(run, options.clock))) return []
  const what = `turn ${turn} of worker ${worker} (${agent}, of ${owner})`
  const reason = row ? `it is ${what}, which has another run` : `it is ${what}, which the database does not know`
  return [{ run: handle.runId, pid: run.pid, reason }]
}

async function workerIds({ read }: Store): Promise<string[]> {
  const ids: string[] = []
  for (let after: WorkerRow | undefined; ; ) {
    const page = await read.workers.list({ limit: PAGE, ...(after && { after }) })
    ids.push(...page.map(({ id }) => id))
    after = page.at(-1)
    if (page.length < PAGE) return ids
  }
}

const isOver = ({ exited }: Run, clock: Clock): Promise<boolean> =>
  Promise.race([exited.then(() => true), clock.sleep(1).then(() => false)])

/** Undefined where the runtime finds nothing behind the handle. */
async function look({ runtime, clock }: TakeUpOptions, handle: RunHandle, record: unknown): Promise<Found | undefined> {
  const parsed = kept.safeParse(record)
  const run = await runtime.reattach(handle)
  if (!run) return undefined
  const over = await isOver(run, clock)
  if (!parsed.success) {
    if (over) return undefined
    throw new RegentError('INVALID', `pid ${run.pid}: there is no record of its agent`)
  }
  const { start, ...agent } = parsed.data
  return { run, isOver: over, agent: { ...agent, definition: agent.definition as JsonObject, deleting: false }, start }
}

async function enter(tables: Tables, found: Found, at: number): Promise<'known' | 'new' | 'refused'> {
  const { run, agent, start } = found
  const known = await tables.agents.get(agent.id)
  if (!known && !(await tables.agents.insert(agent))) return 'refused'
  const life = await tables.lives.get(agent.id)
  const last = life?.runId ? await tables.runs.get(life.runId) : undefined
  if (last?.endedAt === null) await tables.runs.update(last.id, { endedAt: at, exitReason: 'lost: another run of the agent was found' })
  await tables.runs.insert(runRow(run, known ?? agent, Math.max(start, life?.start ?? 0)))
  // What became of a run that is over is for supervision to judge, so it is entered like one that lives.
  const lives = {
    // One that was being deleted is deleted.
    desired: known?.deleting ? 'stopped' : 'running',
    start: Math.max(start, life?.start ?? 0),
    state: 'RUNNING',
    reason: 'found by its run directory',
    since: run.startedAt,
    runId: run.handle.runId,
    retryAt: null,
  } as const
  if (life) await tables.lives.update(agent.id, lives)
  else await tables.lives.insert({ ...firstLife, ...lives, agentId: agent.id })
  await tell(tables, known ?? agent, known ? 'agent.updated' : 'agent.created', at, 'regent', { recovered: true, run_id: run.handle.runId })
  return known ? 'known' : 'new'
}

const firstLife = { restarts: 0, deaths: 0, earlyDeaths: 0, exitCode: null, exitSignal: null } satisfies Partial<LifeRow>

function runRow({ handle, pid, startedAt }: Run, agent: AgentRow, start: number): RunRow {
  return {
    id: handle.runId,
    agentId: agent.id,
    node: agent.node,
    epoch: agent.epoch,
    start,
    revision: agent.revision,
    handle: { ...handle },
    pid,
    startedAt,
    endedAt: null,
    exitCode: null,
    exitSignal: null,
    exitReason: null,
  }
}
