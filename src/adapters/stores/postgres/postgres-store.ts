import { type CompiledQuery, Kysely, PostgresDialect, type PostgresPool, type PostgresPoolClient, sql } from 'kysely'
import pg from 'pg'
import type { Clock } from '../../../kernel/clock.ts'
import type { Logger } from '../../../kernel/logger.ts'
import type { Store } from '../../../ports/store.ts'
import { GroupCommit } from '../shared/group-commit.ts'
import type { Database, Schema } from '../shared/schema.ts'
import { tablesOf } from '../shared/tables.ts'
import { type PostgresAddress, parsePostgresUrl } from './address.ts'
import { clientConfig, Names, setUp } from './client.ts'
import { isLost, isPassing, storeError } from './errors.ts'
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

/** Connections for reading; one more writes. */
const READERS = 8

/** Throws UNAVAILABLE, with a hint, when it cannot be used, is of a newer schema, or another Regent writes for the node. */
export async function openPostgresStore(options: PostgresStoreOptions): Promise<Store> {
  const { node, logger, clock, migrations = released, beforeCreate } = options
  const address = parsePostgresUrl(options.url)
  await upgrade({ address, migrations, logger, ...(beforeCreate && { beforeCreate }) })
  const names = new Names()
  const writer = new Writer({ address, node, names, clock, logger, onOthers: () => group.announce() })
  const group = groupOver(writer, options)
  await writer.session()
  const pool = openPool(address, logger)
  const reader = new Kysely<Schema>({ dialect: new PostgresDialect({ pool: readingPool(pool, names, address.place) }) })
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
      if (!pool.ending) await pool.end()
    },
  }
}

function openPool(address: PostgresAddress, logger: Logger): pg.Pool {
  const pool = new pg.Pool({
    ...clientConfig(address, 'reader'),
    max: READERS,
    idleTimeoutMillis: 60_000,
    // Its answer is waited for.
    onConnect: (client) => client.query(setUp(address)) as unknown as undefined,
  })
  pool.on('error', (error) => logger.debug({ reason: error.message }, 'a connection to the database was lost'))
  // Of one that is in use, too: the query that is under way is told.
  pool.on('connect', (client) => client.on('error', () => {}))
  return pool
}

/** The pool as kysely sees it: errors in Regent's words, and connections that may be broken are not used again. */
function readingPool(pool: pg.Pool, names: Names, place: string): PostgresPool {
  const connect = async (): Promise<PostgresPoolClient> => {
    const client = await pool.connect().catch((error: unknown) => {
      throw storeError(error, place)
    })
    let isBroken = false
    const query: Query = async (text, values) => {
      try {
        return await client.query(names.statement(text, values))
      } catch (thrown) {
        const error = storeError(thrown, place)
        isBroken ||= isLost(error)
        throw error
      }
    }
    return clientOf(query, () => client.release(isBroken))
  }
  return { connect, end: () => pool.end(), options: {} }
}

type Query = (text: string, values: readonly unknown[]) => Promise<pg.QueryResult>

/** Kysely asks for cursors beside, which nothing here uses. */
const clientOf = (query: Query, release: () => void): PostgresPoolClient => ({
  query: query as unknown as PostgresPoolClient['query'],
  release,
})

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
  const pool: PostgresPool = {
    async connect() {
      const current = await writer.session()
      session = current
      return clientOf(
        (text, values) => current.query(text, values),
        () => {},
      )
    },
    async end() {},
    options: {},
  }
  const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) })
  return new GroupCommit({
    begin: () => db.startTransaction().execute(),
    tables(transaction, isolated) {
      const current = session
      const base = databaseOf(transaction, compiled)
      if (current === undefined) return tablesOf(base)
      const next: Database['next'] = (table) => current.next(table)
      // Alone in its savepoint a work is to meet its failures where they happen.
      if (isolated) return tablesOf({ ...base, next })
      return tablesOf({ ...base, next, later: (query) => current.later(query.sql, query.parameters) })
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
