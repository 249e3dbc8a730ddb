import { readdirSync } from 'node:fs'
import type { RunUsage } from '../../../ports/runtime.ts'
import { processesIn, read, tell } from './cgroup.ts'
import { isDead } from './identity.ts'
import type { RunGroups } from './kept.ts'
import { type ProcessStat, units } from './proc.ts'
import type { Snapshot } from './process-tree.ts'
import type { PidRecord } from './run-directory.ts'

export const nothing: RunUsage = { memoryBytes: null, cpuSeconds: null, processes: null, openFiles: null }

/** The open files of more processes than this are not counted. */
const COUNTED = 8

/** What the processes in the session and group of a live main process take; those that left both are not counted. */
export function usageOf(snapshot: Snapshot, record: PidRecord): RunUsage {
  if (snapshot.processes.get(record.pid)?.startTime !== record.startTime) return nothing
  const counted = [...snapshot.processes.values()].filter(
    (stat) => (stat.session === record.pid || stat.group === record.pid) && !isDead(stat),
  )
  return { ...sumOf(counted), openFiles: openFilesOf(counted) }
}

/** What the groups of a run have counted, memory without what the kernel can drop at once; the rest from its processes. Undefined where none can list them. */
export function groupUsage({ all, memory, cpuacct }: RunGroups): RunUsage | undefined {
  const listing = all ?? memory ?? cpuacct
  if (!listing) return undefined
  const processes = processesIn(listing)
  const sums = sumOf(processes)
  return {
    ...sums,
    memoryBytes: (memory && workingSet(memory)) ?? sums.memoryBytes,
    cpuSeconds: (cpuacct && cpuSeconds(cpuacct)) ?? sums.cpuSeconds,
    openFiles: openFilesOf(processes),
  }
}

type Group = NonNullable<RunGroups['memory']>

function workingSet(group: Group): number | undefined {
  const [file, word] = group.version === 2 ? ['memory.current', 'inactive_file'] : ['memory.usage_in_bytes', 'total_inactive_file']
  const used = tell(group, file)
  return used === undefined ? undefined : Math.max(0, used - (tell(group, 'memory.stat', word) ?? 0))
}

function cpuSeconds(group: Group): number | undefined {
  const [file, word, unit] = group.version === 2 ? (['cpu.stat', 'usage_usec', 1e6] as const) : (['cpuacct.usage', undefined, 1e9] as const)
  const used = tell(group, file, word)
  return used === undefined ? undefined : used / unit
}

/** How many processes of the run were killed at its memory limit. */
export function oomKills({ memory }: RunGroups): number {
  return (memory && tell(memory, memory.version === 2 ? 'memory.events' : 'memory.oom_control', 'oom_kill')) ?? 0
}

/** The limit that they were killed at, in bytes. */
export function memoryLimit({ memory }: RunGroups): number | undefined {
  const limit = memory && Number(read(`${memory.dir}/${memory.version === 2 ? 'memory.max' : 'memory.limit_in_bytes'}`))
  return limit !== undefined && Number.isFinite(limit) ? limit : undefined
}

function sumOf(stats: readonly ProcessStat[]): Omit<RunUsage, 'openFiles'> {
  const { pageBytes, ticksPerSecond } = units()
  const pages = stats.reduce((sum, stat) => sum + stat.residentPages, 0)
  const ticks = stats.reduce((sum, stat) => sum + stat.cpuTicks, 0)
  return { memoryBytes: pages * pageBytes, cpuSeconds: ticks / ticksPerSecond, processes: stats.length }
}

function openFilesOf(stats: readonly ProcessStat[]): number | null {
  if (stats.length > COUNTED) return null
  try {
    return stats.reduce((sum, { pid }) => sum + readdirSync(`/proc/${pid}/fd`).length, 0)
  } catch {
    // One ended meanwhile, or is not ours to look at.
    return null
  }
}
