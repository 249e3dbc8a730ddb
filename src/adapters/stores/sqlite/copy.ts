import { existsSync, renameSync, rmSync } from 'node:fs'
import { Kysely, SqliteDialect } from 'kysely'
import { type Clock, systemClock } from '../../../kernel/clock.ts'
import { RegentError } from '../../../kernel/errors.ts'
import { silentLogger } from '../../../kernel/logger.ts'
import type { CopySource, CopyTarget } from '../shared/copy.ts'
import type { Schema } from '../shared/schema.ts'
import { storeError } from './errors.ts'
import { inspect } from './inspect.ts'
import { create } from './migrate.ts'
import { migrations } from './migrations.ts'
import { type NodeSqlite, openNodeSqlite } from './node-sqlite.ts'

const over = (database: NodeSqlite) => new Kysely<Schema>({ dialect: new SqliteDialect({ database }) })

/** Throws for a file that is not there, not sound, or not of this Regent's version. */
export function openSqliteSource(file: string): CopySource {
  const found = inspect(file, migrations.length)
  if (found === undefined) throw new RegentError('NOT_FOUND', `there is no database: ${file}`)
  if (found < migrations.length)
    throw new RegentError('UNAVAILABLE', 'the database is of an older version', {
      hint: 'Start `regent serve` once: it upgrades the database.',
    })
  const database = openNodeSqlite({ file, readOnly: true })
  return {
    place: file,
    sql: over(database),
    async counters() {
      const rows = database.raw.prepare('select name, seq from sqlite_sequence').all()
      const last = (table: string) => Number(rows.find(({ name }) => name === table)?.seq ?? 0)
      return { events: last('events'), messages: last('messages') }
    },
    async close() {
      database.close()
    },
  }
}

export function sqliteTarget(file: string, clock: Clock = systemClock): CopyTarget {
  const draft = `${file}.migrating`
  const discard = () => {
    for (const end of ['', '-wal', '-shm', '-journal']) rmSync(draft + end, { force: true })
  }
  return {
    place: file,
    async fill(work) {
      if (existsSync(file)) throw new RegentError('ALREADY_EXISTS', `there is a database already: ${file}`, { hint: 'Move it away first.' })
      try {
        discard()
        create({ file: draft, migrations, clock, logger: silentLogger })
        const database = openNodeSqlite({ file: draft, readOnly: false })
        try {
          database.raw.exec('begin immediate')
          const last = await work(over(database))
          const keep = database.raw.prepare('insert into sqlite_sequence (name, seq) values (?, ?)')
          database.raw.exec("delete from sqlite_sequence where name in ('events', 'messages')")
          for (const [name, seq] of Object.entries(last)) keep.run(name, seq)
          database.raw.exec('commit')
          database.raw.exec('pragma wal_checkpoint(truncate)')
        } finally {
          database.close()
        }
        renameSync(draft, file)
      } catch (error) {
        discard()
        throw storeError(error, file)
      }
    },
  }
}
