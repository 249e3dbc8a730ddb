import { readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemCode } from '../../../kernel/errors.ts'
import { isDead, signalExactly, statOf } from './identity.ts'
import type { Cgroup } from './kept.ts'
import type { ProcessStat } from './proc.ts'

/** The file whose writer joins the group when it writes `0`. */
export const entrance = (group: Cgroup): string => join(group.dir, 'cgroup.procs')

/** The same for a writer of one thread that writes `0`: version 1 takes no lock of all processes for it. */
export const ownEntrance = (group: Cgroup): string => (group.version === 1 ? join(group.dir, 'tasks') : entrance(group))

/** Live processes in the group and in those that were made inside it. Empty when the group is gone. */
export function processesIn(group: Cgroup): ProcessStat[] {
  return pidsIn(group.dir).flatMap((pid) => {
    const stat = statOf(pid)
    return stat && !isDead(stat) ? [stat] : []
  })
}

/** Ends all processes of the group, forks under way included. They are still to be waited for. */
export function killAll(group: Cgroup): void {
  if (group.version === 2 && write(join(group.dir, 'cgroup.kill'), '1')) return
  const groups = foldersOf(group.dir)
  const frozen = write(join(group.dir, freezer[group.version].file), freezer[group.version].freeze)
  try {
    // A number that was in the group before and after its process was looked at is that process.
    const seen = processesIn(group)
    const still = new Set(pidsIn(group.dir))
    for (const stat of seen) if (still.has(stat.pid)) signalExactly(stat, 'SIGKILL')
  } finally {
    // Also what the agent froze itself.
    if (frozen) for (const dir of groups) write(join(dir, freezer[group.version].file), freezer[group.version].thaw)
  }
}

const freezer = {
  1: { file: 'freezer.state', freeze: 'FROZEN', thaw: 'THAWED' },
  2: { file: 'cgroup.freeze', freeze: '1', thaw: '0' },
} as const

/** Removes the group and those inside it. False while a process is in one of them. */
export const removeCgroup = (group: Cgroup): boolean => remove(foldersOf(group.dir).reverse())

/** Removes the group alone. False while there is something in it. */
export const removeIfEmpty = (group: Cgroup): boolean => remove([group.dir])

function remove(dirs: readonly string[]): boolean {
  try {
    for (const dir of dirs) rmdirSync(dir)
    return true
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return true
    if (systemCode(error) === 'EBUSY' || systemCode(error) === 'ENOTEMPTY') return false
    throw error
  }
}

/** A number that a control file tells, by the word it follows where it has several. Undefined when it cannot be read. */
export function tell(group: Cgroup, file: string, word?: string): number | undefined {
  const text = read(join(group.dir, file))
  if (text === undefined) return undefined
  const found = word === undefined ? text : text.split('\n').find((line) => line.startsWith(`${word} `))
  return found === undefined ? undefined : Number(found.slice(word === undefined ? 0 : word.length))
}

/** Writes a control file. False when the kernel has no such file or the group is gone. */
export function write(file: string, value: string): boolean {
  try {
    writeFileSync(file, value, { flag: 'r+' })
    return true
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENODEV') return false
    throw error
  }
}

/** Control files have no size that could be trusted, and are gone with their group. */
export function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'latin1')
  } catch (error) {
    const code = systemCode(error)
    if (code === 'ENOENT' || code === 'ENODEV' || code === 'EOPNOTSUPP') return undefined
    throw error
  }
}

function pidsIn(top: string): number[] {
  return foldersOf(top).flatMap((dir) => (read(join(dir, 'cgroup.procs')) ?? '').split('\n').filter(Boolean).map(Number))
}

/** The group's own folder first, then those inside it. */
function foldersOf(dir: string): string[] {
  try {
    const inside = readdirSync(dir, { withFileTypes: true }).filter((entry) => entry.isDirectory())
    return [dir, ...inside.flatMap(({ name }) => foldersOf(join(dir, name)))]
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return []
    throw error
  }
}
