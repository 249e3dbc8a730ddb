import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { onTestFinished } from 'vitest'
import { needs } from './services.ts'

/** An address with a schema of its own that goes when the test ends. */
export function freshPostgres(url = needs('postgres').url): string {
  const schema = `test_${randomUUID().replaceAll('-', '')}`
  onTestFinished(() => dropSchema(url, schema))
  return `${url}${url.includes('?') ? '&' : '?'}schema=${schema}`
}

/** Statements beside the store, as a person at `psql` types them. */
export function psql<Row extends pg.QueryResultRow>(url: string, text: string, values: unknown[] = []): Promise<Row[]> {
  return psqlIn(url, async (query) => (await query<Row>(text, values)).rows)
}

type Query = <Row extends pg.QueryResultRow>(text: string, values?: unknown[]) => Promise<pg.QueryResult<Row>>

/** One connection for as long as `work` takes. */
export async function psqlIn<T>(url: string, work: (query: Query) => Promise<T>): Promise<T> {
  const address = new URL(url)
  const schema = address.searchParams.get('schema')
  address.search = ''
  const client = new pg.Client({ connectionString: address.href })
  client.on('error', () => {})
  await client.connect()
  try {
    if (schema !== null) await client.query(`set search_path to "${schema}"`)
    return await work((text, values) => client.query(text, values))
  } finally {
    await client.end()
  }
}

export async function dropSchema(url: string, schema: string): Promise<void> {
  await psql(url, `drop schema if exists "${schema}" cascade`)
}
