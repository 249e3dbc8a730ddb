import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { RegentError } from '../../../kernel/errors.ts'
import type { Cli } from '../cli.ts'

interface Options {
  readonly tools: 'workers' | 'agents' | 'all' | 'testbed'
  readonly namespace?: string
  readonly api?: 'readme' | 'state'
}

export function configure(command: Command, cli: Cli): void {
  command
    .addOption(new Option('--tools <SET>', 'which tools').choices(['workers', 'agents', 'testbed', 'all']).default('all'))
    .option('--namespace <DIR>', 'whose workers `wait` looks at; default the working directory')
    .addOption(new Option('--api <PROFILE>', 'what `wait` answers: one winner, or the state of all').choices(['readme', 'state']))
    .addHelpText(
      'after',
      '\nAn MCP server on stdin and stdout. It starts a Regent where none runs; workers live on when it ends.\n' +
        'Claude Code: claude mcp add agent-manager -- regent mcp --tools workers',
    )
    .action(async ({ tools, namespace, api }: Options) => {
      if (tools === 'testbed')
        throw new RegentError('NOT_YET', 'the testbed tools are not there yet', { hint: 'use --tools workers, agents or all' })
      const { cwd } = cli.context
      const asked = { tools, namespace: namespace ?? resolve(cwd), ...(api && { api }) }
      await cli.context.mcp(cli.flags(), asked)
    })
}
