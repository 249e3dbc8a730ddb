import { liveStates } from '../../contract/states.ts'
import type { Run, RunHandle } from '../../ports/runtime.ts'
import type { Tables } from '../../ports/store.ts'
import type { Unmet } from './dependencies.ts'
import { type End, exitColumns, exitWords, judge, judgeReboot } from './restart.ts'
import { applyMove, type Record, tell } from './situation.ts'
import { moveTo } from './states.ts'

/** The moves of a life, each one transaction's worth of writes. They are given what was loaded in the same transaction. */

type Started = Pick<Run, 'pid' | 'startedAt'>

export async function beginRun(tables: Tables, record: Record, handle: RunHandle, fresh: boolean, at: number): Promise<void> {
  const { agent, life } = record
  await tables.runs.insert({
    id: handle.runId,
    agentId: agent.id,
    node: agent.node,
    epoch: agent.epoch,
    start: life.start,
    revision: agent.revision,
    handle: { ...handle },
    pid: null,
    startedAt: at,
    endedAt: null,
    exitCode: null,
    exitSignal: null,
    exitReason: null,
  })
  const restarts = fresh ? 0 : life.restarts + 1
  const asked = record.run?.start === life.start ? 'started again with Regent' : 'started as asked'
  const why = fresh ? asked : `restart ${restarts} after: ${record.run?.exitReason ?? 'an unknown end'}`
  const counters = fresh ? { restarts, deaths: 0, earlyDeaths: 0 } : { restarts }
  const change = moveTo(life.state, 'STARTING', why, at)
  await applyMove(tables, agent, change, { ...counters, runId: handle.runId, retryAt: null }, { run_id: handle.runId, restarts })
}

/** The process is there; with startsecs 0 it counts as RUNNING at once. */
export async function noteStarted(tables: Tables, record: Record, pid: number | null, startedAt: number, at: number): Promise<void> {
  if (!record.run || record.run.endedAt !== null) return
  await tables.runs.update(record.run.id, { pid, startedAt })
  if (record.agent.policy.startsecs === 0) await becomeRunning(tables, record, at, { pid, startedAt })
}

/** Puts its pid on record too, should the store not have taken it at the start. */
export async function becomeRunning(tables: Tables, { agent, life, run }: Record, at: number, live?: Started): Promise<void> {
  if (life.state !== 'STARTING') return
  const pid = live?.pid ?? run?.pid ?? null
  if (run && live && run.pid !== pid) await tables.runs.update(run.id, { pid, startedAt: live.startedAt })
  const change = moveTo(life.state, 'RUNNING', `alive for ${agent.policy.startsecs} s`, at)
  await applyMove(tables, agent, change, { earlyDeaths: 0 }, { run_id: run?.id ?? null, pid })
}

export async function beginStop(tables: Tables, { agent, life, run }: Record, why: string, at: number): Promise<void> {
  if (life.state === 'STOPPING') return
  await applyMove(tables, agent, moveTo(life.state, 'STOPPING', why, at), {}, { run_id: run?.id ?? null })
}

/** It is wanted, and stays in its state until its dependencies are there. */
export async function holdStart(
  tables: Tables,
  { agent, life }: Record,
  reason: string,
  unmet: readonly Unmet[],
  at: number,
): Promise<void> {
  await tables.lives.update(agent.id, { reason })
  await tell(tables, agent, 'agent.start_held', at, 'regent', { state: life.state, reason, on: unmet.map(({ name }) => name) })
}

/** STOPPED from a state in which nothing lives. */
export async function settle(tables: Tables, { agent, life }: Record, at: number): Promise<void> {
  await applyMove(tables, agent, moveTo(life.state, 'STOPPED', 'stopped as asked', at), { retryAt: null })
}

/** From a live state that has no run on record. */
export async function abandon(tables: Tables, { agent, life }: Record, at: number): Promise<void> {
  const unknown = life.state === 'UNKNOWN' ? life.state : moveTo(life.state, 'UNKNOWN', 'there is no record of its run', at).to
  await applyMove(tables, agent, moveTo(unknown, 'STOPPED', 'there is no record of its run', at), { runId: null })
}

export interface Ending {
  readonly runId: string
  readonly exit: End
  readonly livedMs: number
  readonly random: number
  readonly survivors: readonly number[]
  readonly at: number
}

/**
 * The run is over: its end is recorded, and what follows is decided. Answers the ms until a restart, undefined without one or where it is
 * not the present run, or its end is known.
 */
export async function endRun(tables: Tables, record: Record, ending: Ending): Promise<number | undefined> {
  const { agent, life, run } = record
  if (run?.id !== ending.runId || run.endedAt !== null || !liveStates.includes(life.state)) return undefined
  const { exit, at } = ending
  const columns = exitColumns(exit)
  await tables.runs.update(run.id, { endedAt: exit.at, ...columns })
  const exitOf = { exitCode: columns.exitCode, exitSignal: columns.exitSignal }
  const data = {
    run_id: run.id,
    exit_code: exitOf.exitCode,
    exit_signal: exitOf.exitSignal,
    lived_ms: Math.round(ending.livedMs),
    ...(exit.kind !== 'lost' && exit.oom && { oom: true }),
    ...(exit.rebooted && { rebooted: true }),
    ...(exit.unfit !== undefined && { unfit: true }),
  }
  if (life.state === 'STOPPING' || life.desired === 'stopped') {
    const why = life.state === 'STOPPING' ? life.reason : 'stopped as asked'
    const change = moveTo(exitedFirst(life.state, 'STOPPED'), 'STOPPED', `${why} (${exitWords(exit)})`, at)
    await applyMove(tables, agent, change, { ...exitOf, retryAt: null }, { ...data, survivors: [...ending.survivors] })
    return undefined
  }
  const { verdict, ...columnsOfDeath } = verdictOf(record, ending)
  const counted = { ...exitOf, ...columnsOfDeath }
  if (verdict.to !== 'BACKOFF') {
    await applyMove(
      tables,
      agent,
      moveTo(exitedFirst(life.state, verdict.to), verdict.to, verdict.reason, at),
      { ...counted, retryAt: null },
      data,
    )
    return undefined
  }
  if (life.state === 'RUNNING')
    await tell(tables, agent, 'run.exited', at, 'regent', { from: 'RUNNING', to: 'EXITED', reason: exitWords(exit), ...data })
  const change = moveTo(exitedFirst(life.state, 'BACKOFF'), 'BACKOFF', verdict.reason, at)
  await applyMove(
    tables,
    agent,
    change,
    { ...counted, retryAt: at + Math.round(verdict.delayMs) },
    { ...data, delay_ms: Math.round(verdict.delayMs) },
  )
  return verdict.delayMs
}

/** What follows, with the columns that change with it. */
function verdictOf({ agent: { policy }, life }: Record, { exit, livedMs, random }: Ending) {
  const reboot = exit.rebooted ? judgeReboot(policy, exit) : undefined
  if (reboot?.to === 'STOPPED') return { verdict: reboot, desired: 'stopped' as const }
  return reboot ? { verdict: reboot } : judge({ life, policy, exit, livedMs, random })
}

/** A RUNNING run that ends by itself passes through EXITED on its way elsewhere; both moves are one transaction. */
function exitedFirst(state: Record['life']['state'], to: 'EXITED' | 'FATAL' | 'BACKOFF' | 'STOPPED'): Record['life']['state'] {
  return state === 'RUNNING' && to !== 'EXITED' ? moveTo(state, 'EXITED', 'ended by itself', 0).to : state
}
