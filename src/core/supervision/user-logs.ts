import { reasonOf } from '../../kernel/errors.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Project } from '../../ports/project.ts'
import type { Runtime } from '../../ports/runtime.ts'
import type { AgentRow } from '../../ports/store.ts'

/**
 * Copies what team agents print to their owner's `all.log` (000's per-user log). What an agent prints while Regent is down stands in
 * its own log alone.
 */
export class UserLogs {
  readonly #runtime: Runtime
  readonly #project: Project
  readonly #logger: Logger
  /** `runs`: those that may be the first to be copied; empty once one was. */
  readonly #following = new Map<string, { readonly stop: AbortController; readonly runs: Set<string> }>()

  constructor({ runtime, project, logger }: { runtime: Runtime; project: Project; logger: Logger }) {
    this.#runtime = runtime
    this.#project = project
    this.#logger = logger
  }

  /** Follows an agent from this run on, over its restarts. A fresh run is copied from its first line. */
  follow(agent: AgentRow, runId: string, fresh: boolean): void {
    if (agent.kind !== 'team') return
    const known = this.#following.get(agent.id)
    known?.runs.add(runId)
    if (known) return
    const stop = new AbortController()
    const runs = new Set([runId])
    this.#following.set(agent.id, { stop, runs })
    void this.#copy(agent, runs, fresh, stop.signal)
      .catch((error: unknown) => {
        if (!stop.signal.aborted) this.#logger.warn({ agent: agent.id, error: reasonOf(error) }, 'the log of its user is no longer written')
      })
      .finally(() => this.#following.delete(agent.id))
  }

  end(agentId: string): void {
    this.#following.get(agentId)?.stop.abort()
  }

  close(): void {
    for (const { stop } of this.#following.values()) stop.abort()
  }

  async #copy(agent: AgentRow, runs: Set<string>, fresh: boolean, signal: AbortSignal): Promise<void> {
    let reached = !fresh
    for await (const line of this.#runtime.logs(agent.id, { follow: true, ...(!fresh && { tail: 0 }) }, signal)) {
      reached ||= runs.has(line.runId)
      if (!reached) continue
      runs.clear()
      this.#project.log(agent, line.text)
    }
  }
}
