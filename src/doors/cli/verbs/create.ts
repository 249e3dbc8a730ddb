import { randomUUID } from 'node:crypto'
import type { Command } from 'commander'
import type { GivenInput } from '../../../client/client.ts'
import type { AgentView } from '../../../contract/agents.ts'
import { inFile, readAgents } from '../agent-file.ts'
import { fullName, stateColour } from '../agents.ts'
import type { Cli } from '../cli.ts'
import { withFormat } from '../options.ts'
import { type FormatOptions, formatOf, printValue } from '../output/format.ts'
import { withProgress } from '../progress.ts'
import { readInput } from '../read-input.ts'

interface Options extends FormatOptions {
  file: string
  owner?: string
  start?: boolean
}

export type NewAgentInput = GivenInput<'agents.create'>['agent']

export function configure(command: Command, cli: Cli): void {
  withFormat(command, ['table', 'json', 'yaml', 'name'])
    .requiredOption('-f, --file <FILE>', 'JSON or YAML, one agent or several; - for stdin')
    .option('--owner <USER>', 'whose it will be, where the file names nobody')
    .option('--start', 'start it at once')
    .addHelpText(
      'after',
      '\nTakes the native form (kind, name, …) and that of the manager API (username, name, subagents, json_config, initial_task).',
    )
    .action(async ({ file, owner, start = false, ...options }: Options) => {
      const format = formatOf(options)
      const name = file === '-' ? 'stdin' : file
      const agents = await readAgents(await readInput(file, cli.context.cwd), name)
      const client = await cli.client()
      const created = []
      for (const agent of agents) {
        const input = { agent: { ...(owner === undefined ? {} : { owner }), ...agent } as unknown as NewAgentInput, start }
        const work = client.call('agents.create', input, { key: randomUUID(), signal: cli.signal })
        const detail = await withProgress(cli, `creating ${agent.name}`, work).catch((error: unknown) => {
          throw inFile(error, name, agent)
        })
        created.push(detail)
        if (format === 'table') {
          cli.terminal.out(`${fullName(detail)}  created${start ? `  ${startedText(cli, detail)}` : ''}`)
          for (const note of detail.notes) cli.note(note)
        } else if (format === 'name') cli.terminal.out(fullName(detail))
      }
      if (format === 'json' || format === 'yaml') await printValue(cli.terminal, format, created.length === 1 ? created[0] : created)
      const [only] = created
      if (only && created.length === 1) cli.next(start ? `regent logs -f ${fullName(only)}` : `regent start ${fullName(only)}`)
    })
}

/** A start is accepted before there is a state that tells of it. */
function startedText(cli: Cli, { state, desired }: AgentView): string {
  if (state === 'STOPPED' && desired === 'running') return cli.terminal.paint('cyan', 'starting')
  return cli.terminal.paint(stateColour(state), state)
}
