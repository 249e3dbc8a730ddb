import type { Clock } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Prober } from '../../ports/prober.ts'
import type { AgentRow, Store } from '../../ports/store.ts'
import type { Links } from '../conversations/links.ts'
import { Health } from './health.ts'
import type { Observed } from './observed.ts'
import type { Watcher } from './supervision.ts'
import type { Supervisor } from './supervisor.ts'

export interface WatchingOptions {
  readonly store: Store
  readonly clock: Clock
  readonly logger: Logger
  readonly random: () => number
  readonly prober: Prober
  readonly observed: Observed
  /** Both are built after this. */
  readonly links: () => Pick<Links, 'heartbeat'>
  readonly supervisor: () => Pick<Supervisor, 'unfit' | 'wakeDependents'>
}

/** Everything that looks at live runs from outside. */
export interface Watching {
  readonly watchers: readonly Watcher[]
  /** An agent's policy may be another. */
  update(agent: AgentRow): void
  close(): void
}

export function createWatching(options: WatchingOptions): Watching {
  const { links, supervisor } = options
  const health = new Health({
    ...options,
    heartbeat: (agentId, runId, signal) => links().heartbeat(agentId, runId, signal),
    unfit: (agentId, runId, why) => supervisor().unfit(agentId, runId, why),
    changed: (agentId) => supervisor().wakeDependents(agentId),
  })
  return {
    watchers: [health],
    update: (agent) => health.update(agent),
    close: () => health.close(),
  }
}
