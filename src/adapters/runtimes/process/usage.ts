import type { RunUsage } from '../../../ports/runtime.ts'
import { isDead } from './identity.ts'
import { units } from './proc.ts'
import type { Snapshot } from './process-tree.ts'
import type { PidRecord } from './run-directory.ts'

/** What the processes in the session and group of a live main process take; those that left both are not counted. */
export function usageOf(snapshot: Snapshot, record: PidRecord): RunUsage {
  if (snapshot.processes.get(record.pid)?.startTime !== record.startTime)
    return { memoryBytes: null, cpuSeconds: null, processes: null, openFiles: null }
  const { pageBytes, ticksPerSecond } = units()
  let [pages, ticks, processes] = [0, 0, 0]
  for (const stat of snapshot.processes.values()) {
    if ((stat.session !== record.pid && stat.group !== record.pid) || isDead(stat)) continue
    pages += stat.residentPages
    ticks += stat.cpuTicks
    processes += 1
  }
  return { memoryBytes: pages * pageBytes, cpuSeconds: ticks / ticksPerSecond, processes, openFiles: null }
}
