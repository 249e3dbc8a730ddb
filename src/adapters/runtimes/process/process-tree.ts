import { readdirSync } from 'node:fs'
import { setImmediate as turn } from 'node:timers/promises'
import { isDead, type ProcessKey, statOf } from './identity.ts'
import { onLinux, type ProcessStat, readProc, readProcLink, units, uptimeTicks } from './proc.ts'

/** All processes of this machine that we may see, at about one moment. */
export interface Snapshot {
  readonly processes: ReadonlyMap<number, ProcessStat>
  /** Live processes by the run id in their environment. Empty where only stats were asked for. */
  readonly marked: ReadonlyMap<string, readonly ProcessStat[]>
}

const SLICE = 128

/** Looks at /proc in small slices, so that Regent stays responsive. Callers that ask at the same time share one look. */
export class ProcessTree {
  #stats: Promise<Snapshot> | undefined
  #full: Promise<Snapshot> | undefined
  #busy: Promise<unknown> = Promise.resolve()
  readonly #marks = new Marks()

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
        return look(marks ? this.#marks : undefined)
      })
    this.#busy = work.catch(() => {})
    return work
  }
}

/**
 * Live processes of one run: those known, what carries the run's mark, who shares the main process's session or group with one of
 * these, and all their descendants. The number of a session counts only while a process known to be of the run holds it.
 */
export function membersOf(snapshot: Snapshot, runId: string, main: number | null, known: Iterable<ProcessKey>): ProcessStat[] {
  const found = new Map<number, ProcessStat>()
  const take = (stat: ProcessStat | undefined) => stat && !isDead(stat) && found.set(stat.pid, stat)
  for (const { pid, startTime } of known) {
    const stat = snapshot.processes.get(pid)
    if (stat?.startTime === startTime) take(stat)
  }
  for (const stat of snapshot.marked.get(runId) ?? []) take(stat)
  const together = (stat: ProcessStat) => main !== null && (stat.session === main || stat.group === main)
  if ([...found.values()].some(together)) for (const stat of snapshot.processes.values()) if (together(stat)) take(stat)
  if (found.size === 0) return []
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

/** Which still have one of these pipes as their standard output or error, and are as dispensable as an agent. */
export function writersTo(pipes: ReadonlySet<string>, snapshot: Snapshot): ProcessStat[] {
  const writes = (pid: number) => [1, 2].some((file) => pipes.has(readProcLink(`/proc/${pid}/fd/${file}`) ?? ''))
  return [...snapshot.processes.values()].filter((stat) => !isDead(stat) && writes(stat.pid) && dispensable(stat.pid))
}

/** Every agent raises its own oom_score_adj, and what it starts inherits it; nobody else who may have opened the pipe does. */
function dispensable(pid: number): boolean {
  return Number(readProc(`/proc/${pid}/oom_score_adj`)?.toString('latin1') ?? 0) >= 500
}

async function look(marks: Marks | undefined): Promise<Snapshot> {
  const processes = new Map<number, ProcessStat>()
  const marked = new Map<string, ProcessStat[]>()
  if (!onLinux) return { processes, marked }
  marks?.begin()
  const pids = readdirSync('/proc').map(Number).filter(Number.isInteger)
  for (const [at, pid] of pids.entries()) {
    if (at % SLICE === SLICE - 1) await turn()
    const stat = statOf(pid)
    if (!stat) continue
    processes.set(pid, stat)
    const mark = isDead(stat) ? undefined : marks?.of(stat)
    if (mark === undefined) continue
    const those = marked.get(mark)
    if (those) those.push(stat)
    else marked.set(mark, [stat])
  }
  marks?.forgetAllBut(processes)
  return { processes, marked }
}

const MARK = Buffer.from('REGENT_RUN_ID=')

/** A process that old has long become what it was started as. */
const SETTLED_SECONDS = 10

/** Remembers the marks of settled processes: a mark comes with the environment of the first program, and of children that are new then. */
class Marks {
  readonly #known = new Map<number, { readonly startTime: string; readonly mark: string | undefined }>()
  #settledBefore = 0

  begin(): void {
    this.#settledBefore = uptimeTicks() - SETTLED_SECONDS * units().ticksPerSecond
  }

  of({ pid, startTime }: ProcessStat): string | undefined {
    const known = this.#known.get(pid)
    if (known?.startTime === startTime) return known.mark
    const mark = markOf(pid)
    if (mark !== undefined || Number(startTime) < this.#settledBefore) this.#known.set(pid, { startTime, mark })
    return mark
  }

  forgetAllBut(processes: ReadonlyMap<number, ProcessStat>): void {
    for (const pid of this.#known.keys()) if (!processes.has(pid)) this.#known.delete(pid)
  }
}

function markOf(pid: number): string | undefined {
  const environment = readProc(`/proc/${pid}/environ`)
  if (!environment) return undefined
  let at = environment.indexOf(MARK)
  while (at > 0 && environment[at - 1] !== 0) at = environment.indexOf(MARK, at + 1)
  if (at === -1) return undefined
  const end = environment.indexOf(0, at)
  return environment.toString('utf8', at + MARK.length, end === -1 ? environment.length : end)
}
