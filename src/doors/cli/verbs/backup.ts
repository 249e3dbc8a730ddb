import { resolve } from 'node:path'
import type { Command } from 'commander'
import { RegentError } from '../../../kernel/errors.ts'
import type { Cli } from '../cli.ts'
import { withFormat } from '../options.ts'
import { type FormatOptions, formatOf, printValue } from '../output/format.ts'
import { plural, size } from '../output/text.ts'
import { withProgress } from '../progress.ts'

interface Options extends FormatOptions {
  withLogs?: boolean
}

interface Made {
  readonly file: string
  readonly bytes: number
  /** Undefined where no Regent runs. */
  readonly agents?: number
}

export function configure(command: Command, cli: Cli): void {
  withFormat(command, ['table', 'json', 'yaml', 'name'])
    .argument('<FILE>', 'such as regent.tar.gz; on the machine of the Regent, must not be there yet')
    .option('--with-logs', 'with what agents printed')
    .addHelpText(
      'after',
      '\nHolds the database, secrets, tokens and what agents remember: keep it as you keep passwords. The project is not in it.',
    )
    .action(async (name: string, { withLogs: logs = false, ...options }: Options) => {
      const format = formatOf(options)
      const file = resolve(cli.context.cwd, name)
      const made = await withProgress(cli, `writing ${name}`, make(cli, file, logs))
      if (format === 'json' || format === 'yaml') return printValue(cli.terminal, format, made)
      const agents = made.agents === undefined ? '' : `  ${plural(made.agents, 'agent')}`
      cli.terminal.out(format === 'name' ? made.file : `${made.file}  ${size(made.bytes)}${agents}`)
      cli.next(`regent restore ${name} --home DIR`)
    })
}

/** By the Regent that runs; where none does, by this process. */
async function make(cli: Cli, file: string, logs: boolean): Promise<Made> {
  try {
    const client = await cli.client()
    return await client.call('system.backup', { file, logs }, { signal: cli.signal })
  } catch (error) {
    if (!(error instanceof RegentError) || error.details.what !== 'server') throw error
  }
  const tools = await cli.context.offline(cli.flags())
  return { file, ...(await tools.backup(file, { logs })) }
}
