import type { RunSpec } from './runtime.ts'
import type { AgentRow } from './store.ts'

/** What a person keeps on disk: agent files, their `.ini`, the per-user log. Paths never leave the project. */
export interface Project {
  readonly root: string
  /**
   * Writes the agent's files from the template (kind team) and answers the agent file's absolute path, null for kinds without one.
   * Replaces what is there. Throws NOT_FOUND with `details.what` = `template` when the template is missing.
   */
  write(agent: AgentRow): Promise<string | null>
  /** Throws NOT_FOUND with `details.what` = `agent-file` when a start could only fail, since its agent file is missing. */
  check(agent: AgentRow): Promise<void>
  /** Writes its files when its agent file is missing; what is there, a person's changes included, stays. */
  restore(agent: AgentRow): Promise<void>
  /** Removes its files and what its runner remembers; none there is success. The user's log stays. */
  remove(agent: AgentRow): Promise<void>
  /** Program, folder and environment for a run of it (RELIABILITY.md 4, "Environment of agents"). */
  launch(
    agent: AgentRow,
    run: { readonly runId: string; readonly start: number },
  ): Promise<Pick<RunSpec, 'argv' | 'cwd' | 'env' | 'reapOnExit' | 'needs'>>
  /** Appends a line of an agent's output to its owner's `all.log`, which stays bounded. `at`: epoch ms; default now. Never throws. */
  log(agent: Pick<AgentRow, 'owner' | 'name'>, line: string, at?: number): void
  close(): Promise<void>
}
