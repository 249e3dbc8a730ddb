import type { Check, SystemStatus } from '../../contract/system.ts'
import type { Caller } from '../../contract/tokens.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Bus } from '../../ports/bus.ts'
import type { Runtime } from '../../ports/runtime.ts'
import type { Self } from '../../ports/self.ts'
import type { Store } from '../../ports/store.ts'
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

async function status(options: StatusOptions, startedAt: number, caller: Caller): Promise<SystemStatus> {
  const { store, runtime, bus, journal, presence, clock, about } = options
  const [checks, self] = await Promise.all([options.checks(), options.self.usage()])
  const reachable = checks.find((check) => check.name === 'store')?.ok === true
  const scope: { owner?: string } = caller.role === 'admin' ? {} : { owner: caller.user }
  const agents = reachable ? await store.read.agents.list(scope) : []
  const ids = agents.map((agent) => agent.id)
  const lives = reachable ? await store.read.lives.list(ids) : []
  const workers = reachable ? (await store.read.workers.open()).filter(({ owner }) => (scope.owner ?? owner) === owner) : []
  const asking = { agentIds: ids, workerIds: workers.map(({ id }) => id) }
  const waiting = reachable ? await store.read.messages.countWaiting(ids) : new Map<string, number>()
  const pending = reachable ? await store.read.approvals.list({ ...asking, state: 'pending', limit: 500 }) : []
  return {
    ...about,
    started_at: startedAt,
    uptime_ms: clock.now() - startedAt,
    store: store.kind,
    bus: bus.kind,
    runtime: runtime.kind,
    stop_level: runtime.can.stopLevel,
    agents: { total: agents.length, by_state: byState(lives) },
    workers: { open: workers.length, by_state: byState(workers) },
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

function byState(all: readonly { readonly state: string }[]): Record<string, number> {
  const states: Record<string, number> = {}
  for (const { state } of all) states[state] = (states[state] ?? 0) + 1
  return states
}
