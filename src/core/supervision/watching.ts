import type { Clock } from '../../kernel/clock.ts'
import type { Ids } from '../../kernel/ids.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Calendar } from '../../ports/calendar.ts'
import type { Prober } from '../../ports/prober.ts'
import type { Run } from '../../ports/runtime.ts'
import type { AgentRow, Store } from '../../ports/store.ts'
import type { Links } from '../conversations/links.ts'
import { Health, probesOf } from './health.ts'
import type { Observed } from './observed.ts'
import type { Presence } from './presence.ts'
import { Schedules } from './schedules.ts'
import { Stalls } from './stalled.ts'
import type { Watcher } from './supervision.ts'
import type { Supervisor } from './supervisor.ts'

export interface WatchingOptions {
  readonly store: Store
  readonly clock: Clock
  readonly ids: Ids
  readonly logger: Logger
  readonly random: () => number
  readonly prober: Prober
  readonly calendar: Calendar
  readonly observed: Observed
  readonly presence: Presence
  /** Both are built after this. */
  readonly links: () => Pick<Links, 'heartbeat' | 'deliver'>
  readonly supervisor: () => Pick<Supervisor, 'unfit' | 'wake' | 'wakeDependents'>
}

/** What acts on agents without being asked, beside the keepers: health, the stalled rule and schedules. */
export interface Watching extends Watcher {
  /** Schedules begin; to be called once every agent is adopted. */
  schedule(): Promise<void>
  /** An agent was created, or its policy may be another: that takes effect at once. */
  update(agent: AgentRow): void
  /** A runner gave a sign of work. */
  worked(agentId: string): void
  close(): void
}

export function createWatching(options: WatchingOptions): Watching {
  const { links, supervisor, observed } = options
  const unfit = (agentId: string, runId: string, why: string) => supervisor().unfit(agentId, runId, why)
  const health = new Health({
    ...options,
    unfit,
    heartbeat: (agentId, runId, signal) => links().heartbeat(agentId, runId, signal),
    changed: (agentId) => supervisor().wakeDependents(agentId),
  })
  const stalls = new Stalls({ ...options, unfit, deliver: (agentId) => links().deliver(agentId) })
  const schedules = new Schedules({
    ...options,
    wake: (agentId) => supervisor().wake(agentId),
    healthOf: (agentId) => observed.health(agentId),
  })
  const live = new Map<string, { readonly agent: AgentRow; readonly run: Run }>()
  return {
    schedule: () => schedules.begin(),
    begin(agent, run) {
      live.set(agent.id, { agent, run })
      health.begin(agent, run)
      stalls.begin(agent, run)
    },
    freeze(agentId) {
      live.delete(agentId)
      health.freeze(agentId)
      stalls.freeze(agentId)
    },
    end(agentId) {
      live.delete(agentId)
      health.end(agentId)
      stalls.end(agentId)
    },
    forget: (agentId) => schedules.forget(agentId),
    update(agent) {
      schedules.update(agent)
      const known = live.get(agent.id)
      if (!known) return
      live.set(agent.id, { agent, run: known.run })
      if (differ(probesOf(known.agent), probesOf(agent))) health.begin(agent, known.run)
      if (differ(known.agent.policy, agent.policy)) stalls.begin(agent, known.run)
    },
    worked: (agentId) => stalls.worked(agentId),
    close() {
      schedules.close()
      health.close()
      stalls.close()
    },
  }
}

const differ = (one: unknown, other: unknown): boolean => JSON.stringify(one) !== JSON.stringify(other)
