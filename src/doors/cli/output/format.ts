import { RegentError } from '../../../kernel/errors.ts'
import { type Column, layout } from './table.ts'
import type { Terminal } from './terminal.ts'

export const formats = ['table', 'wide', 'json', 'yaml', 'name'] as const
export type Format = (typeof formats)[number]

export interface FormatOptions {
  readonly output?: string
  readonly json?: boolean
}

export function formatOf({ output, json }: FormatOptions): Format {
  if (json) return 'json'
  const found = formats.find((format) => format === (output ?? 'table'))
  if (found) return found
  throw new RegentError('BAD_REQUEST', `-o takes ${formats.join(', ')}, not '${output}'`)
}

/** What is for programs: JSON, YAML or names. */
export const isForPrograms = (format: Format): boolean => format === 'json' || format === 'yaml' || format === 'name'

export async function printValue(terminal: Terminal, format: 'json' | 'yaml', value: unknown): Promise<void> {
  if (format === 'json') terminal.out(JSON.stringify(value, null, 2))
  else terminal.out((await import('yaml')).stringify(value).trimEnd())
}

export interface Listing<Row> {
  readonly rows: readonly Row[]
  readonly columns: readonly Column<Row>[]
  /** More columns for `-o wide`. */
  readonly wide?: readonly Column<Row>[]
  readonly name: (row: Row) => string
  /** Said on stderr instead of an empty table. */
  readonly empty: string
}

/** One listing in any format; an empty one is `[]`, nothing, or a sentence on stderr. */
export async function printListing<Row>(terminal: Terminal, format: Format, listing: Listing<Row>): Promise<void> {
  const { rows, columns, wide = [], name } = listing
  if (format === 'json' || format === 'yaml') return printValue(terminal, format, rows)
  if (format === 'name') {
    for (const row of rows) terminal.out(name(row))
    return
  }
  if (rows.length === 0) return terminal.err(listing.empty)
  const shown = format === 'wide' ? [...columns, ...wide] : columns
  for (const line of layout(rows, shown, format === 'wide' ? Number.POSITIVE_INFINITY : terminal.width, terminal.paint)) terminal.out(line)
}
