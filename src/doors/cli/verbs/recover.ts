import type { Command } from 'commander'
import type { Cli } from '../cli.ts'
import { confirm } from '../confirm.ts'
import type { RecoverReport } from '../context.ts'
import { withFormat } from '../options.ts'
import { type FormatOptions, formatOf, printValue } from '../output/format.ts'
import { tellTakenUp } from '../taken-up.ts'

export function configure(command: Command, cli: Cli): void {
  withFormat(command, ['table', 'json', 'yaml'])
    .option('-y, --yes', 'do not ask')
    .addHelpText(
      'after',
      '\nFor a database that is damaged or gone: keeps it aside and makes the agents anew from their runs, which go on. Messages,\n' +
        'approvals, events, tokens, workers and races are lost with the database; where there is a backup, `regent restore` is better.',
    )
    .action(async ({ yes = false, ...options }: FormatOptions & { yes?: boolean }) => {
      const format = formatOf(options)
      const tools = await cli.context.offline(cli.flags())
      if (!yes && !(await confirm(cli, `Make the database of ${tools.home} anew where it cannot be used?`))) return
      const report = await tools.recover()
      const { found, agents, left, traces } = report
      if (format !== 'table')
        return printValue(cli.terminal, format === 'yaml' ? 'yaml' : 'json', { home: tools.home, found, agents, left, traces })
      tell(cli, report)
    })
}

function tell(cli: Cli, report: RecoverReport): void {
  const { found, agents, traces } = report
  if (found.state === 'damaged') cli.terminal.out(`${found.problem}\nkept as ${found.aside}; a new database is in its place`)
  else cli.terminal.out(found.state === 'missing' ? 'there was no database; there is a new one' : 'the database is sound')
  tellTakenUp(cli, report)
  if (agents.length === 0) cli.terminal.out('no run was found that the database did not know')
  if (found.state === 'sound') return
  if (traces.length > 0)
    cli.note(
      `${traces.length} ${traces.length === 1 ? 'agent or worker that was not found is' : 'agents or workers that were not found are'} lost; secrets or journals remain: ${traces.join(', ')}`,
    )
  cli.note('messages, approvals, events, tokens, workers and races are not recovered; the token of the home is as it was')
  cli.next('regent serve')
}
