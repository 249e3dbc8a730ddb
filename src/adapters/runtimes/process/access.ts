import { chmodSync, chownSync, lchownSync, lstatSync, mkdirSync, readdirSync, realpathSync, type Stats, statSync } from 'node:fs'
import { basename, dirname, join, sep } from 'node:path'
import { reasonOf } from '../../../kernel/errors.ts'
import type { RunSpec } from '../../../ports/runtime.ts'

export interface Identity {
  readonly uid: number
  readonly gid: number
}

/** Folders of Regent: what is in them may be opened for an account, nothing else is changed. */
export interface Passage {
  readonly roots: readonly string[]
}

export interface Needs {
  readonly spec: Pick<RunSpec, 'needs' | 'cwd'>
  /** The agent's own HOME. */
  readonly home: string
  readonly basics: readonly string[]
}

/** Gives an account what a run needs, as narrowly as that goes. Says what is in the way; undefined when nothing is. */
export function access(account: Identity, passage: Passage, { spec, home, basics }: Needs): string | undefined {
  try {
    for (const path of [...basics, spec.cwd]) pass(account, passage, path, path === spec.cwd ? 1 : 4)
    for (const path of spec.needs.read) giveFile(account, passage, path)
    for (const path of spec.needs.write) giveFolder(account, passage, path)
    giveHome(account, passage, home)
    return undefined
  } catch (error) {
    return reasonOf(error)
  }
}

/** Lets an account pass through folders of Regent's own and read one file in them, or only pass where that is a folder too. */
export function giveFile(account: Identity, passage: Passage, named: string): void {
  const path = settled(named)
  walk(account, passage, path)
  const stats = statSync(path)
  if (stats.isDirectory()) walk(account, passage, join(path, 'any'))
  else if (can(account, stats, 4) || !isOwn(passage, path)) refuse(account, path, stats, 4)
  else {
    chownSync(path, stats.uid, account.gid)
    chmodSync(path, 0o640)
  }
}

/** A folder where the account may make and keep files, and not touch those that are not its own. */
function giveFolder(account: Identity, passage: Passage, named: string): void {
  mkdirSync(named, { recursive: true, mode: 0o700 })
  const path = settled(named)
  walk(account, passage, path)
  const stats = statSync(path)
  if (!isOwn(passage, path) || stats.uid !== process.getuid?.()) {
    refuse(account, path, stats, 7)
    return
  }
  // Sticky: only its owner moves an entry, so that nothing of Regent's own in it can be put aside for a link.
  mkdirSync(join(path, 'runs'), { recursive: true, mode: 0o700 })
  chownSync(path, stats.uid, account.gid)
  chmodSync(path, 0o1771)
  for (const name of readdirSync(path)) if (name !== 'runs') handOver(account, stats.uid, join(path, name))
}

/** What an earlier run left there under Regent's own account. Never through a link, and nothing that has a second name. */
function handOver(account: Identity, owner: number, path: string): void {
  const stats = lstatSync(path)
  if (stats.uid !== owner) return
  if (stats.isDirectory()) for (const name of readdirSync(path)) handOver(account, owner, join(path, name))
  else if (!stats.isFile() || stats.nlink > 1) return
  lchownSync(path, account.uid, account.gid)
}

function giveHome(account: Identity, passage: Passage, named: string): void {
  mkdirSync(dirname(named), { recursive: true, mode: 0o700 })
  const path = settled(named)
  walk(account, passage, path)
  const there = lstatSync(path, { throwIfNoEntry: false })
  if (there?.uid === account.uid && there.isDirectory()) return
  if (there) throw new Error(`${path} is not a folder of this account`)
  mkdirSync(path, { mode: 0o700 })
  lchownSync(path, account.uid, account.gid)
}

function pass(account: Identity, passage: Passage, path: string, rights: number): void {
  const real = realpathSync(path)
  walk(account, passage, real)
  refuse(account, real, statSync(real), rights)
}

/** Every folder on the way is searchable, or is one of Regent's own and is made so. */
function walk(account: Identity, passage: Passage, path: string): void {
  const names = dirname(path).split(sep)
  for (let depth = 1; depth <= names.length; depth += 1) {
    const folder = names.slice(0, depth).join(sep) || sep
    const stats = statSync(folder)
    if (can(account, stats, 1)) continue
    if (isOwn(passage, folder) && stats.uid === process.getuid?.()) chmodSync(folder, (stats.mode & 0o7777) | 0o011)
    else refuse(account, folder, stats, 1)
  }
}

function refuse(account: Identity, path: string, stats: Stats, rights: number): void {
  if (!can(account, stats, rights)) throw new Error(`${path} is closed to it (mode ${(stats.mode & 0o7777).toString(8)})`)
}

/** By mode alone. `rights`: the bits of one of its three digits. */
function can({ uid, gid }: Identity, stats: Stats, rights: number): boolean {
  const shift = stats.uid === uid ? 6 : stats.gid === gid ? 3 : 0
  return ((stats.mode >> shift) & rights) === rights
}

/** Without links on the way. */
const settled = (path: string): string => join(realpathSync(dirname(path)), basename(path))

const isOwn = ({ roots }: Passage, path: string): boolean => roots.some((root) => path === root || path.startsWith(root + sep))

export const homeOf = (agentsDir: string, agentId: string): string => join(agentsDir, basename(agentId), 'home')
