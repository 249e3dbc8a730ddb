import type { LinkInfo } from '../../contract/link.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Ids } from '../../kernel/ids.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Project } from '../../ports/project.ts'
import type { Run, RunSpec, Runtime } from '../../ports/runtime.ts'
import type { Secrets } from '../../ports/secrets.ts'
import type { AgentRow, Store } from '../../ports/store.ts'
import type { Dependents, Known } from './dependents.ts'
import type { HealthView } from './observed.ts'
import type { RestartLimit } from './restart-limit.ts'
import type { Record } from './situation.ts'

/** Looks at live runs from outside, each until it is stopped or has ended. */
export interface Watcher {
  begin(agent: AgentRow, run: Run): void
  /** It is about to be replaced: it is looked at no more, and what was seen stays until its end. */
  freeze(agentId: string): void
  /** Harmless where nothing was begun. */
  end(agentId: string): void
  /** The agent is gone. */
  forget(agentId: string): void
}

export interface SupervisionOptions {
  readonly store: Store
  readonly runtime: Runtime
  readonly project: Project
  readonly secrets: Secrets
  readonly clock: Clock
  readonly ids: Ids
  readonly logger: Logger
  readonly linkOf: (runId: string) => LinkInfo
  /** Another owner holds the channel of this agent. */
  readonly channelRefused?: (agentId: string) => boolean
  /** What its probes say of an agent, for those that depend on it. */
  readonly healthOf: (agentId: string) => HealthView
  readonly watcher?: Watcher
  readonly restartsPerSecond: number
  /** In [0,1). */
  readonly random: () => number
}

/** What a keeper needs of its surroundings. */
export type Supervision = Omit<SupervisionOptions, 'restartsPerSecond' | 'project' | 'secrets'> & {
  readonly restarts: RestartLimit
  readonly dependents: Dependents
  /** Regent ends, and its agents with it. */
  halting(): boolean
  specOf(agent: AgentRow, runId: string, start: number): Promise<RunSpec>
  adopted(record: Record, run: Run): Promise<void>
  /** It has its run in hand; `fresh` when the run was started just now. */
  attached(agent: AgentRow, run: Run, fresh: boolean): void
  /** Its run is stopped, or over. */
  unwatch(agentId: string): void
  changed(agentId: string): void
  /** Its life changed: those that depend on it, or wait for its stop, look again. */
  moved(agent: Known): void
  forget(agentId: string): void
  /** Removes a stopped agent with all that is kept of it. */
  remove(agent: AgentRow): Promise<boolean>
}
