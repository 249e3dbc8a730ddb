import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setImmediate as turn } from 'node:timers/promises'
import { isDead, type ProcessStat, statOf } from './identity.ts'

/** All processes of this machine that we may see, at about one moment. */
export interface Snapshot {
  readonly processes: ReadonlyMap<number, ProcessStat>
  /** Live processes by the run id in their environment. Empty where only stats were asked for. */
  readonly marked: ReadonlyMap<string, readonly ProcessStat[]>
}

const SLICE = 64
const linux = process.platform === 'linux'

/** Looks at /proc in small slices, so that Regent stays responsive. Callers that ask at the same time share one look. */
export class ProcessTree {
  #stats: Promise<Snapshot> | undefined
  #full: Promise<Snapshot> | undefined
  #busy: Promise<unknown> = Promise.resolve()

  /** Who is whose child. Never older than the call. */
  stats(): Promise<Snapshot> {
    this.#stats ??= this.#queue(false, () => {
      this.#stats = undefined
    })
    return this.#stats
  }

  /** The same with the run marks: reads every environment. Never older than the call. */
  full(): Promise<Snapshot> {
    this.#full ??= this.#queue(true, () => {
      this.#full = undefined
    })
    return this.#full
  }

  #queue(marks: boolean, begun: () => void): Promise<Snapshot> {
    const work = this.#busy
      .then(() => turn())
      .then(() => {
        begun()
        return look(marks)
      })
    this.#busy = work.catch(() => {})
    return work
  }
}

/** Names one process for good: a pid alone may be given to another one later. */
export type ProcessKey = Pick<ProcessStat, 'pid' | 'startTime'>

/**
 * Live processes of one run: those known, what carries the run's mark, who shares the main process's session or group with one of
 * these, and all their descendants. The number of a session counts only while a process known to be of the run holds it.
 */
export function membersOf(snapshot: Snapshot, runId: string, main: number, known: Iterable<ProcessKey>): ProcessStat[] {
  const found = new Map<number, ProcessStat>()
  const take = (stat: ProcessStat | undefined) => stat && !isDead(stat) && found.set(stat.pid, stat)
  for (const { pid, startTime } of known) {
    const stat = snapshot.processes.get(pid)
    if (stat?.startTime === startTime) take(stat)
  }
  for (const stat of snapshot.marked.get(runId) ?? []) take(stat)
  const anchored = [...found.values()].some((stat) => stat.session === main || stat.group === main)
  if (anchored) for (const stat of snapshot.processes.values()) if (stat.session === main || stat.group === main) take(stat)
  const children = Map.groupBy(snapshot.processes.values(), (stat) => stat.parent)
  const open = [...found.keys()]
  for (let pid = open.pop(); pid !== undefined; pid = open.pop())
    for (const child of children.get(pid) ?? [])
      if (!found.has(child.pid)) {
        take(child)
        open.push(child.pid)
      }
  return [...found.values()]
}

/** Which still have the pipe that `reader` reads from as their standard output or error, and are as dispensable as an agent. */
export function writersTo(reader: number, snapshot: Snapshot): ProcessStat[] {
  const pipe = linkOf(reader, 0)
  if (pipe === undefined || !pipe.startsWith('pipe:')) return []
  const writes = (pid: number) => linkOf(pid, 1) === pipe || linkOf(pid, 2) === pipe
  return [...snapshot.processes.values()].filter((stat) => !isDead(stat) && writes(stat.pid) && dispensable(stat.pid))
}

/** Signals this very process, or with `group` its whole group too, or nothing. False when it is gone or not ours to signal. */
export function signalExactly(target: ProcessKey, signal: NodeJS.Signals, group = 0): boolean {
  if (!isStill(target)) return false
  try {
    return process.kill(group === 0 ? target.pid : -group, signal)
  } catch {
    return false
  }
}

export function isStill(target: ProcessKey): boolean {
  const now = statOf(target.pid)
  return now !== undefined && now.startTime === target.startTime && !isDead(now)
}

async function look(marks: boolean): Promise<Snapshot> {
  const processes = new Map<number, ProcessStat>()
  const marked = new Map<string, ProcessStat[]>()
  if (!linux) return { processes, marked }
  const pids = readdirSync('/proc').map(Number).filter(Number.isInteger)
  for (let at = 0; at < pids.length; at += SLICE) {
    if (at > 0) await turn()
    for (const pid of pids.slice(at, at + SLICE)) {
      const stat = statOf(pid)
      if (!stat) continue
      processes.set(pid, stat)
      const mark = marks && !isDead(stat) ? markOf(pid) : undefined
      if (mark !== undefined) marked.set(mark, [...(marked.get(mark) ?? []), stat])
    }
  }
  return { processes, marked }
}

const MARK = Buffer.from('REGENT_RUN_ID=')

function markOf(pid: number): string | undefined {
  let environment: Buffer
  try {
    environment = readFileSync(`/proc/${pid}/environ`)
  } catch {
    return undefined
  }
  let at = environment.indexOf(MARK)
  while (at > 0 && environment[at - 1] !== 0) at = environment.indexOf(MARK, at + 1)
  if (at === -1) return undefined
  const end = environment.indexOf(0, at)
  return environment.toString('utf8', at + MARK.length, end === -1 ? undefined : end)
}

/** Every agent raises its own oom_score_adj, and what it starts inherits it; nobody else who may have opened the pipe does. */
function dispensable(pid: number): boolean {
  try {
    return Number(readFileSync(`/proc/${pid}/oom_score_adj`, 'latin1')) >= 500
  } catch {
    return false
  }
}

function linkOf(pid: number, descriptor: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/fd/${descriptor}`)
  } catch {
    return undefined
  }
}
