import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'

/** MiB of one process. */
export interface Memory {
  readonly resident: number
  readonly proportional: number
}

/** Throws when the process is gone. */
export function memoryOf(pid: number): Memory {
  const of = (file: string, key: string): number => {
    const found = new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/${file}`, 'utf8'))?.[1]
    if (found === undefined) throw new Error(`/proc/${pid}/${file} tells no ${key}`)
    return Number(found) / 1024
  }
  return { resident: of('status', 'VmRSS'), proportional: of('smaps_rollup', 'Pss') }
}

/** Processor seconds that it has taken, its children that ended excepted; 0 when it is gone. */
export function cpuSecondsOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) / 100
  } catch {
    return 0
  }
}

export const sumOf = (all: readonly Memory[]): Memory => ({
  resident: all.reduce((sum, { resident }) => sum + resident, 0),
  proportional: all.reduce((sum, { proportional }) => sum + proportional, 0),
})

export const meanOf = (all: readonly Memory[]): Memory => {
  const { resident, proportional } = sumOf(all)
  return { resident: resident / all.length, proportional: proportional / all.length }
}

/** Every process that names this folder in its arguments, environment or working directory; this one excepted. */
export function processesOf(folder: string): number[] {
  return allPids().filter((pid) => pid !== process.pid && namesFolder(pid, folder))
}

function allPids(): number[] {
  return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []))
}

function namesFolder(pid: number, folder: string): boolean {
  const reads = [
    () => readFileSync(`/proc/${pid}/cmdline`, 'utf8'),
    () => readlinkSync(`/proc/${pid}/cwd`),
    () => readFileSync(`/proc/${pid}/environ`, 'utf8'),
  ]
  return reads.some((read) => {
    try {
      return read().includes(folder)
    } catch {
      return false // It is gone, or not ours to look at.
    }
  })
}

/** Kills what still names this folder until nothing does; answers how many there were. */
export async function sweep(folder: string, deadlineMs = 5000): Promise<number> {
  const killed = new Set<number>()
  const end = performance.now() + deadlineMs
  for (let left = processesOf(folder); left.length > 0; left = processesOf(folder)) {
    if (performance.now() > end) throw new Error(`processes that do not end: ${left.join(', ')}`)
    for (const pid of left) {
      killed.add(pid)
      kill(pid, 'SIGKILL')
    }
    await pause(20)
  }
  return killed.size
}

/** False when it is gone already. */
function kill(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}
