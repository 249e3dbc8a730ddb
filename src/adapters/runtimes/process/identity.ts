import { readFileSync } from 'node:fs'
import { darwinBootId, darwinStat } from './darwin.ts'
import type { PidRecord } from './run-directory.ts'

/** One process, as the kernel tells. Times in clock ticks. */
export interface ProcessStat {
  readonly pid: number
  readonly parent: number
  readonly group: number
  readonly session: number
  /** One letter: Z and X are dead, T is stopped. */
  readonly state: string
  readonly startTime: string
  readonly cpuTicks: number
  readonly residentPages: number
}

const linux = process.platform === 'linux'
let knownBootId: string | undefined

/** Changes with each boot of the machine; records of another boot speak of processes that are gone. */
export function bootId(): string {
  knownBootId ??= linux ? readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim() : darwinBootId()
  return knownBootId
}

/** Undefined when there is no such process. */
export function statOf(pid: number): ProcessStat | undefined {
  return linux ? linuxStat(pid) : darwinStat(pid)
}

/** The recorded process itself is alive: pid, start time and boot id all match. A zombie is dead. */
export function isAlive(record: Pick<PidRecord, 'pid' | 'startTime' | 'bootId'>): boolean {
  if (record.bootId !== bootId()) return false
  const stat = statOf(record.pid)
  return stat !== undefined && stat.startTime === record.startTime && !isDead(stat)
}

export const isDead = (stat: ProcessStat): boolean => stat.state === 'Z' || stat.state === 'X'

/** Whether a process works for this run directory: its wrapper, its pump, or its agent just before it became one. */
export function worksFor(pid: number, runPath: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(runPath)
  } catch {
    return false
  }
}

function linuxStat(pid: number): ProcessStat | undefined {
  let text: string
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    return undefined
  }
  // The name in the second field may hold anything, brackets included.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const number = (at: number) => Number(fields[at - 3])
  return {
    pid,
    state: fields[0] ?? 'X',
    parent: number(4),
    group: number(5),
    session: number(6),
    startTime: fields[19] ?? '',
    cpuTicks: number(14) + number(15) + number(16) + number(17),
    residentPages: number(24),
  }
}
