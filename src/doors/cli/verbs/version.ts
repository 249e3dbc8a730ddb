import type { Command } from 'commander'
import type { Cli } from '../cli.ts'

export function configure(command: Command, cli: Cli): void {
  command.option('--json', 'as JSON').action(async ({ json }: { json?: boolean }) => {
    const version = await cli.context.version()
    const server = await cli
      .client()
      .then((client) => client.call('system.status', {}, { signal: cli.signal }))
      .then((status) => status.version)
      .catch(() => null)
    if (json) return cli.terminal.out(JSON.stringify({ version, node: process.versions.node, server }))
    cli.terminal.out(`regent ${version} (Node.js ${process.versions.node})`)
    cli.terminal.out(server === null ? 'no server is running' : `server ${server}`)
  })
}
