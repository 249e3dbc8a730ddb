import type { Command } from 'commander'
import type { Cli } from '../cli.ts'
import { withFormat } from '../options.ts'
import { type FormatOptions, formatOf, printValue } from '../output/format.ts'

export function configure(command: Command, cli: Cli): void {
  withFormat(command, ['table', 'json', 'yaml']).action(async (options: FormatOptions) => {
    const format = formatOf(options)
    const version = await cli.context.version()
    const server = await cli
      .client()
      .then((client) => client.call('system.status', {}, { signal: cli.signal }))
      .then((status) => status.version)
      .catch(() => null)
    if (format !== 'table')
      return printValue(cli.terminal, format === 'yaml' ? 'yaml' : 'json', { version, node: process.versions.node, server })
    cli.terminal.out(`regent ${version} (Node.js ${process.versions.node})`)
    cli.terminal.out(server === null ? 'no server is running' : `server ${server}`)
  })
}
