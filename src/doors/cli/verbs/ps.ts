import type { Command } from 'commander'
import type { AgentView } from '../../../contract/agents.ts'
import { agentColumns, fullName, listAgents, wideColumns } from '../agents.ts'
import type { Cli } from '../cli.ts'
import { EXIT } from '../failure.ts'
import { withFormat } from '../options.ts'
import { type Format, type FormatOptions, formatOf, isForPrograms, printListing } from '../output/format.ts'
import { filterAgents } from '../targets.ts'

interface Options extends FormatOptions {
  owner?: string
  quiet?: boolean
  watch?: boolean
}

export function configure(command: Command, cli: Cli): void {
  withFormat(command)
    .argument('[AGENT...]', 'only these: names, owner/name, ids, globs')
    .option('--owner <USER>', 'only agents of this user')
    .option('-q, --quiet', 'ids only')
    .option('-w, --watch', 'show again whenever something changes')
    .addHelpText('after', '\nCalled as `regent status AGENT…` it exits with 3 when one of them does not run.')
    .action(async (words: string[], options: Options) => {
      const format = formatOf(options)
      if (options.watch)
        return (await import('../watch.ts')).watch(cli, async (client) =>
          print(cli, await find(cli, words, options, client), format, options),
        )
      const agents = await find(cli, words, options)
      await print(cli, agents, format, options)
      const isStatus = command.parent?.args[0] === 'status'
      if (isStatus && words.length > 0 && agents.some(({ state }) => state !== 'RUNNING' && state !== 'STARTING'))
        cli.exitCode = EXIT.notRunning
    })
}

async function find(cli: Cli, words: readonly string[], { owner }: Options, client = cli.client()): Promise<AgentView[]> {
  return filterAgents(await listAgents(await client, owner, cli.signal), words)
}

async function print(cli: Cli, agents: readonly AgentView[], format: Format, { quiet }: Options): Promise<void> {
  if (quiet && !isForPrograms(format)) {
    for (const { id } of agents) cli.terminal.out(id)
    return
  }
  await printListing(cli.terminal, format, {
    rows: agents,
    columns: agentColumns,
    wide: wideColumns,
    name: fullName,
    empty: 'no agents yet: `regent create -f FILE`, or `regent run NAME -- COMMAND`',
  })
}
