import type { Command } from 'commander'
import { Option } from 'commander'
import type { Client } from '../../../client/client.ts'
import { brokerNames, type DeadLetterView } from '../../../contract/bus-operations.ts'
import { RegentError } from '../../../kernel/errors.ts'
import type { Cli } from '../cli.ts'
import { confirm } from '../confirm.ts'
import { countOption, withFormat } from '../options.ts'
import { type FormatOptions, formatOf, isForPrograms, printListing, printValue } from '../output/format.ts'
import type { Column } from '../output/table.ts'
import { clean, cleanLines, plural, timeOf } from '../output/text.ts'

type Place = (typeof brokerNames)[number] | 'inbox'

interface Which {
  broker?: Place
  topic?: string
  agent?: string
}

interface ActOptions extends Which {
  all?: boolean
  yes?: boolean
  json?: boolean
}

const where = ({ broker, agent, topic }: DeadLetterView): string => agent ?? (broker === 'bus' ? `${topic}` : `${broker} ${topic}`)

/** A broker that buried it by itself may not tell when. */
const when = (at: number): string => (at === 0 ? '-' : timeOf(at))

const columns: readonly Column<DeadLetterView>[] = [
  { title: 'ID', value: ({ id }) => id },
  { title: 'WHERE', value: where, least: 12 },
  { title: 'WHEN', value: ({ at }) => when(at) },
  { title: 'TRIES', value: ({ attempts }) => String(attempts), align: 'right' },
  { title: 'REASON', value: ({ reason }) => reason, least: 20, colour: () => 'yellow' },
  { title: 'MESSAGE', value: ({ body }) => body, least: 16, dropAt: 1 },
]

export function configureDead(command: Command, cli: Cli): void {
  const dead = command.command('dead').description('messages that were given up: list, show, requeue and drop them')
  configureList(dead, cli)
  configureShow(dead, cli)
  configureAct(dead, cli, 'requeue')
  configureAct(dead, cli, 'drop')
}

const withWhich = (command: Command): Command =>
  command
    .addOption(new Option('--broker <BROKER>', 'only at this broker; inbox: those that agents gave up').choices([...brokerNames, 'inbox']))
    .option('--topic <TOPIC>', 'only of this topic')
    .option('--agent <AGENT>', "only of this agent's inbox")

function configureList(command: Command, cli: Cli): void {
  withFormat(withWhich(command.command('list')))
    .description('list the newest of them')
    .option('-n, --limit <N>', 'at most so many', countOption, 100)
    .action(async ({ broker, topic, agent, limit, ...options }: FormatOptions & Which & { limit: number }) => {
      const format = formatOf(options)
      const letters = await lettersOf(cli, await cli.client(), { broker, topic, agent } as Which, limit)
      await printListing(cli.terminal, format, { rows: letters, columns, name: ({ id }) => id, empty: 'nothing was given up' })
      const [first] = letters
      if (first && !isForPrograms(format)) cli.next(`regent bus dead show ${first.id}`, `regent bus dead requeue ${first.id}`)
    })
}

async function lettersOf(cli: Cli, client: Client, { broker, topic, agent }: Which, limit: number): Promise<DeadLetterView[]> {
  const input = { ...(broker && { broker }), ...(topic && { topic }), ...(agent && { agent }), limit: Math.min(1000, Math.max(1, limit)) }
  const { letters, unreachable } = await client.call('bus.dead.list', input, { signal: cli.signal })
  for (const one of unreachable) cli.note(`${one.broker} could not be asked: ${clean(one.reason)}`)
  if (unreachable.length > 0) cli.exitCode = 1
  return letters
}

function configureShow(command: Command, cli: Cli): void {
  withFormat(command.command('show'), ['table', 'json', 'yaml'])
    .description('show one, whole')
    .argument('<ID>', 'as `regent bus dead list` tells it')
    .action(async (id: string, options: FormatOptions) => {
      const format = formatOf(options)
      const letter = await (await cli.client()).call('bus.dead.show', { id }, { signal: cli.signal })
      if (format !== 'table') return printValue(cli.terminal, format === 'yaml' ? 'yaml' : 'json', letter)
      const { terminal } = cli
      const rows: [string, string][] = [
        ['where', `${where(letter)}${letter.group ? `, group ${letter.group}` : ''}`],
        ['message', letter.message_id],
        ['given up', `${when(letter.at)} after ${plural(letter.attempts, 'try').replace('trys', 'tries')}`],
        ['reason', letter.reason],
        ...(letter.key === null ? [] : [['key', letter.key] as [string, string]]),
        ...Object.entries(letter.headers),
      ]
      for (const [name, value] of rows) terminal.out(`${terminal.paint('bold', clean(name).padEnd(8))}  ${clean(value)}`)
      terminal.out('')
      terminal.out(terminal.outIsTerminal ? cleanLines(letter.body) : letter.body)
      cli.next(`regent bus dead requeue ${id}`, `regent bus dead drop ${id}`)
    })
}

function configureAct(command: Command, cli: Cli, act: 'requeue' | 'drop'): void {
  const words = { requeue: 'have them delivered once more', drop: 'forget them' }
  const verb = withWhich(command.command(act))
    .description(words[act])
    .argument('[ID...]', 'as `regent bus dead list` tells them')
    .option('--all', 'all that the other options leave')
    .option('--json', 'one JSON object a line')
  if (act === 'drop') verb.option('-y, --yes', 'do not ask')
  verb.action(async (given: string[], { all, yes, json, ...which }: ActOptions) => {
    if (given.length > 0 === (all === true))
      throw new RegentError('BAD_REQUEST', all ? 'ids and --all were both given' : 'no id was given', {
        hint: `regent bus dead ${act} ID, or --all; \`regent bus dead list\` tells them`,
      })
    const client = await cli.client()
    const ids = all ? (await lettersOf(cli, client, which, 1000)).map(({ id }) => id) : given
    if (ids.length === 0) return cli.note('nothing was given up')
    if (act === 'drop' && !yes && !(await confirm(cli, `Forget ${plural(ids.length, 'message')} for good?`))) {
      cli.exitCode = 1
      return
    }
    for (const id of ids) {
      const input = { id }
      const done =
        act === 'requeue'
          ? await client.call('bus.dead.requeue', input, { signal: cli.signal })
          : await client.call('bus.dead.drop', input, { signal: cli.signal })
      const told = 'message_id' in done ? `${id} is tried again as message ${done.message_id}` : `${id} is forgotten`
      cli.terminal.out(json ? JSON.stringify(done) : told)
    }
  })
}
