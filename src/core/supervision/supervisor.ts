import { knownAs, pausedCursor, sequenceCursor } from '../../contract/agent-commands.ts'
import { runnerVariables } from '../../contract/link.ts'
import { liveStates } from '../../contract/states.ts'
import { RegentError, reasonOf } from '../../kernel/errors.ts'
import type { JsonObject } from '../../kernel/json.ts'
import type { Run, RunSpec } from '../../ports/runtime.ts'
import type { AgentRow } from '../../ports/store.ts'
import { claimCursor } from '../agents/options.ts'
import { Dependents, type Known } from './dependents.ts'
import { Keeper } from './keeper.ts'
import type { Waiting } from './order.ts'
import { RestartLimit } from './restart-limit.ts'
import { scheduleCursor } from './schedules.ts'
import { loadRecord, type Record, tell } from './situation.ts'
import type { Supervision, SupervisionOptions } from './supervision.ts'
import { UserLogs, userLogCursor } from './user-logs.ts'

export interface Supervisor {
  /** Adopts what runs and takes up every intent that is not fulfilled. Resolves once each live run was found or given up. */
  recover(): Promise<{ adopted: number }>
  /** To be called after an agent's intent was written. */
  wake(agentId: string): void
  /**
   * Waits until `look` gives an answer; it is asked now and after every change of the agent.
   * Rejects with TIMED_OUT after `timeoutMs`, or with the signal's reason.
   */
  until<T>(
    agentId: string,
    look: (record: Record | undefined) => T | undefined,
    options: { signal: AbortSignal; timeoutMs: number },
  ): Promise<T>
  /** Its live run, where this Regent has one. */
  run(agentId: string): Run | undefined
  survivors(agentId: string): readonly number[]
  /** A run that lives and does not do its work is replaced, where its policy allows; counted as a death. */
  unfit(agentId: string, runId: string, why: string): void
  /** Why an agent that is wanted is not started, where it waits for its dependencies. */
  waiting(agentId: string): Waiting | undefined
  /** To be called when the health of an agent changed: those that depend on it look again. */
  wakeDependents(agentId: string): void
  /**
   * Regent is about to end, and its agents with it: stops every agent in the order of their dependencies, within the longest grace, and
   * starts none. What is wanted stays wanted, for the next Regent. Resolves with how many still live.
   */
  haltAll(): Promise<number>
  /** Regent ends, and its agents with it. */
  halting(): boolean
  /** Stops deciding; no run is ended. */
  close(): void
}

export const createSupervisor = (options: SupervisionOptions): Supervisor => new AgentSupervisor(options)

class AgentSupervisor implements Supervisor {
  readonly #o: SupervisionOptions
  readonly #supervision: Supervision
  readonly #keepers = new Map<string, Keeper>()
  readonly #watchers = new Map<string, Set<() => void>>()
  readonly #attachedOnce = new Set<string>()
  readonly #dependents = new Dependents()
  readonly #userLogs: UserLogs
  #recovering = false
  #adoptedRuns = 0
  #halting = false

  constructor(options: SupervisionOptions) {
    this.#o = options
    this.#userLogs = new UserLogs(options)
    this.#supervision = this.#forKeepers()
  }

  async recover(): Promise<{ adopted: number }> {
    this.#recovering = true
    const lives = await this.#o.store.read.lives.list()
    const live = lives.filter((life) => liveStates.includes(life.state)).map((life) => life.agentId)
    const found = live.map((agentId) => waitAttached(this.#keeperOf(agentId), agentId, this.#watchers, this.#attachedOnce))
    for (const life of lives) this.wake(life.agentId)
    await Promise.all(found)
    this.#recovering = false
    this.#attachedOnce.clear()
    return { adopted: this.#adoptedRuns }
  }

  wake(agentId: string): void {
    void this.#keeperOf(agentId).wake()
  }

  until<T>(
    agentId: string,
    look: (record: Record | undefined) => T | undefined,
    limits: { signal: AbortSignal; timeoutMs: number },
  ): Promise<T> {
    return until(this.#o, this.#watchers, agentId, look, limits)
  }

  run(agentId: string): Run | undefined {
    return this.#keepers.get(agentId)?.run
  }

  unfit(agentId: string, runId: string, why: string): void {
    this.#keepers.get(agentId)?.unfit(runId, why)
  }

  survivors(agentId: string): readonly number[] {
    return this.#keepers.get(agentId)?.survivors ?? []
  }

  waiting(agentId: string): Waiting | undefined {
    return this.#keepers.get(agentId)?.waiting
  }

  wakeDependents(agentId: string): void {
    void this.#o.store.read.agents.get(agentId).then(
      (agent) => agent && this.#moved(agent),
      (error: unknown) => this.#o.logger.warn({ agent: agentId, error: reasonOf(error) }, 'who depends on an agent could not be told'),
    )
  }

  halting(): boolean {
    return this.#halting
  }

  async haltAll(): Promise<number> {
    this.#halting = true
    const lives = (await this.#o.store.read.lives.list()).filter((life) => liveStates.includes(life.state))
    for (const keeper of this.#keepers.values()) void keeper.wake()
    const ends = lives.map(({ agentId }) => untilEnded(this.#o, this.#watchers, this.#keeperOf(agentId)))
    return (await Promise.all(ends)).filter((ended) => !ended).length
  }

  close(): void {
    this.#userLogs.close()
    for (const keeper of this.#keepers.values()) keeper.close()
  }

  #keeperOf(agentId: string): Keeper {
    const known = this.#keepers.get(agentId)
    if (known) return known
    const keeper = new Keeper(this.#supervision, agentId)
    this.#keepers.set(agentId, keeper)
    return keeper
  }

  #moved(agent: Known): void {
    for (const agentId of this.#dependents.concerned(agent)) this.wake(agentId)
  }

  #forKeepers(): Supervision {
    const options = this.#o
    return {
      ...options,
      restarts: new RestartLimit(options.clock, options.restartsPerSecond),
      dependents: this.#dependents,
      specOf: (agent, runId, start) => specOf(options, agent, runId, start),
      adopted: (record, run) => this.#adopted(record, run),
      attached: (agent, run, fresh) => {
        if (this.#recovering) this.#attachedOnce.add(agent.id)
        this.#userLogs.follow(agent, run.handle.runId, fresh)
        options.watcher?.begin(agent, run)
      },
      unwatch: (agentId) => options.watcher?.end(agentId),
      halting: () => this.#halting,
      moved: (agent) => this.#moved(agent),
      changed: (agentId) => {
        for (const look of [...(this.#watchers.get(agentId) ?? [])]) look()
      },
      forget: (agentId) => void this.#keepers.delete(agentId),
      remove: (agent) => {
        this.#userLogs.end(agent.id)
        options.watcher?.forget(agent.id)
        return remove(options, agent)
      },
    }
  }

  async #adopted({ agent }: Record, run: Run): Promise<void> {
    this.#adoptedRuns++
    const { store, clock } = this.#o
    await store.transaction((tables) =>
      tell(tables, agent, 'run.adopted', clock.now(), 'regent', { run_id: run.handle.runId, pid: run.pid }),
    )
  }
}

/** Resolves when the keeper has its run in hand, or has nothing left to do. */
function waitAttached(keeper: Keeper, agentId: string, watchers: Map<string, Set<() => void>>, attached: Set<string>): Promise<void> {
  return new Promise((resolve) => {
    const stop = watch(watchers, agentId, () => {
      if (!attached.has(agentId)) return
      stop()
      resolve()
    })
    void keeper.wake().then(() => {
      stop()
      resolve()
    })
  })
}

const HALT_SLACK_MS = 5000

/** Wakes its keeper and waits until nothing of it lives, or its grace and then some is over: false. */
async function untilEnded(options: SupervisionOptions, watchers: Map<string, Set<() => void>>, keeper: Keeper): Promise<boolean> {
  const agent = await options.store.read.agents.get(keeper.agentId)
  void keeper.wake()
  const limits = { signal: new AbortController().signal, timeoutMs: (agent?.policy.stop_grace ?? 0) * 1000 + HALT_SLACK_MS }
  const isOver = (record: Record | undefined) => (record && liveStates.includes(record.life.state) ? undefined : true)
  try {
    return await until(options, watchers, keeper.agentId, isOver, limits)
  } catch (error) {
    options.logger.warn({ agent: keeper.agentId, error: reasonOf(error) }, 'an agent did not end with Regent')
    return false
  }
}

function watch(watchers: Map<string, Set<() => void>>, agentId: string, look: () => void): () => void {
  const set = watchers.get(agentId) ?? new Set()
  watchers.set(agentId, set.add(look))
  return () => {
    set.delete(look)
    if (set.size === 0 && watchers.get(agentId) === set) watchers.delete(agentId)
  }
}

function until<T>(
  { store, clock }: SupervisionOptions,
  watchers: Map<string, Set<() => void>>,
  agentId: string,
  look: (record: Record | undefined) => T | undefined,
  { signal, timeoutMs }: { signal: AbortSignal; timeoutMs: number },
): Promise<T> {
  return new Promise((resolve, reject) => {
    let over = false
    const end = (act: () => void) => {
      if (over) return
      over = true
      stopWatching()
      stopTimer()
      signal.removeEventListener('abort', aborted)
      act()
    }
    const aborted = () => end(() => reject(signal.reason))
    const check = () => {
      loadRecord(store.read, agentId)
        .then(look)
        .then((answer) => answer !== undefined && end(() => resolve(answer)))
        .catch((error: unknown) => end(() => reject(error)))
    }
    const stopWatching = watch(watchers, agentId, check)
    const late = () => loadRecord(store.read, agentId).then((record) => reject(tooLate(record, timeoutMs)), reject)
    const stopTimer = clock.after(timeoutMs, () => end(() => void late()))
    signal.addEventListener('abort', aborted, { once: true })
    if (signal.aborted) aborted()
    else check()
  })
}

function tooLate(record: Record | undefined, timeoutMs: number): RegentError {
  if (!record) return new RegentError('TIMED_OUT', `not seen within ${timeoutMs / 1000} s`)
  const { agent, life } = record
  const name = `${agent.owner}/${agent.name}`
  return new RegentError('TIMED_OUT', `${name} is still ${life.state} after ${timeoutMs / 1000} s: ${life.reason}`, {
    hint: `what was asked goes on; look again: regent show ${name}`,
  })
}

async function specOf(
  { project, linkOf, channelRefused }: SupervisionOptions,
  agent: AgentRow,
  runId: string,
  start: number,
): Promise<RunSpec> {
  const launch = await project.launch(agent, { runId, start })
  return {
    ...launch,
    ...(channelRefused?.(agent.id) && { env: { ...launch.env, [runnerVariables.channel]: 'refused' } }),
    runId,
    agentId: agent.id,
    label: `${agent.owner}/${agent.name}`,
    limits: agent.limits,
    owner: agent.owner,
    record: { ...agent, policy: { ...agent.policy }, limits: { ...agent.limits }, start } as unknown as JsonObject,
    link: agent.kind === 'command' ? null : linkOf(runId),
  }
}

async function remove({ store, runtime, project, secrets, clock, logger }: SupervisionOptions, agent: AgentRow): Promise<boolean> {
  await runtime.forget(agent.id)
  await project.remove(agent)
  await secrets.remove(agent.id)
  await store.transaction(async (tables) => {
    const now = await tables.agents.get(agent.id)
    if (!now) return
    const known = knownAs(now.definition)
    await tell(tables, now, 'agent.deleted', clock.now(), 'regent', known ? { known_as: known } : {})
    await tables.agents.delete(agent.id)
    await tables.cursors.delete(`runner:${agent.id}`)
    await tables.cursors.delete(claimCursor(agent.id))
    await tables.cursors.delete(userLogCursor(agent.id))
    await tables.cursors.delete(sequenceCursor(agent.id))
    await tables.cursors.delete(pausedCursor(agent.id))
    for (const index of (agent.policy.schedules ?? []).keys()) await tables.cursors.delete(scheduleCursor(agent.id, index))
  })
  logger.info({ agent: agent.id, name: `${agent.owner}/${agent.name}` }, 'agent deleted')
  return true
}
