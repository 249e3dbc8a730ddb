import { statfsSync } from 'node:fs'
import { dirname } from 'node:path'
import { RegentError, reasonOf, systemCode } from '../../../kernel/errors.ts'

/** Primary result codes of SQLite that have a meaning of their own here. */
const BUSY = 5
const LOCKED = 6
const READONLY = 8
const IOERR = 10
const CORRUPT = 11
const FULL = 13
const CANTOPEN = 14
const TOOBIG = 18
const CONSTRAINT = 19
const NOTADB = 26
const CONSTRAINT_FOREIGNKEY = 787
const CONSTRAINT_PRIMARYKEY = 1555
const CONSTRAINT_UNIQUE = 2067

/** Less than this free, and a failed write is taken for a full disk. */
const FULL_BELOW = 1024 * 1024

/** SQLite's extended result code, if `error` is one of its errors. */
function sqliteCode(error: unknown): number | undefined {
  const code = (error as { errcode?: unknown } | null)?.errcode
  return typeof code === 'number' ? code : undefined
}

export const isBusy = (error: unknown): boolean => {
  const cause = error instanceof RegentError ? error.cause : error
  const code = (sqliteCode(cause) ?? 0) & 0xff
  return code === BUSY || code === LOCKED
}

/** What SQLite threw, in Regent's words. */
export function storeError(error: unknown, file: string): RegentError {
  if (error instanceof RegentError) return error
  const code = sqliteCode(error)
  if (code === undefined) return fileError(error, file)
  if (code === CONSTRAINT_FOREIGNKEY)
    return new RegentError('NOT_FOUND', 'the agent of this row is gone', { details: { what: 'agent' }, cause: error })
  if (code === CONSTRAINT_UNIQUE || code === CONSTRAINT_PRIMARYKEY)
    return new RegentError('ALREADY_EXISTS', 'a row with this key is already stored', { cause: error })
  switch (code & 0xff) {
    case FULL:
      return noSpace(file, error)
    case BUSY:
    case LOCKED:
      return new RegentError('UNAVAILABLE', `the database is locked by another program: ${file}`, {
        hint: 'End the program that holds it open for writing (fuser shows which), or wait.',
        retryAfter: 5,
        cause: error,
      })
    case CORRUPT:
    case NOTADB:
      return damaged(file, reasonOf(error), error)
    case TOOBIG:
      return new RegentError('TOO_LARGE', 'a value is too large to be stored', { cause: error })
    case CONSTRAINT:
      return new RegentError('INTERNAL', `a row breaks a rule of its table: ${reasonOf(error)}`, { cause: error })
    case IOERR:
      return isFull(file) ? noSpace(file, error) : cannotUse(file, error)
    case READONLY:
    case CANTOPEN:
      return cannotUse(file, error)
    default:
      return new RegentError('INTERNAL', `the store failed: ${reasonOf(error)}`, { cause: error })
  }
}

/** For what the file system threw. */
function fileError(error: unknown, file: string): RegentError {
  const code = systemCode(error)
  if (code === 'ENOSPC' || code === 'EDQUOT') return noSpace(file, error)
  if (code !== undefined && !code.startsWith('ERR_')) return cannotUse(file, error)
  return new RegentError('INTERNAL', `the store failed: ${reasonOf(error)}`, { cause: error })
}

export function damaged(file: string, problem: string, cause?: unknown): RegentError {
  return new RegentError('UNAVAILABLE', `the database is damaged: ${file}: ${problem}`, {
    hint: `Nothing was changed. Run \`regent recover\`: it puts the file aside and makes the agents anew from their runs. Or put a backup in its place (${file}.backup-*, newest last), without the -wal and -shm files.`,
    details: { what: 'damaged' },
    cause,
  })
}

function noSpace(file: string, cause: unknown): RegentError {
  return new RegentError('NO_SPACE', `no space is left for the database in ${dirname(file)}`, {
    hint: 'Free some space there; Regent goes on by itself.',
    retryAfter: 10,
    cause,
  })
}

function cannotUse(file: string, cause: unknown): RegentError {
  return new RegentError('UNAVAILABLE', `the database cannot be used: ${file}: ${reasonOf(cause)}`, {
    hint: 'See that the file and its folder belong to the user that Regent runs as, and are writable.',
    retryAfter: 5,
    cause,
  })
}

function isFull(file: string): boolean {
  try {
    const disk = statfsSync(dirname(file))
    return disk.bavail * disk.bsize < FULL_BELOW
  } catch {
    // The folder itself is out of reach: that is not a lack of space.
    return false
  }
}
