import type { Command } from 'commander'
import type { WorkerView } from '../../../contract/workers.ts'
import type { Cli } from '../cli.ts'
import { withFormat } from '../options.ts'
import { type FormatOptions, formatOf, printValue } from '../output/format.ts'
import type { Paint } from '../output/terminal.ts'
import { clean, cleanLines, duration, timeOf } from '../output/text.ts'
import { costOf, ranFor, workerColour } from './views.ts'

export function configureShow(command: Command, cli: Cli): void {
  withFormat(command, ['table', 'json', 'yaml', 'name'])
    .argument('<ID...>', 'ids or unique prefixes')
    .action(async (words: string[], options: FormatOptions) => {
      const format = formatOf(options)
      const client = await cli.client()
      const workers = await Promise.all(words.map((worker) => client.call('workers.get', { worker }, { signal: cli.signal })))
      if (format === 'name') return workers.forEach(({ id }) => void cli.terminal.out(id))
      if (format === 'json' || format === 'yaml') return printValue(cli.terminal, format, workers.length === 1 ? workers[0] : workers)
      cli.terminal.out(workers.map((worker) => describe(worker, cli.terminal.paint).join('\n')).join('\n\n'))
    })
}

function describe(worker: WorkerView, paint: Paint): string[] {
  const lines: [string, string | number | null][] = [
    ['id', worker.id],
    ['label', worker.label],
    ['agent', worker.model === null ? worker.agent : `${worker.agent}, ${worker.model}`],
    ['state', `${paint(workerColour(worker.state), worker.state)}: ${clean(worker.reason)}`],
    ['goes on', worker.retry_at === null ? null : timeOf(worker.retry_at)],
    ['asks', worker.pending_permissions === 0 ? null : `${worker.pending_permissions} waiting: regent approvals`],
    ['failure', worker.failure],
    ['hint', worker.error_hint],
    ['exit', worker.exit_code],
    ['turn', worker.turn],
    ['owner', `${worker.owner}, namespace ${worker.namespace}`],
    ['priority', worker.priority === 0 ? null : worker.priority],
    ['race', worker.race],
    ['folder', worker.cwd],
    ['branch', worker.branch],
    ['session', worker.session_id],
    ['process', worker.pid],
    ['created', timeOf(worker.created_at)],
    ['ran', worker.started_at === null ? null : `${duration(ranFor(worker))} of at most ${duration(worker.timeout * 1000)} a turn`],
    ['used', usedBy(worker)],
    ['budget', budgetOf(worker)],
    ['output', worker.output_file],
    ['told', worker.claimed ? 'yes' : null],
  ]
  const facts = lines
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${`${name}:`.padEnd(10)}${typeof value === 'string' && name !== 'state' ? clean(value) : value}`)
  const texts = [`prompt:\n${indent(worker.prompt)}`, ...(worker.result ? [`result:\n${indent(worker.result)}`] : [])]
  return [...facts, ...texts]
}

const indent = (text: string): string => cleanLines(text).trimEnd().replaceAll(/^/gm, '  ')

function usedBy(worker: WorkerView): string | null {
  const { input_tokens, output_tokens } = worker.usage
  const parts = [
    input_tokens + output_tokens === 0 ? '' : `${input_tokens} tokens in, ${output_tokens} out`,
    costOf(worker) === '-' ? '' : costOf(worker),
  ].filter((part) => part !== '')
  return parts.length === 0 ? null : parts.join(', ')
}

function budgetOf({ budget: { usd, tokens, seconds } }: WorkerView): string | null {
  const parts = [
    usd === undefined ? '' : `$${usd}`,
    tokens === undefined ? '' : `${tokens} tokens`,
    seconds === undefined ? '' : `${duration(seconds * 1000)} of running`,
  ].filter((part) => part !== '')
  return parts.length === 0 ? null : parts.join(', ')
}
