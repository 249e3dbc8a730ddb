import type { Command } from 'commander'
import type { Client } from '../../../client/client.ts'
import { type WorkerState, workerStates } from '../../../contract/states.ts'
import type { WorkerView } from '../../../contract/workers.ts'
import { RegentError } from '../../../kernel/errors.ts'
import type { Cli } from '../cli.ts'
import { withFormat } from '../options.ts'
import { type Format, type FormatOptions, formatOf, isForPrograms, printListing } from '../output/format.ts'
import { type CrewOptions, crewFilter, withNamespaces } from '../workers/crew.ts'
import { listWorkers, wideWorkerColumns, workerColumns } from '../workers/views.ts'

interface Options extends FormatOptions, CrewOptions {
  readonly all?: boolean
  readonly state?: WorkerState[]
  readonly quiet?: boolean
  readonly watch?: boolean
}

export function configure(command: Command, cli: Cli): void {
  withNamespaces(withFormat(command))
    .option('-a, --all', 'also those whose end was told already')
    .option('--state <STATES>', 'only these, such as running,failed', statesOption)
    .option('-q, --quiet', 'ids only')
    .option('-w, --watch', 'show again whenever something changes')
    .action(async (options: Options) => {
      const format = formatOf(options)
      if (options.watch)
        return (await import('../watch.ts')).watch(cli, async (client) =>
          print(cli, await find(cli, options, await client), format, options),
        )
      const client = await cli.client()
      const workers = await find(cli, options, client)
      await print(cli, workers, format, options)
      if (workers.length === 0 && format === 'table') await tellOthers(cli, client, options)
    })
}

const find = (cli: Cli, options: Options, client: Client): Promise<WorkerView[]> =>
  listWorkers(client, { ...crewFilter(cli, options), ...filterOf(options) }, cli.signal)

/** Without `-a` those that are active, and those whose end nobody has been told. */
function filterOf({ all, state }: Options): { states?: WorkerState[]; claimed?: boolean } {
  if (state) return { states: state }
  return all ? {} : { claimed: false }
}

async function print(cli: Cli, workers: readonly WorkerView[], format: Format, { quiet }: Options): Promise<void> {
  if (quiet && !isForPrograms(format)) {
    for (const { id } of workers) cli.terminal.out(id)
    return
  }
  await printListing(cli.terminal, format, {
    rows: workers,
    columns: workerColumns,
    wide: wideWorkerColumns,
    name: ({ id }) => id,
    empty: "no workers here: `regent worker run 'PROMPT'`",
  })
}

/** Nobody should take an empty list for an idle machine. */
async function tellOthers(cli: Cli, client: Client, { allNamespaces, all, state }: Options): Promise<void> {
  if (allNamespaces) return
  const { workers } = await client.call(
    'workers.list',
    { ...filterOf({ ...(all && { all }), ...(state && { state }) }), limit: 1 },
    { signal: cli.signal },
  )
  if (workers.length > 0) cli.note('there are others in other namespaces: `regent workers -A`')
}

function statesOption(given: string, before: readonly WorkerState[] = []): WorkerState[] {
  const found = given.split(',').map((word) => {
    const state = workerStates.find((one) => one === word.trim())
    if (state) return state
    throw new RegentError('BAD_REQUEST', `there is no state '${word}'`, { hint: `there are: ${workerStates.join(', ')}` })
  })
  return [...before, ...found]
}
