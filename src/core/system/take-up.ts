import { z } from 'zod'
import { limits } from '../../contract/agents.ts'
import { agentName, userName } from '../../contract/names.ts'
import { policy } from '../../contract/policy.ts'
import type { Clock } from '../../kernel/clock.ts'
import { RegentError, reasonOf } from '../../kernel/errors.ts'
import type { JsonObject } from '../../kernel/json.ts'
import type { Run, RunHandle, Runtime } from '../../ports/runtime.ts'
import type { AgentRow, LifeRow, RunRow, Store, Tables } from '../../ports/store.ts'
import { tell } from '../supervision/situation.ts'

export interface TakeUpOptions {
  readonly store: Store
  readonly runtime: Runtime
  readonly clock: Clock
}

export interface TakenUp {
  /** `wasKnown`: the store had the agent, and knew nothing of this run. `pid` is null for a run that is over. */
  readonly agents: readonly { readonly agent: string; readonly pid: number | null; readonly wasKnown: boolean }[]
  /** Runs that could not be given back to an agent, and why. */
  readonly left: readonly { readonly run: string; readonly pid: number | null; readonly reason: string }[]
  /** Ids of all agents that the store has now. */
  readonly known: readonly string[]
}

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

interface Found {
  readonly run: Run
  readonly isOver: boolean
  readonly agent: AgentRow
  readonly start: number
}

/**
 * Gives the store the runs that it knows nothing of, with their agents where those are missing too, so that supervision adopts them
 * like any other. For a store that was lost or is older than what runs; nothing is started or ended. May be repeated.
 */
export async function takeUpRuns(options: TakeUpOptions): Promise<TakenUp> {
  const left: { run: string; pid: number | null; reason: string }[] = []
  const found = new Map<string, Found>()
  for (const handle of await options.runtime.list()) {
    const { runId } = handle
    if (await options.store.read.runs.get(runId)) continue
    try {
      const next = await look(options, handle)
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
    const refused: TakenUp['left'][number][] = []
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
  const known = (await options.store.read.agents.list({})).map(({ id }) => id)
  return { agents: taken, left: [...left, ...refused], known }
}

/** Undefined where the runtime finds nothing behind the handle. */
async function look({ runtime, clock }: TakeUpOptions, handle: RunHandle): Promise<Found | undefined> {
  const record = await runtime.recordOf(handle)
  const parsed = kept.safeParse(record)
  const run = await runtime.reattach(handle)
  if (!run) return undefined
  const isOver = await Promise.race([run.exited.then(() => true), clock.sleep(1).then(() => false)])
  if (!parsed.success) {
    if (isOver) return undefined
    throw new RegentError('INVALID', `pid ${run.pid}: there is no record of its agent`)
  }
  const { start, ...agent } = parsed.data
  return { run, isOver, agent: { ...agent, definition: agent.definition as JsonObject, deleting: false }, start }
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
