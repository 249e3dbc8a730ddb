import { Kysely, PostgresDialect, sql } from 'kysely'
import type pg from 'pg'
import { RegentError } from '../../../kernel/errors.ts'
import { silentLogger } from '../../../kernel/logger.ts'
import type { CopySource, CopyTarget } from '../shared/copy.ts'
import type { Schema } from '../shared/schema.ts'
import { lockKey, type PostgresAddress, parsePostgresUrl } from './address.ts'
import { Names, newClient } from './client.ts'
import { poolOfOne } from './connections.ts'
import { storeError } from './errors.ts'
import { upgradeWithin, versionOf } from './migrate.ts'
import { migrations } from './migrations.ts'

/** Long statements are the rule here: a count, a page of a large table. */
const unhurried = { query_timeout: 0 }

async function connected(address: PostgresAddress): Promise<{ client: pg.Client; sql: Kysely<Schema>; close: () => Promise<void> }> {
  const { client, cut } = newClient(address, 'migrate', unhurried)
  client.on('error', cut)
  try {
    await client.connect()
    await client.query(`set search_path to "${address.schema}"`)
  } catch (error) {
    cut()
    throw storeError(error, address.place)
  }
  const names = new Names()
  const query = (text: string, values: readonly unknown[]) => {
    const { name: _, ...statement } = names.statement(text, values)
    return client.query(statement).catch((error: unknown) => {
      throw storeError(error, address.place)
    })
  }
  const connection = new Kysely<Schema>({ dialect: new PostgresDialect({ pool: poolOfOne(query) }) })
  return { client, sql: connection, close: () => client.end().catch(cut) }
}

/** One moment of the store. Throws when it is not there, of another version, or a Regent writes to it for this node. */
export async function openPostgresSource(url: string, node: string): Promise<CopySource> {
  const address = parsePostgresUrl(url)
  const { client, sql: connection, close } = await connected(address)
  try {
    const version = await versionOf(client, { address, migrations })
    if (version === undefined) throw new RegentError('NOT_FOUND', `there is no database of Regent: ${address.place}`)
    if (version < migrations.length)
      throw new RegentError('UNAVAILABLE', 'the database is of an older version', {
        hint: 'Start `regent serve` once: it upgrades the database.',
      })
    await takeNode(client, address, node)
    await client.query('begin isolation level repeatable read read only')
  } catch (error) {
    await close()
    throw storeError(error, address.place)
  }
  return {
    place: address.place,
    sql: connection,
    async counters() {
      const { rows } = await sql<{ name: string; value: number }>`select name, value from counters`.execute(connection)
      const last = (table: string) => rows.find(({ name }) => name === table)?.value ?? 0
      return { events: last('events'), messages: last('messages') }
    },
    close,
  }
}

/** Its tables are made in the transaction that fills them. */
export function postgresTarget(url: string, node: string): CopyTarget {
  const address = parsePostgresUrl(url)
  return {
    place: address.place,
    async fill(work) {
      const { client, sql: connection, close } = await connected(address)
      try {
        await client.query('begin')
        await upgradeWithin(client, { address, migrations, logger: silentLogger })
        await takeNode(client, address, node)
        await refuseFull(client, address)
        for (const [name, value] of Object.entries(await work(connection)))
          await client.query('update counters set value = $1 where name = $2', [value, name])
        await client.query('commit')
      } catch (error) {
        throw storeError(error, address.place)
      } finally {
        await close()
      }
    },
  }
}

async function takeNode(client: pg.Client, { place, schema }: PostgresAddress, node: string): Promise<void> {
  const { rows } = await client.query(`select pg_try_advisory_lock(${lockKey('regent node', schema, node)}) as taken`)
  if (rows[0]?.taken !== true) throw new RegentError('ILLEGAL_STATE', `a Regent uses this database: ${place}`, { hint: 'Stop it first.' })
}

async function refuseFull(client: pg.Client, { place, schema }: PostgresAddress): Promise<void> {
  for (const table of ['agents', 'events', 'messages', 'tokens', 'commands', 'cursors']) {
    const { rows } = await client.query(`select 1 from ${table} limit 1`)
    if (rows.length > 0)
      throw new RegentError('ALREADY_EXISTS', `the database is not empty: ${place} has ${table}`, {
        hint: `Name another schema (?schema=NAME), or drop this one if nothing of it is wanted: drop schema "${schema}" cascade.`,
      })
  }
}
