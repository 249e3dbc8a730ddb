import { readdirSync, readFileSync } from 'node:fs'

/** One process, told from a later one with the same number by its start. */
export interface ProcessMark {
  readonly pid: number
  /** Clock ticks after boot. */
  readonly started: string
}

/** A process and everything below it, as Linux shows it now; nothing where it is gone, or on another system. */
export function treeOf(root: number): ProcessMark[] {
  const childrenOf = read(`/proc/self/task/${process.pid}/children`) === undefined ? byParents() : byChildrenFile
  const tree: ProcessMark[] = []
  const pids = [root]
  for (const pid of pids) {
    const found = readStat(pid)
    if (found === undefined || found.ended) continue
    tree.push(found.mark)
    pids.push(...childrenOf(pid))
  }
  return tree
}

/** Whether exactly this process lives; one that only waits to be reaped does not. */
export function lives({ pid, started }: ProcessMark): boolean {
  const found = readStat(pid)
  return found !== undefined && !found.ended && found.mark.started === started
}

/** Signals those of the marks that live. */
export function signalAll(marks: readonly ProcessMark[], signal: NodeJS.Signals): void {
  for (const mark of marks) {
    if (!lives(mark)) continue
    try {
      process.kill(mark.pid, signal)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
}

/** Cheap, and there on nearly every kernel: each thread lists the children it started. */
function byChildrenFile(pid: number): number[] {
  return names(`/proc/${pid}/task`).flatMap((task) =>
    (read(`/proc/${pid}/task/${task}/children`) ?? '').split(' ').filter(Boolean).map(Number),
  )
}

/** By the parents of all processes, read once. */
function byParents(): (pid: number) => number[] {
  const children = new Map<number, number[]>()
  for (const name of names('/proc').filter((one) => /^\d+$/.test(one))) {
    const parent = readStat(Number(name))?.parent
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), Number(name)])
  }
  return (pid) => children.get(pid) ?? []
}

/** From /proc/PID/stat: the name in brackets may hold anything, brackets included. */
function readStat(pid: number): { mark: ProcessMark; parent: number; ended: boolean } | undefined {
  const text = read(`/proc/${pid}/stat`)
  if (text === undefined) return undefined
  const [state, parent, ...rest] = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return { mark: { pid, started: rest[17] ?? '' }, parent: Number(parent), ended: state === 'Z' || state === 'X' }
}

/** Processes come and go while they are looked at: what is not there is no fault. */
function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch {
    return undefined
  }
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
