import type { Command } from 'commander'
import type { WorkerView } from '../../../contract/workers.ts'
import { RegentError } from '../../../kernel/errors.ts'
import type { Cli } from '../cli.ts'
import { EXIT } from '../failure.ts'
import { durationOption, withFormat } from '../options.ts'
import { type FormatOptions, formatOf, printValue } from '../output/format.ts'
import { cleanLines } from '../output/text.ts'
import { withProgress } from '../progress.ts'
import { type CrewOptions, namespaceOf, withNamespace } from '../workers/crew.ts'
import { setExitCode, stayingAlive } from '../workers/outcome.ts'
import { headline } from '../workers/views.ts'
import { waitForWorkers } from '../workers/waiting.ts'

interface Options extends FormatOptions, CrewOptions {
  readonly any?: boolean
  readonly all?: boolean
  readonly timeout?: number
}

export function configure(command: Command, cli: Cli): void {
  withNamespace(withFormat(command, ['table', 'json', 'yaml', 'name']))
    .argument('[ID...]', 'these workers, all of them; ids or unique prefixes')
    .option('--any', 'the first that ends, and each only once (the default without ids)')
    .option('--all', 'all of this folder')
    .option('--timeout <DURATION>', 'how long to wait at most, such as 30s; default for ever', durationOption)
    .addHelpText(
      'after',
      '\nExit codes: 0 completed, 1 one of them failed or was cancelled, 4 there is none to wait for, 124 not in time.\n' +
        'What has ended meanwhile is told at once. One after the other: while regent wait; do :; done',
    )
    .action(async (ids: string[], options: Options) => {
      if (options.all && (options.any || ids.length > 0)) throw new RegentError('BAD_REQUEST', '--all goes with neither --any nor ids')
      await wait(cli, ids, options)
    })
}

async function wait(cli: Cli, ids: readonly string[], options: Options): Promise<void> {
  const format = formatOf(options)
  const mode = options.all || (ids.length > 0 && !options.any) ? 'all' : 'first'
  const whom = ids.length > 0 ? { workers: ids } : { namespace: namespaceOf(cli, options) }
  const label = ids.length === 1 ? `worker ${ids[0]}` : 'workers'
  const waiting = waitForWorkers(cli, { ...whom, mode, timeout: options.timeout })
  const { workers, isNone } = await stayingAlive(cli, ids, withProgress(cli, `waiting for ${label}`, waiting))
  if (format === 'json' || format === 'yaml') await printValue(cli.terminal, format, workers)
  else if (format === 'name') for (const { id } of workers) cli.terminal.out(id)
  else for (const [index, worker] of workers.entries()) tell(cli, worker, index)
  if (isNone) {
    cli.note('no worker is active here, and none has ended that was not told')
    if (mode === 'first') cli.exitCode = EXIT.notFound
  } else setExitCode(cli, workers)
}

function tell(cli: Cli, worker: WorkerView, index: number): void {
  const { terminal } = cli
  const result = worker.result ? `\n${cleanLines(worker.result).trimEnd()}` : ''
  terminal.out(`${index > 0 ? '\n' : ''}${headline(worker, terminal.paint)}${result}`)
  if (worker.state === 'failed' && worker.error_hint !== null) cli.note(`hint: ${cleanLines(worker.error_hint)}`)
}
