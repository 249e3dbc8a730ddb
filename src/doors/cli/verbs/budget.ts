import type { Command } from 'commander'
import type { Output } from '../../../contract/operations.ts'
import type { Cli } from '../cli.ts'
import { withFormat } from '../options.ts'
import { type FormatOptions, formatOf, printValue } from '../output/format.ts'
import { type Column, layout } from '../output/table.ts'
import { duration } from '../output/text.ts'

type Budget = Output<'workers.budget'>

interface Row {
  readonly what: string
  readonly spent: number
  readonly limit: number | null
  readonly text: (value: number) => string
}

/** From here on it is near. */
const NEAR = 0.8

const columns: readonly Column<Row>[] = [
  { title: 'WHAT', value: ({ what }) => what },
  { title: 'SPENT', value: ({ spent, text }) => text(spent), align: 'right' },
  { title: 'LIMIT', value: ({ limit, text }) => (limit === null ? '-' : text(limit)), align: 'right' },
  {
    title: 'USED',
    value: ({ spent, limit }) => (limit === null ? '-' : `${Math.round((spent / limit) * 100)}%`),
    align: 'right',
    colour: ({ spent, limit }) => (limit === null || spent < limit * NEAR ? undefined : spent < limit ? 'yellow' : 'red'),
  },
]

export function configure(command: Command, cli: Cli): void {
  withFormat(command, ['table', 'json', 'yaml'])
    .option('--owner <USER>', 'of this user; default you')
    .addHelpText('after', '\nOf the last 24 hours. The limits are the settings workers.owner_…; `regent config show` tells them.')
    .action(async ({ owner, ...options }: FormatOptions & { owner?: string }) => {
      const format = formatOf(options)
      const client = await cli.client()
      const budget = await client.call('workers.budget', owner === undefined ? {} : { owner }, { signal: cli.signal })
      if (format !== 'table') return printValue(cli.terminal, format === 'yaml' ? 'yaml' : 'json', budget)
      for (const line of layout(rowsOf(budget), columns, cli.terminal.width, cli.terminal.paint)) cli.terminal.out(line)
    })
}

const rowsOf = ({ spent, limits }: Budget): Row[] => [
  { what: 'money', spent: spent.usd, limit: limits.usd, text: (usd) => `$${usd.toFixed(2)}` },
  { what: 'tokens', spent: spent.tokens, limit: limits.tokens, text: String },
  { what: 'running', spent: spent.seconds, limit: limits.seconds, text: (seconds) => duration(seconds * 1000) },
]
