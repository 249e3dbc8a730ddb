import type { Command } from 'commander'
import { Option } from 'commander'
import { type BrokerView, brokerNames, type RelayView } from '../../../contract/bus-operations.ts'
import type { Cli } from '../cli.ts'
import { withFormat } from '../options.ts'
import { type FormatOptions, formatOf, printListing, printValue } from '../output/format.ts'
import { type Column, layout } from '../output/table.ts'
import { clean, duration, plural } from '../output/text.ts'

type Topic = { name: string; subscribers: number | null; waiting: number | null }

const count = (value: number | null): string => (value === null ? '?' : String(value))

const topicColumns: readonly Column<Topic>[] = [
  { title: 'TOPIC', value: ({ name }) => name, least: 20 },
  { title: 'SUBSCRIBERS', value: ({ subscribers }) => count(subscribers), align: 'right' },
  { title: 'WAITING', value: ({ waiting }) => count(waiting), align: 'right' },
]

export function configureTopics(command: Command, cli: Cli): void {
  withFormat(command.command('topics'))
    .description('list the topics of a broker')
    .addOption(new Option('--broker <BROKER>', "which broker; default bus, Regent's own").choices([...brokerNames]))
    .action(async ({ broker, ...options }: FormatOptions & { broker?: (typeof brokerNames)[number] }) => {
      const format = formatOf(options)
      const { topics } = await (await cli.client()).call('bus.topics', broker ? { broker } : {}, { signal: cli.signal })
      await printListing(cli.terminal, format, {
        rows: topics,
        columns: topicColumns,
        name: ({ name }) => name,
        empty: 'there are no topics yet',
      })
    })
}

const waiting = ({ lag }: BrokerView): string => {
  const known = lag.filter((one) => one.waiting !== null)
  return known.length === 0 && lag.length > 0 ? '?' : String(known.reduce((sum, one) => sum + (one.waiting ?? 0), 0))
}

const brokerColumns: readonly Column<BrokerView>[] = [
  { title: 'BROKER', value: ({ name }) => name },
  { title: 'STATE', value: ({ connected }) => (connected ? 'up' : 'away'), colour: ({ connected }) => (connected ? 'green' : 'red') },
  { title: 'FOR', value: ({ since }) => duration(Math.max(0, Date.now() - since)), align: 'right' },
  { title: 'LAG', value: waiting, align: 'right' },
  {
    title: 'DEAD',
    value: ({ dead_letters }) => count(dead_letters),
    colour: ({ dead_letters }) => (dead_letters ? 'yellow' : undefined),
    align: 'right',
  },
  { title: 'RECONNECTS', value: ({ reconnects }) => String(reconnects), align: 'right', dropAt: 1 },
  { title: 'ADDRESS', value: ({ address, reason }) => (reason === null ? address : `${address}: ${reason}`), least: 20 },
]

const relayColumns: readonly Column<RelayView>[] = [
  { title: 'RELAY', value: ({ name }) => name },
  { title: 'TO', value: ({ broker }) => broker },
  { title: 'POSITION', value: ({ position }) => String(position), align: 'right' },
  { title: 'BACKLOG', value: ({ backlog }) => String(backlog), align: 'right' },
  { title: 'SENT', value: ({ sent }) => String(sent), align: 'right' },
  { title: 'REFUSED', value: ({ refused }) => String(refused), align: 'right', dropAt: 1 },
  { title: 'DROPPED', value: ({ dropped }) => String(dropped), align: 'right' },
  { title: 'WAITS FOR', value: ({ retrying }) => retrying ?? '-', least: 12 },
]

export function configureStatus(command: Command, cli: Cli): void {
  withFormat(command.command('status'), ['table', 'wide', 'json', 'yaml'])
    .description('show how each broker is, what waits there, and how far the outbox is')
    .action(async (options: FormatOptions) => {
      const format = formatOf(options)
      const status = await (await cli.client()).call('bus.status', {}, { signal: cli.signal })
      if (format === 'json' || format === 'yaml') return printValue(cli.terminal, format, status)
      const { terminal } = cli
      const width = format === 'wide' ? Number.POSITIVE_INFINITY : terminal.width
      for (const line of layout(status.brokers, brokerColumns, width, terminal.paint)) terminal.out(line)
      if (format === 'wide')
        for (const { name, lag } of status.brokers)
          for (const one of lag)
            terminal.out(clean(`${name} ${one.topic}${one.group ? ` (${one.group})` : ''}: ${count(one.waiting)} wait`))
      if (status.relays.length > 0) terminal.out('')
      if (status.relays.length > 0) for (const line of layout(status.relays, relayColumns, width, terminal.paint)) terminal.out(line)
      const dead = status.dead_in_inboxes + status.brokers.reduce((sum, { dead_letters }) => sum + (dead_letters ?? 0), 0)
      if (dead === 0) return
      if (status.dead_in_inboxes > 0) cli.note(`${plural(status.dead_in_inboxes, 'message')} that agents gave up`)
      cli.next('regent bus dead list')
    })
}
