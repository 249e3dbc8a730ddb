import { readFileSync } from 'node:fs'
import type { RunUsage } from '../../../ports/runtime.ts'
import { isDead } from './identity.ts'
import type { Snapshot } from './process-tree.ts'
import type { PidRecord } from './run-directory.ts'

/** What the processes in the session and group of a live main process take; those that left both are not counted. */
export function usageOf(snapshot: Snapshot, record: PidRecord): RunUsage {
  if (snapshot.processes.get(record.pid)?.startTime !== record.startTime) return { memoryBytes: null, cpuSeconds: null, processes: null }
  const { pageBytes, ticksPerSecond } = units()
  let [pages, ticks, processes] = [0, 0, 0]
  for (const stat of snapshot.processes.values()) {
    if ((stat.session !== record.pid && stat.group !== record.pid) || isDead(stat)) continue
    pages += stat.residentPages
    ticks += stat.cpuTicks
    processes += 1
  }
  return { memoryBytes: pages * pageBytes, cpuSeconds: ticks / ticksPerSecond, processes }
}

let known: { pageBytes: number; ticksPerSecond: number } | undefined

/** The kernel tells each process its page size (6) and clock ticks (17) in pairs of words. */
function units(): { pageBytes: number; ticksPerSecond: number } {
  if (known) return known
  const words = readFileSync('/proc/self/auxv')
  const find = (key: number): number | undefined => {
    for (let at = 0; at + 16 <= words.length; at += 16)
      if (words.readBigUInt64LE(at) === BigInt(key)) return Number(words.readBigUInt64LE(at + 8))
    return undefined
  }
  known = { pageBytes: find(6) ?? 4096, ticksPerSecond: find(17) ?? 100 }
  return known
}
