import { readFileSync } from 'node:fs'
import { darwinBootId, darwinStat } from './darwin.ts'
import type { PidRecord } from './kept.ts'
import { linuxStat, onLinux, type ProcessStat, readProcLink } from './proc.ts'

/** Names one process for good: a pid alone may be given to another one later. */
export type ProcessKey = Pick<ProcessStat, 'pid' | 'startTime'>

let knownBootId: string | undefined

/** Changes with each boot of the machine; records of another boot speak of processes that are gone. */
export function bootId(): string {
  knownBootId ??= onLinux ? readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim() : darwinBootId()
  return knownBootId
}

/** Undefined when there is no such process. */
export function statOf(pid: number): ProcessStat | undefined {
  return onLinux ? linuxStat(pid) : darwinStat(pid)
}

/** A zombie is dead. */
export const isDead = (stat: ProcessStat): boolean => stat.state === 'Z' || stat.state === 'X'

/** This very process is alive. */
export function isStill(target: ProcessKey): boolean {
  const now = statOf(target.pid)
  return now !== undefined && now.startTime === target.startTime && !isDead(now)
}

/** The recorded process itself is alive: pid, start time and boot id all match. */
export function isAlive(record: Pick<PidRecord, 'pid' | 'startTime' | 'bootId'>): boolean {
  return record.bootId === bootId() && isStill(record)
}

/** Whether a process is the wrapper of this run, or its agent just before it becomes one: nobody else stands in its directory. */
export function worksFor(pid: number, runPath: string): boolean {
  return readProcLink(`/proc/${pid}/cwd`) === runPath
}

/** Signals this very process, or with `group` the group of that number. False when it is gone or not ours to signal. */
export function signalExactly(target: ProcessKey, signal: NodeJS.Signals, group = 0): boolean {
  if (!isStill(target)) return false
  try {
    return process.kill(group === 0 ? target.pid : -group, signal)
  } catch {
    return false
  }
}
