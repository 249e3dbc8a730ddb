import type { Command } from 'commander'
import type { Cli } from '../cli.ts'
import type { ShownSetting } from '../context.ts'
import { withFormat } from '../options.ts'
import { type FormatOptions, formatOf, printListing, printValue } from '../output/format.ts'
import type { Column } from '../output/table.ts'

export function configure(command: Command, cli: Cli): void {
  withFormat(command.command('check').description('tell what is wrong with regent.toml and the variables'), ['table', 'json', 'yaml'])
    .addHelpText('after', '\nWhat is wrong goes to stderr, with 1.')
    .action(async (options: FormatOptions) => {
      const format = formatOf(options)
      const { settings, config } = (await cli.context.config()).inspect(cli.flags())
      const { warnings } = config
      if (format !== 'table') return printValue(cli.terminal, format === 'yaml' ? 'yaml' : 'json', { ok: true, warnings })
      for (const warning of warnings) cli.note(`warning: ${warning}`)
      const written = settings.filter(({ origin }) => origin !== 'default')
      cli.terminal.out(`the configuration is right (${written.length} of ${settings.length} settings are not the default)`)
    })
  withFormat(command.command('show').description('show what `regent serve` would run with'), ['table', 'json', 'yaml'])
    .option('--origin', 'and where each value comes from')
    .action(async ({ origin, ...options }: FormatOptions & { origin?: boolean }) => {
      const format = formatOf(options)
      const settings = (await cli.context.config())
        .inspect(cli.flags())
        .settings.map((setting) => ({ ...setting, shown: shownValue(setting) }))
      if (format === 'table') return printTable(cli, settings, origin ?? false)
      const value = settings.map(({ path, shown, origin: where }) => [path, origin ? { value: shown, origin: where } : shown])
      await printValue(cli.terminal, format === 'yaml' ? 'yaml' : 'json', Object.fromEntries(value))
    })
  command
    .command('schema')
    .description('print the JSON Schema of regent.toml')
    .action(async () => cli.terminal.out(JSON.stringify((await cli.context.config()).jsonSchema(), null, 2)))
}

type Shown = ShownSetting & { readonly shown: unknown }

async function printTable(cli: Cli, settings: readonly Shown[], withOrigin: boolean): Promise<void> {
  const columns: Column<Shown>[] = [
    { title: 'SETTING', value: ({ path }) => path },
    { title: 'VALUE', value: ({ shown }) => text(shown), least: 16 },
  ]
  const origin: Column<Shown> = {
    title: 'ORIGIN',
    value: (setting) => setting.origin,
    colour: (setting) => (setting.origin === 'default' ? 'dim' : 'cyan'),
  }
  await printListing(cli.terminal, 'table', {
    rows: settings,
    columns: withOrigin ? [...columns, origin] : columns,
    name: ({ path }) => path,
    empty: '',
  })
}

const text = (value: unknown): string => (value === null ? '-' : Array.isArray(value) ? value.join(', ') || '-' : String(value))

/** Secrets, and passwords within addresses, are never shown. */
function shownValue({ written, secret }: ShownSetting): unknown {
  if (written === undefined) return null
  if (secret) return '***'
  return typeof written === 'string' ? written.replace(/^([a-z][a-z0-9+.-]*:\/\/[^/@:]*):[^@]*@/i, '$1:***@') : written
}
