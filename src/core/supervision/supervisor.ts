import { liveStates } from '../../contract/states.ts'
import { RegentError, reasonOf } from '../../kernel/errors.ts'
import type { JsonObject } from '../../kernel/json.ts'
import type { Run, RunSpec } from '../../ports/runtime.ts'
import type { AgentRow } from '../../ports/store.ts'
import { claimCursor } from '../agents/options.ts'
import { Dependents } from './dependents.ts'
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

export function createSupervisor(options: SupervisionOptions): Supervisor {
  const keepers = new Map<string, Keeper>()
  const watchers = new Map<string, Set<() => void>>()
  const attachedOnce = new Set<string>()
  let recovering = false
  const userLogs = new UserLogs(options)
  let adoptedRuns = 0
  let halting = false
  const dependents = new Dependents()
  const supervision: Supervision = {
    ...options,
    restarts: new RestartLimit(options.clock, options.restartsPerSecond),
    specOf: (agent, runId, start) => specOf(options, agent, runId, start),
    async adopted(record, run) {
      adoptedRuns++
      await options.store.transaction((tables) =>
        tell(tables, record.agent, 'run.adopted', options.clock.now(), 'regent', { run_id: run.handle.runId, pid: run.pid }),
      )
    },
    attached(agent, run, fresh) {
      if (recovering) attachedOnce.add(agent.id)
      userLogs.follow(agent, run.handle.runId, fresh)
      options.watcher?.begin(agent, run)
    },
    unwatch(agentId) {
      options.watcher?.end(agentId)
    },
    dependents,
    halting: () => halting,
    moved(agent) {
      for (const agentId of dependents.concerned(agent)) void keeperOf(agentId).wake()
    },
    changed(agentId) {
      for (const look of [...(watchers.get(agentId) ?? [])]) look()
    },
    forget: (agentId) => void keepers.delete(agentId),
    remove(agent) {
      userLogs.end(agent.id)
      options.watcher?.forget(agent.id)
      return remove(options, agent)
    },
  }
  const keeperOf = (agentId: string): Keeper => {
    const known = keepers.get(agentId)
    if (known) return known
    const keeper = new Keeper(supervision, agentId)
    keepers.set(agentId, keeper)
    return keeper
  }
  return {
    async recover() {
      recovering = true
      const lives = await options.store.read.lives.list()
      const live = lives.filter((life) => liveStates.includes(life.state)).map((life) => life.agentId)
      const found = live.map((agentId) => waitAttached(keeperOf(agentId), agentId, watchers, attachedOnce))
      for (const life of lives) void keeperOf(life.agentId).wake()
      await Promise.all(found)
      recovering = false
      attachedOnce.clear()
      return { adopted: adoptedRuns }
    },
    wake: (agentId) => void keeperOf(agentId).wake(),
    until: (agentId, look, limits) => until(options, watchers, agentId, look, limits),
    run: (agentId) => keepers.get(agentId)?.run,
    unfit: (agentId, runId, why) => keepers.get(agentId)?.unfit(runId, why),
    survivors: (agentId) => keepers.get(agentId)?.survivors ?? [],
    waiting: (agentId) => keepers.get(agentId)?.waiting,
    wakeDependents(agentId) {
      void options.store.read.agents.get(agentId).then(
        (agent) => agent && supervision.moved(agent),
        (error: unknown) => options.logger.warn({ agent: agentId, error: reasonOf(error) }, 'who depends on an agent could not be told'),
      )
    },
    halting: () => halting,
    async haltAll() {
      halting = true
      const lives = (await options.store.read.lives.list()).filter((life) => liveStates.includes(life.state))
      for (const keeper of keepers.values()) void keeper.wake()
      const ends = lives.map(({ agentId }) => untilEnded(options, watchers, keeperOf(agentId)))
      return (await Promise.all(ends)).filter((ended) => !ended).length
    },
    close() {
      userLogs.close()
      for (const keeper of keepers.values()) keeper.close()
    },
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
    const late = () => new RegentError('TIMED_OUT', `not seen within ${timeoutMs} ms`, { hint: 'it goes on; look again with show' })
    const stopTimer = clock.after(timeoutMs, () => end(() => reject(late())))
    signal.addEventListener('abort', aborted, { once: true })
    if (signal.aborted) aborted()
    else check()
  })
}

async function specOf({ project, linkOf }: SupervisionOptions, agent: AgentRow, runId: string, start: number): Promise<RunSpec> {
  const launch = await project.launch(agent, { runId, start })
  return {
    ...launch,
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
    await tell(tables, now, 'agent.deleted', clock.now(), 'regent', {})
    await tables.agents.delete(agent.id)
    await tables.cursors.delete(`runner:${agent.id}`)
    await tables.cursors.delete(claimCursor(agent.id))
    await tables.cursors.delete(userLogCursor(agent.id))
    for (const index of (agent.policy.schedules ?? []).keys()) await tables.cursors.delete(scheduleCursor(agent.id, index))
  })
  logger.info({ agent: agent.id, name: `${agent.owner}/${agent.name}` }, 'agent deleted')
  return true
}
