import { type CompiledQuery, Kysely, PostgresDialect, sql } from 'kysely'
import type { Clock } from '../../../kernel/clock.ts'
import type { Logger } from '../../../kernel/logger.ts'
import type { Store } from '../../../ports/store.ts'
import { GroupCommit } from '../shared/group-commit.ts'
import type { Database, Schema } from '../shared/schema.ts'
import { tablesOf } from '../shared/tables.ts'
import { parsePostgresUrl } from './address.ts'
import { Names } from './client.ts'
import { lent, openReaders } from './connections.ts'
import { isLost, isPassing } from './errors.ts'
import { upgrade } from './migrate.ts'
import { type Migration, migrations as released } from './migrations.ts'
import type { Session } from './session.ts'
import { Writer } from './writer.ts'

export interface PostgresStoreOptions {
  /** `postgres://USER:PASSWORD@HOST:PORT/DATABASE?schema=…&sslmode=…`. */
  readonly url: string
  readonly node: string
  readonly logger: Logger
  readonly clock: Clock
  readonly migrations?: readonly Migration[]
  /** Called before tables are made where there are none; what it throws forbids it. */
  readonly beforeCreate?: () => Promise<void>
}

/** Throws UNAVAILABLE, with a hint, when it cannot be used, is of a newer schema, or another Regent writes for the node. */
export async function openPostgresStore(options: PostgresStoreOptions): Promise<Store> {
  const { node, logger, clock, migrations = released, beforeCreate } = options
  const address = parsePostgresUrl(options.url)
  await upgrade({ address, migrations, logger, ...(beforeCreate && { beforeCreate }) })
  const names = new Names()
  const writer = new Writer({ address, node, names, clock, logger, onOthers: () => group.announce() })
  const group = groupOver(writer, options)
  await writer.session()
  const readers = openReaders(address, names, logger)
  const reader = new Kysely<Schema>({ dialect: new PostgresDialect({ pool: readers.pool }) })
  const read = tablesOf(databaseOf(reader, new Map()))
  return {
    kind: 'postgres',
    place: address.place,
    read,
    transaction: (work) => group.run(work),
    onCommit: (listener) => group.onCommit(listener),
    async check() {
      await read.cursors.get('')
      await group.run(async (tables) => tables.cursors.get(''), 0)
    },
    async close() {
      await group.close()
      await writer.close()
      await readers.close()
    },
  }
}

function databaseOf(connection: Kysely<Schema>, compiled: Map<string, CompiledQuery>): Database {
  return {
    sql: connection,
    among: (column, values) => sql<boolean>`${sql.ref(column)} = any(${arrayOf(values)}::text[])`,
    listed: arrayOf,
    compiled,
  }
}

/** An array as PostgreSQL reads it. */
const arrayOf = (values: readonly string[]): string => `{${values.map((value) => `"${value.replace(/["\\]/g, '\\$&')}"`).join()}}`

function groupOver(writer: Writer, { clock, logger }: PostgresStoreOptions): GroupCommit {
  const compiled = new Map<string, CompiledQuery>()
  let session: Session | undefined
  const pool = lent(async () => {
    const current = await writer.session()
    session = current
    return (text, values) => current.query(text, values)
  })
  const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) })
  return new GroupCommit({
    begin: () => db.startTransaction().execute(),
    tables(transaction, isolated) {
      const current = session
      const base = databaseOf(transaction, compiled)
      if (current === undefined) return tablesOf(base)
      const { turn } = current
      const next: Database['next'] = (table) => current.next(turn, table)
      // Alone in its savepoint a work is to meet its failures where they happen.
      if (isolated) return tablesOf({ ...base, next })
      return tablesOf({ ...base, next, later: (query) => current.later(turn, query.sql, query.parameters) })
    },
    isBusy: isPassing,
    remote: {
      isLost,
      isSlow: () => writer.isWaiting,
      wasCommitted: async () => (session === undefined ? false : writer.wasCommitted(session)),
    },
    clock,
    logger,
  })
}
