import type { Command } from 'commander'
import type { Client } from '../../../client/client.ts'
import type { Output } from '../../../contract/operations.ts'
import type { RaceView } from '../../../contract/workers.ts'
import type { Cli } from '../cli.ts'
import { withFormat } from '../options.ts'
import { type Format, type FormatOptions, formatOf, printListing, printValue } from '../output/format.ts'
import { layout } from '../output/table.ts'
import { type CrewOptions, crewFilter, withNamespaces } from '../workers/crew.ts'
import { attemptColumns, isRaceOver, raceColumns, raceHeadline, resultLines, wideRaceColumns } from '../workers/races.ts'

interface Options extends FormatOptions, CrewOptions {
  readonly running?: boolean
}

export function configure(command: Command, cli: Cli): void {
  configureList(command.command('list', { isDefault: true }).alias('ls').description('list races, newest first'), cli)
  withFormat(command.command('show').description('show a race with its attempts'), ['table', 'json', 'yaml'])
    .argument('<ID>', 'id or unique prefix')
    .action(async (race: string, options: FormatOptions) => {
      const client = await cli.client()
      await tell(cli, await client.call('races.get', { race }, { signal: cli.signal }), formatOf(options))
    })
  withFormat(command.command('cancel').description('end a race with all its attempts'), ['table', 'json', 'yaml'])
    .argument('<ID>', 'id or unique prefix')
    .action(async (race: string, options: FormatOptions) => {
      const format = formatOf(options)
      const client = await cli.client()
      const cancelled = await client.call('races.cancel', { race }, { signal: cli.signal })
      if (format === 'table') cli.terminal.out(raceHeadline(cancelled, cli.terminal.paint))
      else await printValue(cli.terminal, format === 'yaml' ? 'yaml' : 'json', cancelled)
    })
}

function configureList(command: Command, cli: Cli): void {
  withNamespaces(withFormat(command))
    .option('--running', 'only those that are not decided')
    .action(async (options: Options) => {
      const format = formatOf(options)
      const filter = { ...crewFilter(cli, options), ...(options.running && { states: ['running', 'judging'] as const }) }
      await printListing(cli.terminal, format, {
        rows: await listRaces(await cli.client(), filter, cli.signal),
        columns: raceColumns,
        wide: wideRaceColumns,
        name: ({ id }) => id,
        empty: "no races here: `regent race 'PROMPT'`; -A looks into every namespace",
      })
    })
}

async function listRaces(
  client: Client,
  filter: { readonly namespace?: string; readonly states?: readonly string[] },
  signal: AbortSignal,
): Promise<RaceView[]> {
  const races: RaceView[] = []
  for (let cursor: string | undefined; ; ) {
    const page: Output<'races.list'> = await client.call('races.list', { limit: 100, ...filter, ...(cursor ? { cursor } : {}) }, { signal })
    races.push(...page.races)
    if (page.next_cursor === null || page.next_cursor === cursor) return races
    cursor = page.next_cursor
  }
}

async function tell(cli: Cli, race: RaceView, format: Format): Promise<void> {
  const { terminal } = cli
  if (format !== 'table') return printValue(terminal, format === 'yaml' ? 'yaml' : 'json', race)
  terminal.out(raceHeadline(race, terminal.paint))
  for (const line of layout(race.attempts, attemptColumns, terminal.width, terminal.paint)) terminal.out(line)
  if (isRaceOver(race)) for (const line of resultLines(race, terminal.paint)) terminal.out(line)
}
