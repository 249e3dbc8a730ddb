/** What a stop is sure to end, best first: A its cgroup, B its pid namespace, C what carries its mark, D its process group. */
export const levels = ['A', 'B', 'C', 'D'] as const
export type Level = (typeof levels)[number]
export type WantedLevel = Level | 'auto'

/** One group of processes of the kernel: a folder of one hierarchy. */
export interface Cgroup {
  readonly version: 1 | 2
  readonly dir: string
}

/**
 * The groups of one run by what they are for: `all` finds and ends its processes, the others hold limits or count. With version 2
 * it may be one folder for everything, with version 1 each has its own.
 */
export type RunGroups = { readonly [Part in GroupPart]?: Cgroup }
export const groupParts = ['all', 'memory', 'cpu', 'pids', 'cpuacct'] as const
export type GroupPart = (typeof groupParts)[number]

/** What is kept with the records of a run, so that a later Regent finds all of it again. */
export interface Kept {
  readonly level: Level
  readonly groups: RunGroups
  /** The account that it runs under; null: Regent's own. */
  readonly account: { readonly uid: number; readonly gid: number } | null
  readonly cwd: string
}

/** Who a run's main process is, as its own process recorded it. `startTime` is in clock ticks since boot. */
export interface PidRecord {
  readonly pid: number
  readonly startTime: string
  readonly bootId: string
  readonly wrapperPid: number
  /** Epoch ms. */
  readonly at: number
}

/** The level of runs that nothing was kept of. */
export const plainLevel: Level = process.platform === 'linux' ? 'C' : 'D'
