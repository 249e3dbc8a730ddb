import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Limits } from '../../../contract/agents.ts'
import { reasonOf, systemCode } from '../../../kernel/errors.ts'
import { ownEntrance, read, removeCgroup, write } from './cgroup.ts'
import { type CgroupMount, cgroupMounts } from './cgroup-mounts.ts'
import { type Cgroup, type GroupPart, groupParts, type RunGroups } from './kept.ts'

export interface GroupPlaces {
  /** The folder that holds the runs' groups, for each part that there is. */
  readonly places: RunGroups
  /** Why a part is missing, in words. */
  readonly missing: Readonly<Partial<Record<GroupPart, string>>>
}

export type EndBy = 'auto' | 'kill' | 'freezer'

export interface GroupSource {
  readonly mountinfo: string
  readonly self: string
  readonly root: boolean
}

export const thisMachine = (): GroupSource => ({
  mountinfo: readFileSync('/proc/self/mountinfo', 'latin1'),
  self: readFileSync('/proc/self/cgroup', 'latin1'),
  root: process.getuid?.() === 0,
})

/**
 * Makes the folders for the runs of one home where that is allowed: root below the uppermost group that is seen here, others below
 * their own, which systemd hands over with `Delegate=yes`. `by`: how a group is ended. Entering a group of version 2 waits for all processors
 * (8 ms and more), one of version 1 does not: so where version 1 has the controllers, its freezer is taken.
 */
export function openPlaces(name: string, source: GroupSource, by: EndBy = 'auto'): GroupPlaces {
  const mounts = cgroupMounts(source.mountinfo, source.self)
  const places: { [Part in GroupPart]?: Cgroup } = {}
  const missing: Partial<Record<GroupPart, string>> = {}
  const unified = mounts.find(({ version }) => version === 2)
  const home = unified && attempt(() => openUnified(unified, name, source.root))
  if (home && 'dir' in home) {
    const controllers = (read(join(home.dir, 'cgroup.subtree_control')) ?? '').trim().split(' ')
    for (const part of ['memory', 'cpu', 'pids'] as const) if (controllers.includes(part)) places[part] = home
    if (by === 'kill' || (by === 'auto' && Object.keys(places).length > 0)) places.all = home
    if (places.cpu) places.cpuacct = home
  }
  const old = { all: 'freezer', memory: 'memory', cpu: 'cpu', pids: 'pids', cpuacct: 'cpuacct' } as const
  for (const part of groupParts) {
    if (places[part]) continue
    const mount = mounts.find(({ version, controllers }) => version === 1 && controllers.includes(old[part]))
    const opened = mount ? attempt(() => openFolder(source.root ? mount.dir : mount.own, name, 1)) : undefined
    if (opened && 'dir' in opened) places[part] = opened
    else if (part === 'all' && home && 'dir' in home && by !== 'freezer') places.all = home
    else
      missing[part] =
        opened?.reason ?? (home && 'reason' in home ? home.reason : `the cgroup controller ${old[part]} is not to be had here`)
  }
  return { places, missing }
}

/** Makes the groups of one run. All of them or none: throws what the kernel said. */
export function makeGroups(places: RunGroups, runId: string): RunGroups {
  const made: { [Part in GroupPart]?: Cgroup } = {}
  try {
    for (const part of groupParts) {
      const place = places[part]
      if (!place) continue
      made[part] = { version: place.version, dir: join(place.dir, runId) }
      makeFolderIn(place.dir, made[part].dir)
    }
    return made
  } catch (error) {
    removeGroups(made)
    throw error
  }
}

/** Each folder once. */
export function foldersIn(groups: RunGroups): Cgroup[] {
  return [...new Map(Object.values(groups).map((group) => [group.dir, group])).values()]
}

export const entrancesOf = (groups: RunGroups): string[] => foldersIn(groups).map(ownEntrance)

/** False while processes are left in one of them. */
export const removeGroups = (groups: RunGroups): boolean => foldersIn(groups).reduce((all, group) => removeCgroup(group) && all, true)

const PERIOD_US = 100_000

/** A value that the kernel holds a group to once it is written to `file`. */
export interface Setting {
  readonly limit: 'memory_bytes' | 'cpus' | 'pids'
  readonly file: string
  readonly value: string
  /** The kernel need not have it. */
  readonly optional?: true
}

/** What sets those limits that this machine has, in this order. */
export function settingsFor(groups: RunGroups, { memory_bytes, cpus, pids }: Limits): Setting[] {
  const settings: Setting[] = []
  if (memory_bytes !== undefined && groups.memory) settings.push(...memorySettings(groups.memory, memory_bytes))
  if (cpus !== undefined && groups.cpu) {
    const quota = Math.max(1000, Math.round(cpus * PERIOD_US))
    // Version 1 has this period from the start.
    if (groups.cpu.version === 1) settings.push({ limit: 'cpus', file: join(groups.cpu.dir, 'cpu.cfs_quota_us'), value: `${quota}` })
    else settings.push({ limit: 'cpus', file: join(groups.cpu.dir, 'cpu.max'), value: `${quota} ${PERIOD_US}` })
  }
  if (pids !== undefined && groups.pids) settings.push({ limit: 'pids', file: join(groups.pids.dir, 'pids.max'), value: `${pids}` })
  return settings
}

/** Swap does not make the limit wider, where the kernel counts it. */
function memorySettings({ version, dir }: Cgroup, bytes: number): Setting[] {
  const [memory, swap] = version === 2 ? ['memory.max', 'memory.swap.max'] : ['memory.limit_in_bytes', 'memory.memsw.limit_in_bytes']
  return [
    { limit: 'memory_bytes', file: join(dir, memory), value: `${bytes}` },
    { limit: 'memory_bytes', file: join(dir, swap), value: version === 2 ? '0' : `${bytes}`, optional: true },
  ]
}

/** Throws when one cannot be set. */
export function set(settings: readonly Setting[]): void {
  for (const { file, value, optional } of settings) if (!write(file, value) && !optional) throw new Error(`${file} is not there`)
}

function openUnified(mount: CgroupMount, name: string, root: boolean): Cgroup {
  const above = root ? mount.dir : delegated(mount)
  handDown(above)
  const place = openFolder(above, name, 2)
  handDown(place.dir)
  return place
}

/** Version 2 gives controllers to groups inside only where no process is: with systemd's `DelegateSubgroup=` that is the one above ours. */
function delegated({ dir, own }: CgroupMount): string {
  const above = dirname(own)
  return own !== dir && existsSync(join(above, 'cgroup.procs')) && read(join(above, 'cgroup.procs')) === '' ? above : own
}

function handDown(dir: string): void {
  const offered = (read(join(dir, 'cgroup.controllers')) ?? '').trim().split(' ')
  const given = (read(join(dir, 'cgroup.subtree_control')) ?? '').trim().split(' ')
  for (const controller of ['memory', 'cpu', 'pids'])
    if (offered.includes(controller) && !given.includes(controller))
      attempt(() => write(join(dir, 'cgroup.subtree_control'), `+${controller}`))
}

function openFolder(above: string, name: string, version: 1 | 2): Cgroup {
  const dir = join(above, name)
  makeFolder(dir)
  return { version, dir }
}

function makeFolderIn(above: string, dir: string): void {
  try {
    makeFolder(dir)
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
    makeFolder(above)
    makeFolder(dir)
  }
}

/** Unless it is there. Node's own `recursive` never returns where a folder takes none. */
function makeFolder(dir: string): void {
  try {
    mkdirSync(dir)
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error
  }
}

function attempt<T>(work: () => T): T | { readonly reason: string } {
  try {
    return work()
  } catch (error) {
    const refused = ['EACCES', 'EPERM', 'EROFS'].includes(systemCode(error) ?? '')
    return { reason: refused ? 'this user may make no cgroups here' : reasonOf(error) }
  }
}
