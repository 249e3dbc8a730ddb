import { type AliasedRawBuilder, sql } from 'kysely'

/** How a port's row is kept in columns: names in snake_case, objects as JSON text, booleans as 0 and 1. */
type Kept<T> = [T] extends [boolean] ? number : [T] extends [string | number | null] ? T : string

export type SnakeCase<S extends string> = S extends `${infer Head}${infer Tail}`
  ? `${Head extends Lowercase<Head> ? Head : `_${Lowercase<Head>}`}${SnakeCase<Tail>}`
  : S

export type Columns<Row> = { [K in keyof Row & string as SnakeCase<K>]: Kept<Row[K]> }

/** plain: text, integers and nulls as they are. */
type Form<T> = [T] extends [boolean] ? 'flag' : [T] extends [string | number | null] ? 'plain' : 'json'
export type Forms<Row> = { readonly [K in keyof Row & string]: Form<Row[K]> }

interface Field {
  readonly name: string
  readonly column: string
  readonly form: 'plain' | 'flag' | 'json'
}

export class Codec<Row extends object> {
  readonly #fields: readonly Field[]
  readonly #byName: ReadonlyMap<string, Field>

  constructor(forms: Forms<Row>) {
    this.#fields = Object.entries<Field['form']>(forms).map(([name, form]) => ({ name, column: snakeCase(name), form }))
    this.#byName = new Map(this.#fields.map((field) => [field.name, field]))
  }

  get columns(): readonly (keyof Columns<Row> & string)[] {
    return this.#fields.map(({ column }) => column as keyof Columns<Row> & string)
  }

  encode(row: Row): Columns<Row> {
    const columns: Record<string, unknown> = {}
    for (const field of this.#fields) columns[field.column] = keep(field, (row as Record<string, unknown>)[field.name])
    return columns as Columns<Row>
  }

  /** The same values, in the order of `columns`. */
  encodeInto(values: unknown[], row: Row): void {
    for (const field of this.#fields) values.push(keep(field, (row as Record<string, unknown>)[field.name]))
  }

  /** Only what is given and known; undefined when that is nothing, so that no empty UPDATE is made. */
  change(change: Partial<Row>): Partial<Columns<Row>> | undefined {
    const columns: Record<string, unknown> = {}
    let some = false
    for (const [name, value] of Object.entries(change)) {
      const field = this.#byName.get(name)
      if (field === undefined || value === undefined) continue
      columns[field.column] = keep(field, value)
      some = true
    }
    return some ? (columns as Partial<Columns<Row>>) : undefined
  }

  decode(columns: object): Row {
    return decode(this.#fields, columns) as Row
  }

  /** This table's columns in a statement that joins it to others: each is named after its table. */
  within(table: string): JoinedCodec<Row> {
    const nameOf = (name: keyof Row & string) => `${table}_${snakeCase(name)}`
    const fields = this.#fields.map((field) => ({ ...field, column: `${table}_${field.column}` }))
    return {
      columns: this.#fields.map(({ column }) => sql.ref(`${table}.${column}`).as(`${table}_${column}`)),
      nameOf,
      decode: (columns) => decode(fields, columns) as Row,
    }
  }
}

export interface JoinedCodec<Row> {
  readonly columns: readonly AliasedRawBuilder<unknown, string>[]
  readonly nameOf: (name: keyof Row & string) => string
  decode(columns: object): Row
}

function decode(fields: readonly Field[], columns: object): object {
  const row: Record<string, unknown> = {}
  for (const { name, column, form } of fields) {
    const value = (columns as Record<string, unknown>)[column]
    if (form === 'json') row[name] = JSON.parse(value as string)
    else row[name] = form === 'flag' ? value === 1 : value
  }
  return row
}

function keep(field: Field, value: unknown): unknown {
  if (field.form === 'json') return JSON.stringify(value)
  return field.form === 'flag' ? (value === true ? 1 : 0) : value
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}
