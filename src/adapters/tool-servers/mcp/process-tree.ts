import { readdirSync, readFileSync } from 'node:fs'

/** One process, told from a later one with the same number by its start. */
export interface ProcessMark {
  readonly pid: number
  /** Clock ticks after boot; empty where the system does not tell. */
  readonly started: string
}

/** A process and everything below it, as the system shows it now; where it cannot be asked, the process alone. */
export function treeOf(root: number): ProcessMark[] {
  const children = new Map<number, ProcessMark[]>()
  let top: ProcessMark | undefined
  for (const { mark, parent, ended } of listed()) {
    if (mark.pid === root) top = mark
    else if (!ended) children.set(parent, [...(children.get(parent) ?? []), mark])
  }
  const tree = [top ?? { pid: root, started: '' }]
  for (const { pid } of tree) tree.push(...(children.get(pid) ?? []))
  return tree
}

/** Whether exactly this process lives; one that only waits to be reaped does not. */
export function lives({ pid, started }: ProcessMark): boolean {
  if (started === '') return canSignal(pid)
  const found = readMark(pid)
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

interface Listed {
  readonly mark: ProcessMark
  readonly parent: number
  readonly ended: boolean
}

function* listed(): Generator<Listed> {
  let names: string[]
  try {
    names = readdirSync('/proc')
  } catch {
    return
  }
  for (const name of names) {
    const found = /^\d+$/.test(name) ? readMark(Number(name)) : undefined
    if (found !== undefined) yield found
  }
}

/** From /proc/PID/stat: the name in brackets may hold anything, brackets included. */
function readMark(pid: number): Listed | undefined {
  let text: string
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch {
    return undefined
  }
  const [state, parent, ...rest] = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return { mark: { pid, started: rest[17] ?? '' }, parent: Number(parent), ended: state === 'Z' || state === 'X' }
}

function canSignal(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
