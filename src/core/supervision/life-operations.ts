import type { AgentView } from '../../contract/agents.ts'
import type { EventType } from '../../contract/events.ts'
import type { RunState } from '../../contract/states.ts'
import { RegentError } from '../../kernel/errors.ts'
import type { AgentRow, LifeRow, Tables } from '../../ports/store.ts'
import { findAgent, notFound } from '../agents/find.ts'
import { type Viewing, viewsOf } from '../agents/views.ts'
import type { Handlers, Handling } from '../handling.ts'
import { tell } from './situation.ts'
import type { SupervisionOptions } from './supervision.ts'
import type { Supervisor } from './supervisor.ts'

type Names = 'agents.start' | 'agents.stop' | 'agents.restart' | 'agents.delete'
export type LifeOptions = Viewing & Pick<SupervisionOptions, 'store' | 'runtime' | 'project'> & { readonly supervisor: Supervisor }

const DEFAULT_WAIT_MS = 60_000
/** How long a stop may take by itself, and then some. */
const waitOf = ({ policy }: AgentRow): number => policy.stop_grace * 1000 + DEFAULT_WAIT_MS

/** What a command writes: the intent alone. The keeper does the rest. */
type Intend = (
  life: LifeRow,
  runStart: number,
) => { readonly change: Partial<LifeRow>; readonly event: EventType | null; readonly deleting?: true }

const intendStart: Intend = (life, runStart) => {
  const under = runStart < life.start || ['STARTING', 'RUNNING', 'UNKNOWN'].includes(life.state)
  if (life.desired === 'running' && under) return { change: {}, event: null }
  return { change: { desired: 'running', start: life.start + 1 }, event: 'agent.start_requested' }
}
const intendStop: Intend = (life) =>
  life.desired === 'stopped' ? { change: {}, event: null } : { change: { desired: 'stopped' }, event: 'agent.stop_requested' }
const intendRestart: Intend = (life) => ({ change: { desired: 'running', start: life.start + 1 }, event: 'agent.restart_requested' })
const intendDelete: Intend = (life) => ({
  change: { desired: 'stopped' },
  event: life.desired === 'running' ? 'agent.stop_requested' : null,
  deleting: true,
})

export function lifeOperations(options: LifeOptions): Handlers<Names> {
  const { supervisor } = options
  const started = async (input: { agent: string; wait: boolean; timeout?: number | undefined }, handling: Handling, intend: Intend) => {
    const row = await findAgent(options.store.read, input.agent, handling.caller)
    await options.project.check(row)
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

/** Writes the intent and wakes the keeper; answers the `start` that is wanted now. */
async function intendFor(options: LifeOptions, row: AgentRow, handling: Handling, intend: Intend): Promise<number> {
  const start = await handling.accept((tables) => write(tables, row.id, intend, handling.caller.user, options.clock.now()))
  options.supervisor.wake(row.id)
  return start
}

async function write(tables: Tables, agentId: string, intend: Intend, actor: string, at: number): Promise<number> {
  const row = await tables.agents.get(agentId)
  const life = row && (await tables.lives.get(agentId))
  if (!life) throw notFound(agentId)
  const run = life.runId === null ? undefined : await tables.runs.get(life.runId)
  const { change, event, deleting } = intend(life, run?.start ?? 0)
  if (row.deleting && !deleting) throw new RegentError('ILLEGAL_STATE', `${row.owner}/${row.name} is being deleted`)
  if (deleting && !row.deleting) await tables.agents.update(agentId, { deleting: true })
  if (Object.keys(change).length > 0) await tables.lives.update(agentId, change)
  const start = change.start ?? life.start
  if (event) await tell(tables, row, event, at, actor, { start })
  return start
}

/** Resolves once it is RUNNING; throws START_FAILED at its first death or when it is given up. */
async function untilStarted(supervisor: Supervisor, row: AgentRow, start: number, signal: AbortSignal, timeoutMs?: number): Promise<void> {
  const name = `${row.owner}/${row.name}`
  await supervisor.until(
    row.id,
    (record) => {
      if (!record) throw notFound(name)
      const { life, run } = record
      if (life.desired === 'stopped')
        throw new RegentError('START_FAILED', `${name} was stopped before it was up`, { details: { state: life.state } })
      if ((run?.start ?? 0) < start) return undefined
      if (life.state === 'RUNNING') return true
      if (life.state === 'EXITED' && life.exitCode === 0) return true
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
