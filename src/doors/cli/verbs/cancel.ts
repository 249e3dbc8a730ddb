import type { Command } from 'commander'
import type { Client } from '../../../client/client.ts'
import type { WorkerView } from '../../../contract/workers.ts'
import { RegentError } from '../../../kernel/errors.ts'
import type { Cli } from '../cli.ts'
import { exitCodeOf, failureText, isInterrupt } from '../failure.ts'
import { durationOption, withFormat } from '../options.ts'
import { type FormatOptions, formatOf, printValue } from '../output/format.ts'
import { inParallel } from '../parallel.ts'
import { withProgress } from '../progress.ts'
import { type CrewOptions, crewFilter, withNamespaces } from '../workers/crew.ts'
import { headline, listWorkers } from '../workers/views.ts'

interface Options extends FormatOptions, CrewOptions {
  readonly wait?: boolean
  readonly timeout?: number
}

/** Longer than a program has that does not want to end. */
const PATIENCE_MS = 60_000

export function configure(command: Command, cli: Cli): void {
  withNamespaces(withFormat(command, ['table', 'json', 'yaml', 'name']))
    .argument('<ID...>', 'ids or unique prefixes of workers; all: the active ones of this folder')
    .option('--wait', 'return when they have ended (the default)')
    .option('--no-wait', 'return when the order is accepted')
    .option('--timeout <DURATION>', 'how long to wait at most; default 1m', durationOption)
    .addHelpText('after', '\nCancelling one that has ended changes nothing and succeeds. A race is cancelled with: regent races cancel ID')
    .action(async (words: string[], options: Options) => {
      const format = formatOf(options)
      const client = await cli.client()
      const ids = await targetsOf(cli, client, words, options)
      const isWaiting = options.wait ?? true
      const waiting = { wait: isWaiting, timeout: options.timeout ?? PATIENCE_MS }
      const asked = inParallel(ids, (worker) => client.call('workers.cancel', { worker, ...waiting }, { signal: cli.signal }))
      const settled = await withProgress(cli, `cancelling ${ids.length === 1 ? ids[0] : `${ids.length} workers`}`, asked)
      const done = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
      const failures = settled.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
      if (format === 'json' || format === 'yaml') await printValue(cli.terminal, format, done)
      else for (const worker of done) cli.terminal.out(format === 'name' ? worker.id : headline(worker, cli.terminal.paint))
      if (ids.length === 0) cli.note('no workers are active here')
      if (isWaiting) failures.push(...done.filter(isStillOpen).map(tooSlow))
      for (const failure of failures) if (!isInterrupt(failure)) cli.note(failureText(failure, cli.terminal.paintErr))
      if (failures.length > 0) cli.exitCode = exitCodeOf(failures[0])
    })
}

async function targetsOf(cli: Cli, client: Client, words: readonly string[], options: Options): Promise<readonly string[]> {
  if (!words.includes('all')) return [...new Set(words)]
  const active = await listWorkers(client, { ...crewFilter(cli, options), states: ['queued', 'running', 'limited'] }, cli.signal)
  return active.map(({ id }) => id)
}

const isStillOpen = ({ state }: WorkerView): boolean => state === 'running' || state === 'queued' || state === 'limited'

const tooSlow = ({ id }: WorkerView): RegentError =>
  new RegentError('TIMED_OUT', `worker ${id} has not ended yet`, { hint: 'it will; see: regent workers' })
