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
  readonly #following = new Map<string, AbortController>()

  constructor({ runtime, project, logger }: { runtime: Runtime; project: Project; logger: Logger }) {
    this.#runtime = runtime
    this.#project = project
    this.#logger = logger
  }

  /** Follows an agent from this run on, over its restarts. A fresh run is copied from its first line. */
  follow(agent: AgentRow, runId: string, fresh: boolean): void {
    if (agent.kind !== 'team' || this.#following.has(agent.id)) return
    const stop = new AbortController()
    this.#following.set(agent.id, stop)
    void this.#copy(agent, runId, fresh, stop.signal)
      .catch((error: unknown) => {
        if (!stop.signal.aborted) this.#logger.warn({ agent: agent.id, error: reasonOf(error) }, 'the log of its user is no longer written')
      })
      .finally(() => this.#following.delete(agent.id))
  }

  end(agentId: string): void {
    this.#following.get(agentId)?.abort()
  }

  close(): void {
    for (const stop of this.#following.values()) stop.abort()
  }

  async #copy(agent: AgentRow, runId: string, fresh: boolean, signal: AbortSignal): Promise<void> {
    let reached = !fresh
    for await (const line of this.#runtime.logs(agent.id, { follow: true, ...(!fresh && { tail: 0 }) }, signal)) {
      reached ||= line.runId === runId
      if (reached) this.#project.log(agent, line.text)
    }
  }
}
