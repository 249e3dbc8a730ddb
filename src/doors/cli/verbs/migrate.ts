import type { Command } from 'commander'
import type { Cli } from '../cli.ts'
import { withFormat } from '../options.ts'
import { type FormatOptions, formatOf, printValue } from '../output/format.ts'
import { plural } from '../output/text.ts'

interface Options extends FormatOptions {
  to: string
}

export function configure(command: Command, cli: Cli): void {
  withFormat(command, ['table', 'json', 'yaml'])
    .requiredOption('--to <URL>', 'postgres://USER:PASSWORD@HOST:5432/DATABASE, or sqlite:FILE; must hold nothing yet')
    .addHelpText(
      'after',
      '\nCarries agents, messages, events, approvals and tokens over while no Regent runs; agents may go on. All of it or nothing: the\n' +
        'database that is there stays as it is, and is used until the configuration names the other one.',
    )
    .action(async ({ to, ...options }: Options) => {
      const format = formatOf(options)
      const tools = await cli.context.offline(cli.flags())
      let told = ''
      const report = await tools.migrate(to, (table, rows) => {
        // One line for each table, and for each 10,000 rows of a large one.
        const line = `${table} ${Math.floor(rows / 10_000)}`
        if (line !== told) cli.note(`copying ${table}${rows < 10_000 ? '' : `: ${rows} rows`}`)
        told = line
      })
      const setting = hidden(report.url)
      if (format !== 'table') {
        const { from, to: place, tables } = report
        return printValue(cli.terminal, format === 'yaml' ? 'yaml' : 'json', { home: tools.home, from, to: place, tables, set: setting })
      }
      const rows = Object.values(report.tables).reduce((sum, one) => sum + one, 0)
      cli.terminal.out(
        `${plural(rows, 'row')} copied from ${report.from} to ${report.to}, ${plural(report.tables.agents ?? 0, 'agent')} among them`,
      )
      cli.terminal.out(`set REGENT_DATABASE_URL='${setting}', or database_url = "${setting}" in regent.toml; until then nothing changes`)
      cli.note(`${report.from} stays as it was: remove it once all is well`)
      cli.next('regent serve')
    })
}

const hidden = (url: string): string => url.replace(/(\/\/[^:@/?]*):[^@/?]*@/, '$1:***@')
