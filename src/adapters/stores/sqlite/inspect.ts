import { closeSync, constants, lstatSync, openSync, readSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { RegentError, systemCode } from '../../../kernel/errors.ts'
import { damaged, storeError } from './errors.ts'
import { openNodeSqlite, pragma } from './node-sqlite.ts'

/** Marks a database as Regent's: `RGNT`. */
export const APPLICATION_ID = 0x52474e54

/**
 * The schema version of an existing database, undefined when there is none. Throws UNAVAILABLE for what is not a sound database of
 * this Regent or an older one, and changes nothing.
 */
export function inspect(file: string, newest: number): number | undefined {
  if (!isThere(file)) return undefined
  checkHeader(file)
  let connection: ReturnType<typeof openNodeSqlite> | undefined
  try {
    connection = openNodeSqlite({ file, readOnly: true, immutable: sizeOf(`${file}-wal`) === undefined })
    return versionOf(connection.raw, file, newest)
  } catch (error) {
    throw storeError(error, file)
  } finally {
    connection?.close()
  }
}

function isThere(file: string): boolean {
  if (!sizeOf(file)) {
    if (sizeOf(`${file}-wal`)) throw damaged(file, 'it is gone or empty, but its write-ahead log is still there')
    if (sizeOf(file) === undefined) return false
    throw damaged(file, 'it is empty')
  }
  return true
}

/** undefined: no such file. */
function sizeOf(file: string): number | undefined {
  try {
    const stats = lstatSync(file)
    if (stats.isSymbolicLink())
      throw new RegentError('FORBIDDEN', `the database is a symbolic link: ${file}`, {
        hint: 'Regent follows none here: name the file itself (REGENT_DATABASE_URL), or move it into its place.',
      })
    if (!stats.isFile()) throw damaged(file, 'it is not a regular file')
    return stats.size
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    if (error instanceof RegentError) throw error
    throw new RegentError('UNAVAILABLE', `the database cannot be reached: ${file}`, { cause: error })
  }
}

function checkHeader(file: string): void {
  let fd: number
  try {
    fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW)
  } catch (error) {
    throw new RegentError('UNAVAILABLE', `the database cannot be read: ${file}`, {
      hint: 'See that it belongs to the user that Regent runs as.',
      cause: error,
    })
  }
  try {
    const header = Buffer.alloc(16)
    readSync(fd, header, 0, 16, 0)
    if (header.toString('latin1') !== 'SQLite format 3\0') throw damaged(file, 'it is not a database')
  } finally {
    closeSync(fd)
  }
}

function versionOf(raw: DatabaseSync, file: string, newest: number): number {
  const application = pragma(raw, 'application_id')
  const version = Number(pragma(raw, 'user_version'))
  const problem = pragma(raw, 'quick_check(1)')
  if (problem !== 'ok') throw damaged(file, String(problem))
  if (application !== APPLICATION_ID) {
    throw new RegentError('UNAVAILABLE', `the file is a database of another program: ${file}`, {
      hint: 'Nothing was changed. Name another home, or move the file away.',
    })
  }
  if (version > newest) {
    throw new RegentError('UNAVAILABLE', `the database has schema version ${version}, and this Regent knows versions up to ${newest}`, {
      hint: `Start the newer Regent that wrote it, or put a backup of version ${newest} in its place (${file}.backup-v${newest}-*).`,
      details: { found: version, known: newest },
    })
  }
  return version
}
