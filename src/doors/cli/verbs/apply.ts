import type { Command } from 'commander'
import { inFile, readAgents } from '../agent-file.ts'
import { fullName } from '../agents.ts'
import type { Cli } from '../cli.ts'
import { withFormat } from '../options.ts'
import { type FormatOptions, formatOf, printValue } from '../output/format.ts'
import { withProgress } from '../progress.ts'
import { readInput } from '../read-input.ts'
import type { NewAgentInput } from './create.ts'

interface Options extends FormatOptions {
  file: string
  owner?: string
}

export function configure(command: Command, cli: Cli): void {
  withFormat(command, ['table', 'json', 'yaml', 'name'])
    .requiredOption('-f, --file <FILE>', 'JSON or YAML, one agent or several; - for stdin')
    .option('--owner <USER>', 'whose it is, where the file names nobody')
    .addHelpText('after', '\nA running agent goes on as it is; the change takes effect at its next start.')
    .action(async ({ file, owner, ...options }: Options) => {
      const format = formatOf(options)
      const source = file === '-' ? 'stdin' : file
      const agents = await readAgents(await readInput(file, cli.context.cwd), source)
      const client = await cli.client()
      const applied = []
      for (const written of agents) {
        const agent = { ...(owner === undefined ? {} : { owner }), ...written } as unknown as NewAgentInput
        const work = client.call('agents.apply', { agent }, { signal: cli.signal })
        const result = await withProgress(cli, `applying ${written.name}`, work).catch((error: unknown) => {
          throw inFile(error, source, written)
        })
        applied.push(result)
        const name = fullName(result.agent)
        if (format === 'name') cli.terminal.out(name)
        if (format !== 'table') continue
        cli.terminal.out(`${name}  ${result.outcome}`)
        for (const note of result.notes) cli.note(note)
        if (agents.length === 1 && result.outcome !== 'unchanged')
          cli.next(result.agent.running_revision === null ? `regent start ${name}` : `regent restart ${name}`)
      }
      if (format === 'json' || format === 'yaml') await printValue(cli.terminal, format, applied.length === 1 ? applied[0] : applied)
    })
}
