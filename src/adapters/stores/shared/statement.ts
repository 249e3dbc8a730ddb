import type { Compilable, CompiledQuery, Kysely, QueryResult } from 'kysely'
import type { Codec, Columns } from './codec.ts'
import type { Database, Schema } from './schema.ts'

/**
 * Runs a statement whose text depends on `name` alone: it is built and compiled at its first use, for the dialect at hand, and its
 * text is used again from then on. `values` are its parameters, in the order of its text.
 */
export function execute<Row>(
  db: Database,
  name: string,
  values: readonly unknown[],
  build: (sql: Kysely<Schema>) => Compilable<Row>,
): Promise<QueryResult<Row>> {
  return db.sql.executeQuery(statement(db, name, values, build))
}

/** The same for a statement whose result nobody needs, which therefore need not be waited for. */
export async function send(
  db: Database,
  name: string,
  values: readonly unknown[],
  build: (sql: Kysely<Schema>) => Compilable,
): Promise<void> {
  const query = statement(db, name, values, build)
  if (db.later) db.later(query)
  else await db.sql.executeQuery(query)
}

export async function rowsOf<Row>(
  db: Database,
  name: string,
  values: readonly unknown[],
  build: (sql: Kysely<Schema>) => Compilable<Row>,
): Promise<Row[]> {
  return (await execute(db, name, values, build)).rows
}

export async function rowOf<Row>(
  db: Database,
  name: string,
  values: readonly unknown[],
  build: (sql: Kysely<Schema>) => Compilable<Row>,
): Promise<Row | undefined> {
  return (await execute(db, name, values, build)).rows[0]
}

/** So many rows at most go into one statement; fewer go in steps, so that few texts are kept. */
const STEPS = [64, 16, 4, 1] as const

/** Cuts rows into pieces whose statements have one text each: by name and number of rows. */
export function* inSteps<Row>(rows: readonly Row[]): Generator<readonly Row[]> {
  let at = 0
  for (const step of STEPS) for (; rows.length - at >= step; at += step) yield rows.slice(at, at + step)
}

/** Sets these columns of the row with this key; the text depends on which columns they are. */
export async function update<Columns extends object>(
  db: Database,
  table: string,
  columns: Columns | undefined,
  key: string,
  build: (sql: Kysely<Schema>, columns: Columns) => Compilable,
): Promise<void> {
  if (columns === undefined) return
  const name = `update ${table} ${Object.keys(columns).join()}`
  await send(db, name, [...Object.values(columns), key], (sql) => build(sql, columns))
}

/** New rows of one statement, each with the number that it is given. */
export class NumberedRows<Row extends object> {
  readonly numbers: readonly number[]
  /** Of the statement that inserts `columns`. */
  readonly parameters: readonly unknown[]
  readonly #codec: Codec<Row>
  readonly #rows: readonly Row[]

  constructor({ next }: Database, table: 'events' | 'messages', codec: Codec<Row>, rows: readonly Row[]) {
    if (next === undefined) throw new Error(`no transaction numbers the ${table}`)
    const parameters: unknown[] = []
    this.numbers = rows.map((row) => {
      const number = next(table)
      parameters.push(number)
      codec.encodeInto(parameters, row)
      return number
    })
    this.parameters = parameters
    this.#codec = codec
    this.#rows = rows
  }

  columns(): (Columns<Row> & { readonly number: number })[] {
    return this.#rows.map((row, at) => ({ number: this.numbers[at] ?? 0, ...this.#codec.encode(row) }))
  }
}

function statement<Row>(
  db: Database,
  name: string,
  values: readonly unknown[],
  build: (sql: Kysely<Schema>) => Compilable<Row>,
): CompiledQuery<Row> {
  const known = db.compiled.get(name) as CompiledQuery<Row> | undefined
  return known ? { ...known, parameters: values } : compile(db, name, values, build)
}

function compile<Row>(
  db: Database,
  name: string,
  values: readonly unknown[],
  build: (sql: Kysely<Schema>) => Compilable<Row>,
): CompiledQuery<Row> {
  const compiled = build(db.sql).compile()
  const { parameters } = compiled
  if (parameters.length !== values.length || parameters.some((one, at) => !Object.is(one, values[at])))
    throw new Error(`the values of the statement '${name}' are not the parameters of its text: ${compiled.sql}`)
  db.compiled.set(name, compiled)
  return compiled
}
