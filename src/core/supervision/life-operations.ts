import type { AgentView } from '../../contract/agents.ts'
import type { Input } from '../../contract/operations.ts'
import { liveStates, type RunState } from '../../contract/states.ts'
import type { Caller } from '../../contract/tokens.ts'
import { RegentError } from '../../kernel/errors.ts'
import type { AgentRow, Tables } from '../../ports/store.ts'
import { findAgent, notFound } from '../agents/find.ts'
import { type Viewing, viewsOf } from '../agents/views.ts'
import type { Handlers, Handling } from '../handling.ts'
import type { DependencyOptions } from './dependencies.ts'
import { type Intend, intendDelete, intendRestart, intendStart, intendStop, writeIntent, writeStart } from './intents.ts'
import { isSuccess } from './restart.ts'
import type { SupervisionOptions } from './supervision.ts'
import type { Supervisor } from './supervisor.ts'

type Names = 'agents.start' | 'agents.stop' | 'agents.stop_all' | 'agents.restart' | 'agents.delete'
export type LifeOptions = Viewing &
  Pick<SupervisionOptions, 'store' | 'runtime' | 'project'> &
  DependencyOptions & { readonly supervisor: Supervisor }

const DEFAULT_WAIT_MS = 60_000
/** How long a stop may take by itself, and then some. */
const waitOf = ({ policy }: AgentRow): number => policy.stop_grace * 1000 + DEFAULT_WAIT_MS

export function lifeOperations(options: LifeOptions): Handlers<Names> {
  const { supervisor } = options
  const started = async (input: { agent: string; wait: boolean; timeout?: number | undefined }, handling: Handling, intend: Intend) => {
    const row = await findAgent(options.store.read, input.agent, handling.caller)
    await options.project.check(row)
    await options.runtime.check()
    const start = await intendFor(options, row, handling, intend)
    if (input.wait) await untilStarted(supervisor, row, start, handling.signal, input.timeout)
    return view(options, row)
  }
  return {
    'agents.start': (input, handling) => started(input, handling, intendStart),
    'agents.restart': (input, handling) => started(input, handling, intendRestart),
    async 'agents.stop'(input, handling) {
      const row = await findAgent(options.store.read, input.agent, handling.caller)
      await intendFor(options, row, handling, intendStop)
      if (input.wait) await untilState(supervisor, row.id, (state) => state === 'STOPPED', handling.signal, input.timeout ?? waitOf(row))
      return { ...(await view(options, row)), survivors: [...supervisor.survivors(row.id)] }
    },
    'agents.stop_all': (input, handling) => stopAll(options, input, handling),
    async 'agents.delete'(input, handling) {
      const row = await findAgent(options.store.read, input.agent, handling.caller)
      await intendFor(options, row, handling, intendDelete)
      const named = { id: row.id, owner: row.owner, name: row.name }
      if (!input.wait) return { ...named, deleted: false }
      const limits = { signal: handling.signal, timeoutMs: input.timeout ?? waitOf(row) }
      await supervisor.until(row.id, (record) => (record ? undefined : true), limits)
      return { ...named, deleted: true }
    },
  }
}

/** One transaction for all, so that each keeper sees who else is to stop, and the order is kept. */
async function stopAll(options: LifeOptions, input: Input<'agents.stop_all'>, { caller, accept, signal }: Handling) {
  const { store, supervisor, clock } = options
  const rows = input.agents ? await findAll(store.read, input.agents, caller) : await touchable(store.read, caller)
  await accept(async (tables) => {
    for (const { id } of rows) {
      const row = await tables.agents.get(id)
      if (row && !row.deleting) await writeIntent(tables, id, intendStop, { actor: caller.user, at: clock.now() })
    }
    return null
  })
  for (const { id } of rows) supervisor.wake(id)
  const isOver = (state: RunState) => state === 'STOPPED'
  if (input.wait) await Promise.all(rows.map((row) => untilState(supervisor, row.id, isOver, signal, input.timeout ?? waitOf(row))))
  const views = await viewsOf(store.read, rows, options)
  return { agents: views.map((one) => ({ ...one, survivors: [...supervisor.survivors(one.id)] })) }
}

async function findAll(tables: Tables, refs: readonly string[], caller: Caller): Promise<AgentRow[]> {
  const found = new Map<string, AgentRow>()
  for (const ref of refs) {
    const row = await findAgent(tables, ref, caller)
    found.set(row.id, row)
  }
  return [...found.values()]
}

/** All that the caller may touch, but for those that are about to be gone. */
async function touchable(tables: Tables, { role, user }: Caller): Promise<AgentRow[]> {
  const rows = await tables.agents.list(role === 'admin' ? {} : { owner: user })
  return rows.filter(({ deleting }) => !deleting)
}

/** Writes the intent, with that of its dependencies where it is to start, and wakes the keepers; answers the `start` that is wanted now. */
async function intendFor(options: LifeOptions, row: AgentRow, handling: Handling, intend: Intend): Promise<number> {
  const { supervisor, clock } = options
  const isStart = intend === intendStart || intend === intendRestart
  let woken: readonly string[] = []
  const start = await handling.accept(async (tables) => {
    const asking = { actor: handling.caller.user, at: clock.now() }
    if (!isStart) return writeIntent(tables, row.id, intend, asking)
    const written = await writeStart(tables, row, intend, asking, options)
    woken = written.woken
    return written.start
  })
  for (const id of new Set([row.id, ...woken])) supervisor.wake(id)
  return start
}

/** Resolves once it is RUNNING; throws START_FAILED at its first death or when it is given up. */
async function untilStarted(supervisor: Supervisor, row: AgentRow, start: number, signal: AbortSignal, timeoutMs?: number): Promise<void> {
  const name = `${row.owner}/${row.name}`
  await supervisor.until(
    row.id,
    (record) => {
      if (!record) throw notFound(name)
      const { life, run, agent } = record
      if (life.desired === 'stopped')
        throw new RegentError('START_FAILED', `${name} was stopped before it was up`, { details: { state: life.state } })
      if (supervisor.halting() && !liveStates.includes(life.state))
        throw new RegentError('UNAVAILABLE', `${name} is started with the next Regent: this one ends, and its agents with it`, {
          retryAfter: 5,
        })
      const waiting = supervisor.waiting(row.id)
      if (waiting?.hopeless)
        throw new RegentError('START_FAILED', `${name} was not started: it ${waiting.reason}`, { details: { state: life.state } })
      if ((run?.start ?? 0) < start) return undefined
      if (life.state === 'RUNNING') return true
      if (life.state === 'EXITED' && life.exitCode !== null && isSuccess(agent.policy.exit_codes, life.exitCode)) return true
      if (['BACKOFF', 'FATAL', 'EXITED'].includes(life.state))
        throw new RegentError('START_FAILED', `${name} did not start: ${life.reason}`, {
          hint: `see what it printed: regent logs ${name}`,
          details: { state: life.state, exit_code: life.exitCode, exit_signal: life.exitSignal },
        })
      return undefined
    },
    { signal, timeoutMs: timeoutMs ?? row.policy.startsecs * 1000 + waitOf(row) },
  )
}

async function untilState(
  supervisor: Supervisor,
  agentId: string,
  wanted: (state: RunState) => boolean,
  signal: AbortSignal,
  timeoutMs: number,
) {
  const limits = { signal, timeoutMs }
  await supervisor.until(
    agentId,
    (record) => (!record || wanted(record.life.state) || record.life.desired === 'running' ? true : undefined),
    limits,
  )
}

async function view(options: LifeOptions, row: AgentRow): Promise<AgentView> {
  const [found] = await viewsOf(options.store.read, [row], options)
  if (!found) throw notFound(`${row.owner}/${row.name}`)
  return found
}
