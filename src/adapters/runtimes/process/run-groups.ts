import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Limits } from '../../../contract/agents.ts'
import { reasonOf, systemCode } from '../../../kernel/errors.ts'
import { entrance, read, removeCgroup, write } from './cgroup.ts'
import { type CgroupMount, cgroupMounts } from './cgroup-mounts.ts'
import { type Cgroup, type GroupPart, groupParts, type RunGroups } from './kept.ts'

export interface GroupPlaces {
  /** The folder that holds the runs' groups, for each part that there is. */
  readonly places: RunGroups
  /** Why a part is missing, in words. */
  readonly missing: Readonly<Partial<Record<GroupPart, string>>>
}

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
 * their own, which systemd hands over with `Delegate=yes`. `by`: which way of ending a group may be used.
 */
export function openPlaces(name: string, source: GroupSource, by: 'any' | 'freezer' = 'any'): GroupPlaces {
  const mounts = cgroupMounts(source.mountinfo, source.self)
  const places: { [Part in GroupPart]?: Cgroup } = {}
  const missing: Partial<Record<GroupPart, string>> = {}
  const unified = mounts.find(({ version }) => version === 2)
  const home = unified && attempt(() => openUnified(unified, name, source.root))
  if (home && 'dir' in home) {
    if (by === 'any') places.all = home
    const controllers = (read(join(home.dir, 'cgroup.subtree_control')) ?? '').trim().split(' ')
    for (const part of ['memory', 'cpu', 'pids'] as const) if (controllers.includes(part)) places[part] = home
    if (places.cpu) places.cpuacct = home
  }
  const old = { all: 'freezer', memory: 'memory', cpu: 'cpu', pids: 'pids', cpuacct: 'cpuacct' } as const
  for (const part of groupParts) {
    if (places[part]) continue
    const mount = mounts.find(({ version, controllers }) => version === 1 && controllers.includes(old[part]))
    const opened = mount ? attempt(() => openFolder(source.root ? mount.dir : mount.own, name, 1)) : undefined
    if (opened && 'dir' in opened) places[part] = opened
    else
      missing[part] =
        opened?.reason ?? (home && 'reason' in home ? home.reason : `the cgroup controller ${old[part]} is not to be had here`)
  }
  return { places, missing }
}

/** Makes the groups of one run and sets its limits. All of it or nothing: throws what the kernel said. */
export function makeGroups(places: RunGroups, runId: string, limits: Limits): RunGroups {
  const made: { [Part in GroupPart]?: Cgroup } = {}
  try {
    for (const part of groupParts) {
      const place = places[part]
      if (!place) continue
      made[part] = { version: place.version, dir: join(place.dir, runId) }
      if (!existsSync(place.dir)) makeFolder(place.dir)
      makeFolder(made[part].dir)
    }
    setLimits(made, limits)
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

export const entrancesOf = (groups: RunGroups): string[] => foldersIn(groups).map(entrance)

/** False while processes are left in one of them. */
export const removeGroups = (groups: RunGroups): boolean => foldersIn(groups).reduce((all, group) => removeCgroup(group) && all, true)

const PERIOD_US = 100_000

/** Throws when a limit that this machine has cannot be set. */
function setLimits(groups: RunGroups, { memory_bytes, cpus, pids }: Limits): void {
  if (memory_bytes !== undefined && groups.memory) setMemory(groups.memory, memory_bytes)
  if (cpus !== undefined && groups.cpu) {
    const quota = Math.max(1000, Math.round(cpus * PERIOD_US))
    if (groups.cpu.version === 2) must(groups.cpu, 'cpu.max', `${quota} ${PERIOD_US}`)
    else {
      must(groups.cpu, 'cpu.cfs_period_us', String(PERIOD_US))
      must(groups.cpu, 'cpu.cfs_quota_us', String(quota))
    }
  }
  if (pids !== undefined && groups.pids) must(groups.pids, 'pids.max', String(pids))
}

/** Swap does not make the limit wider, where the kernel counts it. */
function setMemory(group: Cgroup, bytes: number): void {
  if (group.version === 2) {
    must(group, 'memory.max', String(bytes))
    write(join(group.dir, 'memory.swap.max'), '0')
    return
  }
  must(group, 'memory.limit_in_bytes', String(bytes))
  write(join(group.dir, 'memory.memsw.limit_in_bytes'), String(bytes))
}

function must(group: Cgroup, file: string, value: string): void {
  if (!write(join(group.dir, file), value)) throw new Error(`${join(group.dir, file)} is not there`)
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
