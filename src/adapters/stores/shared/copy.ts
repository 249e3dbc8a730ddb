import { type Kysely, sql } from 'kysely'
import { RegentError } from '../../../kernel/errors.ts'
import type { Schema } from './schema.ts'

/** The last number that was given in each table that numbers its rows: more than its newest row's once that was forgotten. */
export interface Counters {
  readonly events: number
  readonly messages: number
}

/** A whole store that nobody writes to. */
export interface CopySource {
  /** Where it is, in words and without secrets. */
  readonly place: string
  readonly sql: Kysely<Schema>
  counters(): Promise<Counters>
  close(): Promise<void>
}

/** A place for a whole store where none is yet. */
export interface CopyTarget {
  readonly place: string
  /** Runs `work` over tables that are new and empty. They are there once it resolves, and not at all when it throws. */
  fill(work: (sql: Kysely<Schema>) => Promise<Counters>): Promise<void>
}

export interface Copied {
  /** Rows, by table. */
  readonly tables: Readonly<Record<string, number>>
}

/** Each with its key, in an order in which rows come after those that they refer to. */
const tables: readonly (readonly [keyof Schema, readonly string[]])[] = [
  ['agents', ['id']],
  ['lives', ['agent_id']],
  ['runs', ['id']],
  ['events', ['number']],
  ['messages', ['number']],
  ['workers', ['id']],
  ['turns', ['worker_id', 'turn']],
  ['races', ['id']],
  ['approvals', ['id']],
  ['tokens', ['id']],
  ['commands', ['caller', 'key']],
  ['cursors', ['name']],
  ['usages', ['agent_id']],
]

/** A row holds up to 1 MiB. */
const PAGE = 100

/** Copies every row, then counts them on both sides. `tell` hears of each table's progress. Throws, and leaves no half of a store. */
export async function copyStore(from: CopySource, to: CopyTarget, tell: (table: string, rows: number) => void): Promise<Copied> {
  const counts: Record<string, number> = {}
  await to.fill(async (target) => {
    for (const [table, key] of tables) {
      const rows = await copyTable(from.sql, target, table, key, (done) => tell(table, done))
      const [there, here] = await Promise.all([count(from.sql, table), count(target, table)])
      if (there !== here || here !== rows)
        throw new RegentError('INTERNAL', `the table ${table} has ${there} rows, and ${here} have arrived: nothing was kept`)
      counts[table] = rows
    }
    return from.counters()
  })
  return { tables: counts }
}

type Row = Readonly<Record<string, unknown>>

async function copyTable(
  from: Kysely<Schema>,
  to: Kysely<Schema>,
  table: string,
  key: readonly string[],
  tell: (rows: number) => void,
): Promise<number> {
  const columns = sql.join(key.map((column) => sql.ref(column)))
  let done = 0
  let last: Row | undefined
  for (;;) {
    const after = last === undefined ? sql`` : sql`where (${columns}) > (${sql.join(key.map((column) => last?.[column]))})`
    const { rows } = await sql<Row>`select * from ${sql.table(table)} ${after} order by ${columns} limit ${sql.lit(PAGE)}`.execute(from)
    if (rows.length > 0) await insert(to, table, rows)
    done += rows.length
    if (rows.length > 0) tell(done)
    if (rows.length < PAGE) return done
    last = rows.at(-1)
  }
}

async function insert(to: Kysely<Schema>, table: string, rows: readonly Row[]): Promise<void> {
  const columns = Object.keys(rows[0] ?? {})
  const lines = rows.map((row) => sql`(${sql.join(columns.map((column) => row[column]))})`)
  const names = sql.join(columns.map((column) => sql.ref(column)))
  await sql`insert into ${sql.table(table)} (${names}) values ${sql.join(lines)}`.execute(to)
}

async function count(connection: Kysely<Schema>, table: string): Promise<number> {
  const { rows } = await sql<{ rows: number | string }>`select count(*) as ${sql.ref('rows')} from ${sql.table(table)}`.execute(connection)
  return Number(rows[0]?.rows)
}
