import type { Command } from 'commander'
import type { WorkerView } from '../../../contract/workers.ts'
import type { Cli } from '../cli.ts'
import { confirm } from '../confirm.ts'
import { EXIT, exitCodeOf, failureText, isInterrupt } from '../failure.ts'
import { withFormat } from '../options.ts'
import { type FormatOptions, formatOf, printValue } from '../output/format.ts'
import { plural } from '../output/text.ts'
import { inParallel } from '../parallel.ts'
import { type CrewOptions, crewFilter, withNamespaces } from './crew.ts'
import { isOpen, listWorkers, shortId } from './views.ts'

interface Options extends FormatOptions, CrewOptions {
  readonly yes?: boolean
}

export function configureRemove(command: Command, cli: Cli): void {
  withNamespaces(withFormat(command, ['table', 'json', 'yaml', 'name']))
    .argument('<ID...>', 'ids or unique prefixes; all: those of this folder that have ended')
    .option('-y, --yes', 'do not ask before several, or a worktree, are removed')
    .addHelpText('after', '\nIts output and its worktree go with it; a branch with commits of its own stays.')
    .action(async (words: string[], options: Options) => {
      const format = formatOf(options)
      const client = await cli.client()
      const isAll = words.includes('all')
      const found = isAll
        ? (await listWorkers(client, crewFilter(cli, options), cli.signal)).filter((worker) => !isOpen(worker))
        : await Promise.all(words.map((worker) => client.call('workers.get', { worker }, { signal: cli.signal })))
      if (
        (isAll || found.length > 1 || found.some(({ branch }) => branch !== null)) &&
        !options.yes &&
        !(await confirm(cli, questionFor(found)))
      ) {
        cli.note('nothing was removed')
        cli.exitCode = EXIT.failed
        return
      }
      const settled = await inParallel(found, ({ id }) => client.call('workers.delete', { worker: id }, { signal: cli.signal }))
      const done = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
      const failures = settled.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
      if (format === 'json' || format === 'yaml') await printValue(cli.terminal, format, done)
      else for (const { id } of done) cli.terminal.out(format === 'name' ? id : `${shortId(id)}  removed`)
      if (found.length === 0) cli.note('no workers that have ended')
      for (const failure of failures) if (!isInterrupt(failure)) cli.note(failureText(failure, cli.terminal.paintErr))
      if (failures.length > 0) cli.exitCode = exitCodeOf(failures[0])
    })
}

function questionFor(workers: readonly WorkerView[]): string {
  const worktrees = workers.filter(({ branch }) => branch !== null).length
  const withThem =
    worktrees === 0 ? '' : ` with ${worktrees === 1 ? 'its worktree' : `${worktrees} worktrees`}, and what is not committed there`
  return `Remove ${workers.length === 1 ? `worker ${shortId(workers[0]?.id ?? '')}` : plural(workers.length, 'worker')}${withThem}?`
}
