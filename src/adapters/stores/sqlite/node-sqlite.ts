import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import type { SqliteDatabase, SqliteStatement } from 'kysely'
import { RegentError } from '../../../kernel/errors.ts'
import { storeError } from './errors.ts'

/** SQLite blocks the whole process while it waits for a lock: at the opening that harms nobody, later who needs it tries again. */
const OPENING_MS = 1000
const BUSY_MS = 0
/** Bytes that the write-ahead log keeps once it was folded in; more is given back. */
export const LOG_LIMIT = 32 * 1024 * 1024
/** Pages of 4 KiB after which the log is folded in: that waits for the disk, and a page that was written often is folded in once. */
const LOG_PAGES = 4000
/** Of the writing connection; those that read do with SQLite's own 2 MiB. */
const CACHE_KIB = 8192
const KEPT_STATEMENTS = 200

/** What kysely's SqliteDialect asks of a driver, over node:sqlite. */
export interface NodeSqlite extends SqliteDatabase {
  readonly raw: DatabaseSync
}

export interface ConnectionOptions {
  readonly file: string
  readonly readOnly: boolean
  /** Nobody writes, and nothing is put beside the file: only for one without a write-ahead log. */
  readonly immutable?: boolean
  /** false: who writes sees to it himself that commits get onto the disk (DiskSync); the log is still synced before it is folded in. */
  readonly syncs?: boolean
}

/** Throws RegentErrors, then and in every statement. Statements are kept, since kysely prepares anew for each query. */
export function openNodeSqlite(options: ConnectionOptions): NodeSqlite {
  const { file, readOnly, immutable = false } = options
  const path = immutable ? new URL('?immutable=1', pathToFileURL(file)) : file
  const raw = guarded(file, () => new DatabaseSync(path, { readOnly, timeout: OPENING_MS, enableForeignKeyConstraints: true }))
  try {
    guarded(file, () => configure(raw, file, options))
    raw.exec(`pragma busy_timeout = ${BUSY_MS}`)
  } catch (error) {
    raw.close()
    throw error
  }
  const statements = new Map<string, SqliteStatement>()
  return {
    raw,
    close() {
      statements.clear()
      if (raw.isOpen) raw.close()
    },
    prepare(text) {
      const known = statements.get(text)
      if (known) return known
      if (!raw.isOpen) throw new RegentError('UNAVAILABLE', 'the store is closed')
      const statement = statementFor(raw, file, text)
      if (statements.size >= KEPT_STATEMENTS) statements.delete(statements.keys().next().value ?? '')
      statements.set(text, statement)
      return statement
    },
  }
}

/** The one number or text that a pragma answers. */
export function pragma(raw: DatabaseSync, name: string): unknown {
  return Object.values(raw.prepare(`pragma ${name}`).get() ?? {})[0]
}

function configure(raw: DatabaseSync, file: string, { readOnly, syncs = true }: ConnectionOptions): void {
  raw.exec('pragma trusted_schema = off')
  if (readOnly) return
  if (pragma(raw, 'journal_mode = wal') !== 'wal') {
    throw new RegentError('UNAVAILABLE', `the database cannot keep a write-ahead log: ${file}`, {
      hint: 'Put the home on a local disk; network and some shared file systems do not work.',
    })
  }
  raw.exec(`pragma synchronous = ${syncs ? 'full' : 'normal'}`)
  raw.exec(`pragma wal_autocheckpoint = ${LOG_PAGES}`)
  raw.exec(`pragma cache_size = -${CACHE_KIB}`)
  raw.exec(`pragma journal_size_limit = ${LOG_LIMIT}`)
}

function statementFor(raw: DatabaseSync, file: string, text: string): SqliteStatement {
  if (text === 'begin') return statementFor(raw, file, 'begin immediate')
  const statement: StatementSync = guarded(file, () => raw.prepare(text))
  const run = (values: readonly unknown[]) => guarded(file, () => statement.run(...(values as SQLInputValue[])))
  return {
    reader: statement.columns().length > 0,
    all: (values) => guarded(file, () => statement.all(...(values as SQLInputValue[]))),
    iterate: (values) => guarded(file, () => statement.iterate(...(values as SQLInputValue[]))),
    // Some errors of SQLite have already rolled back.
    run: text === 'rollback' ? (values) => (raw.isTransaction ? run(values) : { changes: 0, lastInsertRowid: 0 }) : run,
  }
}

function guarded<T>(file: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw storeError(error, file)
  }
}
