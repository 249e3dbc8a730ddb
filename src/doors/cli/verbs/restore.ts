import { resolve } from 'node:path'
import type { Command } from 'commander'
import type { Cli } from '../cli.ts'
import { withFormat } from '../options.ts'
import { type FormatOptions, formatOf, printValue } from '../output/format.ts'
import { timeOf } from '../output/text.ts'
import { withProgress } from '../progress.ts'
import { tellTakenUp } from '../taken-up.ts'

interface Options extends FormatOptions {
  force?: boolean
}

export function configure(command: Command, cli: Cli): void {
  withFormat(command, ['table', 'json', 'yaml'])
    .argument('<FILE>', 'what `regent backup` wrote')
    .option('--force', 'keep the home that is there aside, as HOME.before-restore-DATE')
    .addHelpText(
      'after',
      '\nAgents that ran when the backup was made are started by the next `regent serve`. Those that still run in this home are taken up.',
    )
    .action(async (name: string, { force = false, ...options }: Options) => {
      const format = formatOf(options)
      const tools = await cli.context.offline(cli.flags())
      const report = await withProgress(cli, `restoring ${name}`, tools.restore(resolve(cli.context.cwd, name), force))
      const { manifest, aside, agents, left } = report
      if (format !== 'table') {
        const { regent, at, files } = manifest
        const value = { home: tools.home, regent, at, files: files.length, aside, agents, left }
        return printValue(cli.terminal, format === 'yaml' ? 'yaml' : 'json', value)
      }
      cli.terminal.out(`${tools.home}  restored from ${timeOf(manifest.at)}, Regent ${manifest.regent}`)
      if (aside !== null) cli.terminal.out(`the home that was there is now ${aside}`)
      tellTakenUp(cli, report)
      cli.next('regent serve')
    })
}
