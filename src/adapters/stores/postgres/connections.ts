import type { PostgresPool, PostgresPoolClient } from 'kysely'
import pg from 'pg'
import type { Logger } from '../../../kernel/logger.ts'
import type { PostgresAddress } from './address.ts'
import { clientConfig, type Names, setUp } from './client.ts'
import { isLost, storeError } from './errors.ts'

/** Connections for reading; one more writes. */
const READERS = 8

export type Query = (text: string, values: readonly unknown[]) => Promise<pg.QueryResult>

/** Kysely asks for cursors beside, which nothing here uses. */
const clientOf = (query: Query, release: () => void): PostgresPoolClient => ({
  query: query as unknown as PostgresPoolClient['query'],
  release,
})

/** As kysely wants it, over one connection. */
export function poolOfOne(query: Query): PostgresPool {
  return lent(async () => query)
}

/** As kysely wants it: `lend` is asked for the connection of each transaction. */
export function lent(lend: () => Promise<Query>): PostgresPool {
  return { connect: async () => clientOf(await lend(), () => {}), end: async () => {}, options: {} }
}

export interface Readers {
  readonly pool: PostgresPool
  close(): Promise<void>
}

/** Connections for reading, with errors in Regent's words; one that may be broken is not used again. */
export function openReaders(address: PostgresAddress, names: Names, logger: Logger): Readers {
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
  const told = (error: unknown) => {
    throw storeError(error, address.place)
  }
  const connect = async (): Promise<PostgresPoolClient> => {
    const client = await pool.connect().catch(told)
    let isBroken = false
    const query: Query = (text, values) =>
      client.query(names.statement(text, values)).catch((thrown: unknown) => {
        const error = storeError(thrown, address.place)
        isBroken ||= isLost(error)
        throw error
      })
    return clientOf(query, () => client.release(isBroken))
  }
  return {
    pool: { connect, end: async () => {}, options: {} },
    async close() {
      if (!pool.ending) await pool.end()
    },
  }
}
