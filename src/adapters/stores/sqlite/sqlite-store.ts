import { chmodSync, lstatSync } from 'node:fs'
import { type CompiledQuery, Kysely, SqliteDialect, sql } from 'kysely'
import type { Clock } from '../../../kernel/clock.ts'
import { RegentError } from '../../../kernel/errors.ts'
import type { Logger } from '../../../kernel/logger.ts'
import type { Store } from '../../../ports/store.ts'
import { GroupCommit } from '../shared/group-commit.ts'
import type { Database, Schema } from '../shared/schema.ts'
import { tablesOf } from '../shared/tables.ts'
import { DiskSync } from './disk-sync.ts'
import { isBusy, storeError } from './errors.ts'
import { inspect } from './inspect.ts'
import { create, upgrade } from './migrate.ts'
import { type Migration, migrations as released } from './migrations.ts'
import { type NodeSqlite, openNodeSqlite } from './node-sqlite.ts'
import { RowNumbers } from './row-numbers.ts'
import { WriteAheadLog } from './write-ahead-log.ts'

export interface SqliteStoreOptions {
  readonly file: string
  readonly logger: Logger
  readonly clock: Clock
  /** Creates and migrates nothing; every transaction is refused. */
  readonly readOnly?: boolean
  readonly migrations?: readonly Migration[]
  /** Called when the disk is full; true when it made some room. */
  readonly makeRoom?: () => boolean
}

/** Throws UNAVAILABLE, with a hint, when the file is damaged, of a newer schema, or cannot be used; it is then left as it is. */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  const readOnly = options.readOnly === true
  const writer = readOnly ? undefined : openWriter(options)
  if (readOnly) checkReadable(options)
  const reader = openNodeSqlite({ file: options.file, readOnly: true })
  const identity = identityOf(options.file)
  const read = tablesOf(databaseOf(kyselyOver(reader), new Map()))
  const wal = writer && new WriteAheadLog(writer, options)
  const disk = new DiskSync(options.file)
  const group = writer && wal && groupOver(writer, wal, disk, options)
  group?.onCommit(() => wal?.keepSmall())
  return {
    kind: 'sqlite',
    read,
    transaction(work) {
      if (group) return group.run(work)
      return Promise.reject(new RegentError('UNAVAILABLE', 'the store was opened for reading alone'))
    },
    onCommit: (listener) => group?.onCommit(listener),
    async check() {
      if (identityOf(options.file) !== identity) throw replaced(options.file)
      await read.cursors.get('')
      await group?.run(async (tables) => tables.cursors.get(''), 0)
    },
    async close() {
      await group?.close()
      disk.close()
      reader.close()
      wal?.close()
    },
  }
}

function openWriter(options: SqliteStoreOptions): NodeSqlite {
  const { file, logger, clock, migrations = released } = options
  const work = { file, migrations, clock, logger }
  const found = inspect(file, migrations.length)
  if (found === undefined) create(work)
  const writer = openNodeSqlite({ file, readOnly: false, syncs: false })
  try {
    chmodSync(file, 0o600)
    if (found !== undefined && found < migrations.length) upgrade(writer, found, work)
    return writer
  } catch (error) {
    writer.close()
    throw storeError(error, file)
  }
}

function checkReadable({ file, migrations = released }: SqliteStoreOptions): void {
  const found = inspect(file, migrations.length)
  if (found === migrations.length) return
  throw new RegentError('UNAVAILABLE', found === undefined ? `there is no database: ${file}` : 'the database is of an older version', {
    hint: 'Start `regent serve` once: it creates or upgrades the database.',
  })
}

function kyselyOver(database: NodeSqlite): Kysely<Schema> {
  return new Kysely<Schema>({ dialect: new SqliteDialect({ database }) })
}

function databaseOf(connection: Kysely<Schema>, compiled: Map<string, CompiledQuery>): Database {
  return {
    sql: connection,
    among: (column, values) => sql<boolean>`${sql.ref(column)} in (select value from json_each(${JSON.stringify(values)}))`,
    listed: (values) => JSON.stringify(values),
    compiled,
  }
}

function groupOver(writer: NodeSqlite, wal: WriteAheadLog, disk: DiskSync, { logger, clock, makeRoom }: SqliteStoreOptions): GroupCommit {
  const db = kyselyOver(writer)
  const compiled = new Map<string, CompiledQuery>()
  const numbers = new RowNumbers(writer)
  return new GroupCommit({
    begin() {
      if (disk.doubtful && !wal.foldIn())
        throw new RegentError('UNAVAILABLE', 'the disk did not take an earlier change, and takes none now', { retryAfter: 5 })
      disk.doubtful = false
      return db.startTransaction().execute()
    },
    tables: (transaction, isolated) => tablesOf({ ...databaseOf(transaction, compiled), ...numbers.begin(isolated) }),
    appended: () => numbers.end(),
    isBusy,
    sync: () => disk.sync(),
    makeRoom() {
      const made = makeRoom?.() === true
      // A log that was folded in is overwritten in place, which needs no space.
      return wal.reuse() || made
    },
    clock,
    logger,
  })
}

function identityOf(file: string): string {
  try {
    const stats = lstatSync(file)
    return `${stats.dev}:${stats.ino}`
  } catch (error) {
    throw replaced(file, error)
  }
}

function replaced(file: string, cause?: unknown): RegentError {
  return new RegentError('UNAVAILABLE', `the database file was removed or replaced while Regent runs: ${file}`, {
    hint: 'Restart Regent; what was written since may be lost.',
    cause,
  })
}
