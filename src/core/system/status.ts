import type { Check, SystemStatus } from '../../contract/system.ts'
import type { Caller } from '../../contract/tokens.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Bus } from '../../ports/bus.ts'
import type { Runtime } from '../../ports/runtime.ts'
import type { Self } from '../../ports/self.ts'
import type { Store, Tables } from '../../ports/store.ts'
import type { WorkerRow } from '../../ports/worker-store.ts'
import type { Viewing } from '../agents/views.ts'
import type { Journal } from '../events/journal.ts'
import type { Handlers } from '../handling.ts'
import type { Presence } from '../supervision/presence.ts'

/** What this process is, told once by whoever composed it. */
export interface About {
  readonly version: string
  readonly node: string
  readonly home: string
  readonly project: string
  readonly pid: number
  readonly auth: 'auto' | 'token' | 'none'
}

export interface StatusOptions {
  readonly store: Store
  readonly runtime: Runtime
  readonly bus: Bus
  readonly journal: Journal
  readonly presence: Pick<Presence, 'of'>
  readonly conditionsOf: Viewing['conditionsOf']
  readonly clock: Clock
  readonly about: About
  readonly checks: () => Promise<Check[]>
  readonly self: Self
}

export function statusOperations(options: StatusOptions): Handlers<'system.status'> {
  const startedAt = options.clock.now()
  return { 'system.status': (_input, { caller }) => status(options, startedAt, caller) }
}

/** Of those that the caller may see. */
export async function openWorkers(tables: Tables, { role, user }: Caller): Promise<WorkerRow[]> {
  const rows = await tables.workers.open()
  return role === 'admin' ? rows : rows.filter(({ owner }) => owner === user)
}

async function status(options: StatusOptions, startedAt: number, caller: Caller): Promise<SystemStatus> {
  const { store, runtime, bus, journal, presence, clock, about } = options
  const [checks, self] = await Promise.all([options.checks(), options.self.usage()])
  const reachable = checks.find((check) => check.name === 'store')?.ok === true
  const scope = caller.role === 'admin' ? {} : { owner: caller.user }
  const agents = reachable ? await store.read.agents.list(scope) : []
  const ids = agents.map((agent) => agent.id)
  const lives = reachable ? await store.read.lives.list(ids) : []
  const states: Record<string, number> = {}
  for (const life of lives) states[life.state] = (states[life.state] ?? 0) + 1
  const waiting = reachable ? await store.read.messages.countWaiting(ids) : new Map<string, number>()
  const workers = reachable ? await openWorkers(store.read, caller) : []
  const workerIds = workers.map(({ id }) => id)
  const pending = reachable ? await store.read.approvals.list({ agentIds: ids, workerIds, state: 'pending', limit: 500 }) : []
  const workerStates: Record<string, number> = {}
  for (const { state } of workers) workerStates[state] = (workerStates[state] ?? 0) + 1
  return {
    ...about,
    started_at: startedAt,
    uptime_ms: clock.now() - startedAt,
    store: store.kind,
    bus: bus.kind,
    runtime: runtime.kind,
    stop_level: runtime.can.stopLevel,
    agents: { total: agents.length, by_state: states },
    workers: { active: workers.length, by_state: workerStates },
    messages_waiting: [...waiting.values()].reduce((sum, count) => sum + count, 0),
    approvals_pending: pending.length,
    newest_event: journal.newest,
    process: {
      memory_bytes: self.memoryBytes,
      open_files: self.openFiles,
      event_loop_lag_ms: self.lag && Math.round(self.lag.p99 * 10_000) / 10,
    },
    checks,
    conditions: agents.flatMap((agent) =>
      [...presence.of(agent.id).conditions, ...options.conditionsOf(agent.id)].map((condition) => ({
        ...condition,
        agent: `${agent.owner}/${agent.name}`,
      })),
    ),
    ready: checks.every((check) => check.ok || !check.required),
  }
}
