import type { Command } from 'commander'
import type { Cli } from '../cli.ts'

export function configure(command: Command, cli: Cli): void {
  command.action(async () => {
    const server = await cli.endpoint().catch(() => undefined)
    if (server) cli.terminal.out(`HTTP API      ${server.url}/docs`)
    else cli.note('the HTTP API is described at /docs of a running Regent: `regent serve`')
    cli.terminal.out('Commands      docs/cli.md\nSettings      docs/configuration.md')
  })
}
