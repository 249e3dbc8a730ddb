import type { Clock } from '../../kernel/clock.ts'
import { reasonOf } from '../../kernel/errors.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Project } from '../../ports/project.ts'
import type { Runtime } from '../../ports/runtime.ts'
import type { AgentRow, Store } from '../../ports/store.ts'

export interface UserLogsOptions {
  readonly runtime: Runtime
  readonly project: Project
  readonly store: Store
  readonly clock: Clock
  readonly logger: Logger
}

/** The cursor of an agent's copied output: the time of the last line, in µs of the epoch. */
export const userLogCursor = (agentId: string): string => `user-log:${agentId}`

/** How long positions gather, and how long what was copied has to reach the disk before its position does. */
const GATHER_MS = 700
const SETTLE_MS = 200

/**
 * Copies what team agents print to their owner's `all.log` (000's per-user log). It goes on where it stood: nothing is missing because
 * Regent was down, and nothing stands there twice but what was copied within the last second before a crash.
 */
export class UserLogs {
  readonly #o: UserLogsOptions
  /** `runs`: those that may be the first to be copied, where no position is known; empty once one was. */
  readonly #following = new Map<string, { readonly stop: AbortController; readonly runs: Set<string> }>()
  /** By agent, what is not yet kept in the store. */
  readonly #reached = new Map<string, number>()
  #gathering = false
  #closed = false

  constructor(options: UserLogsOptions) {
    this.#o = options
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
        if (!stop.signal.aborted)
          this.#o.logger.warn({ agent: agent.id, error: reasonOf(error) }, 'the log of its user is no longer written')
      })
      .finally(() => this.#following.delete(agent.id))
  }

  /** It is deleted. */
  end(agentId: string): void {
    this.#following.get(agentId)?.stop.abort()
    this.#reached.delete(agentId)
  }

  close(): void {
    this.#closed = true
    for (const { stop } of this.#following.values()) stop.abort()
    void this.#keep(new Map(this.#reached))
  }

  async #copy(agent: AgentRow, runs: Set<string>, fresh: boolean, signal: AbortSignal): Promise<void> {
    const { store, runtime, project } = this.#o
    const cursor = await store.read.cursors.get(userLogCursor(agent.id))
    const from = cursor > 0 ? { since: cursor / 1000 } : fresh ? {} : { tail: 0 }
    let reached = cursor > 0 || !fresh
    for await (const line of runtime.logs(agent.id, { follow: true, ...from }, signal)) {
      reached ||= runs.has(line.runId)
      if (!reached) continue
      runs.clear()
      project.log(agent, line.text, line.at ?? undefined)
      if (line.at !== null) this.#note(agent.id, Math.floor(line.at * 1000))
    }
  }

  #note(agentId: string, position: number): void {
    this.#reached.set(agentId, Math.max(position, this.#reached.get(agentId) ?? 0))
    this.#gather()
  }

  #gather(): void {
    if (this.#gathering || this.#closed || this.#reached.size === 0) return
    this.#gathering = true
    this.#o.clock.after(GATHER_MS, () => {
      const positions = new Map(this.#reached)
      this.#o.clock.after(SETTLE_MS, () => {
        this.#gathering = false
        if (!this.#closed) void this.#keep(positions)
      })
    })
  }

  /** What could not be kept is kept with the next line. Never rejects. */
  async #keep(positions: ReadonlyMap<string, number>): Promise<void> {
    if (positions.size === 0) return
    try {
      await this.#o.store.transaction(async (tables) => {
        for (const [agentId, position] of positions)
          if (this.#reached.has(agentId)) await tables.cursors.set(userLogCursor(agentId), position)
      })
      for (const [agentId, position] of positions) if (this.#reached.get(agentId) === position) this.#reached.delete(agentId)
      this.#gather()
    } catch (error) {
      this.#o.logger.warn({ error: reasonOf(error) }, 'how far the logs of users were copied was not kept')
    }
  }
}
