import {
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { type ErrorCode, RegentError, reasonOf, systemCode } from '../../kernel/errors.ts'

const OTHERS = 0o077
/** What others may not do with a folder that agents with an account of their own have to pass. */
const OTHERS_PASSING = 0o066

/**
 * Makes the folder if it is not there, or checks that it is a real one of this user that nobody else can look into. `passable`: others
 * may pass through to what they know the name of and may read.
 */
export function ownFolder(path: string, knownFiles: readonly string[] = [], passable = false): void {
  const found = told(path, () => lstatSync(path, { throwIfNoEntry: false }))
  if (found?.isSymbolicLink()) throw refused(path, 'is a symbolic link', 'Regent follows none here: name the folder itself.')
  told(path, () => makeFolders(path))
  const fd = told(path, () => openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW))
  try {
    const stats = fstatSync(fd)
    checkOwner(path, stats.uid)
    if ((stats.mode & (passable ? OTHERS_PASSING : OTHERS)) === 0) return
    const names = readdirSync(path)
    if (names.length > 0 && !names.some((name) => knownFiles.includes(name))) {
      throw refused(
        path,
        'holds files that are not of Regent, and others may enter it',
        'Name a folder of its own, or `chmod 700` this one.',
      )
    }
    told(path, () => fchmodSync(fd, 0o700))
  } finally {
    closeSync(fd)
  }
}

/** With its parents. Node's own `recursive` never returns where a parent is there and takes no folders, as in /proc. */
function makeFolders(path: string): void {
  if (existsSync(path)) return
  if (!existsSync(dirname(path))) makeFolders(dirname(path))
  mkdirSync(path, { mode: 0o700 })
}

/** undefined when it is not there. Follows no link, and closes it to others when it is open to them. */
export function readPrivate(path: string): Buffer | undefined {
  let fd: number
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw explain(path, error)
  }
  try {
    const stats = fstatSync(fd)
    if (!stats.isFile()) throw refused(path, 'is not a regular file', 'Remove it.')
    checkOwner(path, stats.uid)
    if ((stats.mode & OTHERS) !== 0) told(path, () => fchmodSync(fd, 0o600))
    return told(path, () => readFileSync(fd))
  } finally {
    closeSync(fd)
  }
}

/** An empty file, unless something is there. An existing one is not opened: closing it would let go of its locks. */
export function ensurePrivate(path: string): void {
  try {
    closeSync(openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600))
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw explain(path, error)
    if (!told(path, () => lstatSync(path)).isFile()) throw refused(path, 'is not a regular file', 'Remove it.')
  }
}

/** Whole or not at all, also over a crash. */
export function writePrivate(path: string, content: string | Buffer): void {
  const draft = `${path}.${process.pid}.new`
  try {
    rmSync(draft, { force: true })
    const fd = openSync(draft, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600)
    try {
      writeFileSync(fd, content)
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
    renameSync(draft, path)
    flushFolder(dirname(path))
  } catch (error) {
    rmSync(draft, { force: true })
    throw explain(path, error)
  }
}

function flushFolder(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

function checkOwner(path: string, owner: number): void {
  const user = process.getuid?.()
  if (user !== undefined && owner !== user) {
    throw refused(path, `belongs to user ${owner}, and Regent runs as user ${user}`, 'Name another home, or run Regent as its owner.')
  }
}

function told<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw explain(path, error)
  }
}

const explanations: Readonly<Record<string, readonly [ErrorCode, string, string]>> = {
  ELOOP: ['FORBIDDEN', 'is a symbolic link', 'Regent follows none in its home: name the folder itself.'],
  ENOTDIR: ['FORBIDDEN', 'is not a folder, or a symbolic link', 'Name the folder itself, or move away what is in its place.'],
  EEXIST: ['FORBIDDEN', 'is not a folder', 'Move away what is in its place.'],
  EACCES: ['FORBIDDEN', 'cannot be used by this user', 'Name another home, or run Regent as its owner.'],
  EPERM: ['FORBIDDEN', 'cannot be used by this user', 'Name another home, or run Regent as its owner.'],
  EROFS: ['UNAVAILABLE', 'is on a file system that cannot be written', 'Name another home.'],
  ENOSPC: ['NO_SPACE', 'has no space left', 'Free some space there.'],
  EDQUOT: ['NO_SPACE', 'has no space left for this user', 'Free some space there.'],
}

function explain(path: string, error: unknown): RegentError {
  if (error instanceof RegentError) return error
  const [code, problem, hint] = explanations[systemCode(error) ?? ''] ?? ['UNAVAILABLE', `cannot be used: ${reasonOf(error)}`, undefined]
  return new RegentError(code, `${path} ${problem}`, { cause: error, ...(hint !== undefined && { hint }) })
}

function refused(path: string, problem: string, hint: string): RegentError {
  return new RegentError('FORBIDDEN', `${path} ${problem}`, { hint })
}
