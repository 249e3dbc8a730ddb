import type pg from 'pg'
import { RegentError } from '../../../kernel/errors.ts'
import type { Logger } from '../../../kernel/logger.ts'
import { lockKey, type PostgresAddress } from './address.ts'
import { newClient } from './client.ts'
import { storeError } from './errors.ts'
import type { Migration } from './migrations.ts'

export interface Upgrade {
  readonly address: PostgresAddress
  readonly migrations: readonly Migration[]
  readonly logger: Logger
  /** Called before tables are made where there are none; what it throws forbids it. */
  readonly beforeCreate?: () => Promise<void>
}

/** The oldest server that this was written for. */
const OLDEST = 12

/**
 * Brings the schema to the newest version, from nothing if need be, in one transaction and one Regent at a time. Throws UNAVAILABLE for one of a newer Regent or of another program, and changes nothing then.
 */
export async function upgrade(options: Upgrade): Promise<void> {
  const { address } = options
  // A migration takes as long as it takes.
  const { client, cut } = newClient(address, 'migration', { query_timeout: 0 })
  client.on('error', cut)
  try {
    await client.connect()
    await client.query('begin')
    await upgradeWithin(client, options)
    await client.query('commit')
  } catch (error) {
    throw storeError(error, address.place)
  } finally {
    await client.end().catch(cut)
  }
}

/** The same in a transaction that is open. */
export async function upgradeWithin(client: pg.Client, options: Upgrade): Promise<void> {
  await checkServer(client)
  await client.query(`select pg_advisory_xact_lock(${lockKey('regent schema', options.address.schema)})`)
  const version = await versionOf(client, options)
  if (version === undefined) await create(client, options)
  await apply(client, options, version ?? 0)
}

/** undefined when nothing of Regent is there. */
export async function versionOf(
  client: pg.Client,
  { address, migrations }: Pick<Upgrade, 'address' | 'migrations'>,
): Promise<number | undefined> {
  const there = async (table: string) => {
    const text = 'select 1 from information_schema.tables where table_schema = $1 and table_name = $2'
    return (await client.query(text, [address.schema, table])).rows.length > 0
  }
  if (!(await there('schema_versions'))) {
    if (await there('agents')) throw strange(address)
    return undefined
  }
  const { rows } = await client
    .query<{ version: number | null }>(`select max(version) as version from "${address.schema}".schema_versions where program = 'regent'`)
    .catch((error: unknown) => {
      throw (error as { code?: unknown }).code === '42703' ? strange(address) : error
    })
  const found = rows[0]?.version ?? undefined
  if (found === undefined) throw strange(address)
  if (found <= migrations.length) return found
  const message = `the database has schema version ${found}, and this Regent knows versions up to ${migrations.length}: ${address.place}`
  throw new RegentError('UNAVAILABLE', message, {
    hint: 'Start the newer Regent that wrote it, or restore what pg_dump made before.',
    details: { found, known: migrations.length },
  })
}

async function checkServer(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ version: number; encoding: string }>(
    `select current_setting('server_version_num')::int as version, current_setting('server_encoding') as encoding`,
  )
  const { version, encoding } = rows[0] ?? { version: 0, encoding: '' }
  if (version < OLDEST * 10_000)
    throw new RegentError('UNAVAILABLE', `the PostgreSQL server is too old: ${Math.floor(version / 10_000)}`, {
      hint: `Regent needs PostgreSQL ${OLDEST} or newer.`,
    })
  if (encoding !== 'UTF8')
    throw new RegentError('UNAVAILABLE', `the database keeps its text as ${encoding}`, {
      hint: 'Create it with UTF8: createdb --encoding=UTF8 --template=template0 DATABASE.',
    })
}

async function create(client: pg.Client, { address, beforeCreate }: Upgrade): Promise<void> {
  await beforeCreate?.()
  const { rows } = await client.query('select 1 from pg_namespace where nspname = $1', [address.schema])
  // Only then: CREATE on the database is asked for even where the schema is there.
  if (rows.length === 0) await client.query(`create schema "${address.schema}"`)
  await client.query(`create table "${address.schema}".schema_versions (
    version bigint primary key, program text not null, name text not null, at timestamptz not null default now())`)
}

async function apply(client: pg.Client, { address, migrations, logger }: Upgrade, from: number): Promise<void> {
  await client.query(`set local search_path to "${address.schema}"`)
  for (const [index, { name, sql }] of migrations.entries()) {
    const to = index + 1
    if (to <= from) continue
    await client.query(sql)
    await client.query(`insert into schema_versions (version, program, name) values ($1, 'regent', $2)`, [to, name])
    logger.info({ from: to - 1, to, store: address.place }, `the database was migrated: ${name}`)
  }
}

const strange = ({ place }: PostgresAddress) =>
  new RegentError('UNAVAILABLE', `the schema holds tables of another program: ${place}`, {
    hint: 'Nothing was changed. Name another schema: add ?schema=NAME to the database URL.',
  })
