import type { Command } from 'commander'
import { Option } from 'commander'
import type { Client } from '../../../client/client.ts'
import type { ApprovalView } from '../../../contract/approvals.ts'
import { RegentError } from '../../../kernel/errors.ts'
import type { Cli } from '../cli.ts'
import { withFormat } from '../options.ts'
import { type FormatOptions, formatOf, isForPrograms, printListing, printValue } from '../output/format.ts'
import type { Column } from '../output/table.ts'
import { clean, duration } from '../output/text.ts'

type State = 'pending' | 'confirmed' | 'rejected' | 'all'

interface ListOptions extends FormatOptions {
  agent?: string
  worker?: string
  state: State
}

const columns: readonly Column<ApprovalView>[] = [
  { title: 'ID', value: ({ id }) => id.slice(0, 8) },
  { title: 'AGENT', value: ({ agent }) => agent, least: 12 },
  { title: 'TOOL', value: (approval) => toolOf(approval), least: 12 },
  { title: 'STATE', value: ({ state }) => state, colour: ({ state }) => (state === 'pending' ? 'yellow' : 'dim') },
  { title: 'LEFT', value: (approval) => left(approval), align: 'right' },
  { title: 'DEFAULT', value: (approval) => approval.default, dropAt: 1 },
  { title: 'ARGUMENTS', value: (approval) => JSON.stringify(approval.arguments), least: 20 },
]

/** A worker's CLI names its tools itself; an agent's are those of a server. */
const toolOf = ({ worker_id, server, tool }: ApprovalView): string => (worker_id === null ? `${server}.${tool}` : tool)

const left = ({ state, expires_at }: ApprovalView): string => (state === 'pending' ? duration(Math.max(0, expires_at - Date.now())) : '-')

export function configureList(command: Command, cli: Cli): void {
  withFormat(command)
    .option('--agent <AGENT>', 'only of this agent')
    .option('--worker <ID>', 'only of this worker')
    .addOption(new Option('--state <STATE>', 'which').choices(['pending', 'confirmed', 'rejected', 'all']).default('pending'))
    .action(async ({ agent, worker, state, ...options }: ListOptions) => {
      const format = formatOf(options)
      const client = await cli.client()
      const found = await client.call('approvals.list', { state, limit: 500, ...(agent ? { agent } : {}) }, { signal: cli.signal })
      const id = worker && (await client.call('workers.get', { worker }, { signal: cli.signal })).id
      const approvals = found.approvals.filter(({ worker_id }) => id === undefined || worker_id === id)
      const wide: Column<ApprovalView>[] = [
        { title: 'FULL ID', value: ({ id }) => id },
        { title: 'WORKER', value: ({ worker_id }) => worker_id ?? '-' },
        { title: 'BY', value: ({ answered_by }) => answered_by ?? '-' },
      ]
      await printListing(cli.terminal, format, {
        rows: approvals,
        columns,
        wide,
        name: ({ id }) => id,
        empty: 'nothing waits for an approval',
      })
      const [first] = approvals.filter((approval) => approval.state === 'pending')
      if (first && !isForPrograms(format)) cli.next(`regent approve ${first.id.slice(0, 8)}`, `regent reject ${first.id.slice(0, 8)}`)
    })
}

export const configureApprove = (command: Command, cli: Cli): void => configureAnswer(command, cli, 'approvals.approve')
export const configureReject = (command: Command, cli: Cli): void => configureAnswer(command, cli, 'approvals.reject')

function configureAnswer(command: Command, cli: Cli, operation: 'approvals.approve' | 'approvals.reject'): void {
  withFormat(command, ['table', 'json', 'yaml'])
    .argument('<ID...>', 'id or unique prefix, see `regent approvals`')
    .action(async (words: string[], options: FormatOptions) => {
      const format = formatOf(options)
      const client = await cli.client()
      const ids = await Promise.all(words.map((word) => fullId(cli, client, word)))
      const answered: ApprovalView[] = []
      for (const id of ids) {
        const approval = await client.call(operation, { id }, { signal: cli.signal })
        answered.push(approval)
        if (format === 'table')
          cli.terminal.out(`${approval.agent}  ${toolOf(approval)}  ${approval.state}  ${clean(JSON.stringify(approval.arguments))}`)
      }
      if (format !== 'table')
        await printValue(cli.terminal, format === 'yaml' ? 'yaml' : 'json', answered.length === 1 ? answered[0] : answered)
    })
}

/** Ids of another shape than a UUID's whole length are prefixes of pending approvals. */
async function fullId(cli: Cli, client: Client, word: string): Promise<string> {
  if (word.length >= 36) return word
  const { approvals } = await client.call('approvals.list', { state: 'all', limit: 500 }, { signal: cli.signal })
  const found = approvals.filter(({ id }) => id.startsWith(word))
  const pending = found.filter(({ state }) => state === 'pending')
  const [only] = pending.length > 0 ? pending : found
  if (pending.length > 1)
    throw new RegentError('AMBIGUOUS', `${word} is the start of ${pending.length} approvals`, { hint: 'give more characters of the id' })
  if (!only) throw new RegentError('NOT_FOUND', `there is no approval ${word}`, { hint: '`regent approvals` lists those that wait' })
  return only.id
}
