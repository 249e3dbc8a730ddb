import type { Command } from 'commander'
import type { Client } from '../../../client/client.ts'
import { type EventType, type EventView, eventTypes } from '../../../contract/events.ts'
import { RegentError } from '../../../kernel/errors.ts'
import { nearest } from '../../../kernel/nearest.ts'
import type { Cli } from '../cli.ts'
import { eventText } from '../event-text.ts'
import { collect, countOption, withFormat } from '../options.ts'
import { type FormatOptions, formatOf } from '../output/format.ts'
import { about } from '../targets.ts'

interface Options extends FormatOptions {
  follow?: boolean
  agent?: string
  type?: string[]
  since?: number
  tail: number
}

export function configure(command: Command, cli: Cli): void {
  withFormat(command, ['table', 'json'])
    .option('-f, --follow', 'go on with what happens from now on')
    .option('--agent <AGENT>', 'only of this agent')
    .option('--type <TYPE>', 'only of this type, such as run.exited or run.*; may be given several times', collect)
    .option('--since <N>', 'what came after event number N', countOption)
    .option('-n, --tail <N>', 'without --since: the last N', countOption, 50)
    .addHelpText('after', '\n-o json prints one object a line.')
    .action(async (options: Options) => {
      const client = await cli.client()
      await about(client, options.agent ?? '', () => show(cli, client, options))
    })
}

async function show(cli: Cli, client: Client, options: Options): Promise<void> {
  const types = options.type?.flatMap((text) => text.split(',')).flatMap(typesOf)
  const filter = { ...(options.agent ? { agent: options.agent } : {}), ...(types ? { types } : {}) }
  const isJson = formatOf(options) === 'json'
  const print = (event: EventView) => cli.terminal.out(isJson ? JSON.stringify(event) : eventText(event, cli.terminal))
  let { after, newest } = await startOf(cli, client, options)
  let shown: EventView[] = []
  for (;;) {
    const page = await client.call('events.list', { after, limit: 1000, ...filter }, { signal: cli.signal })
    newest = Math.max(newest, page.newest)
    if (options.since === undefined) shown = options.tail === 0 ? [] : [...shown, ...page.events].slice(-options.tail)
    else for (const event of page.events) print(event)
    const last = page.events.at(-1)
    if (!last || page.events.length < 1000) break
    after = last.number
  }
  for (const event of shown) print(event)
  if (!options.follow) return
  const stream = client.open(
    'events.stream',
    { ...filter },
    { signal: cli.signal, lastEventId: String(newest), onLost: (error) => cli.note(`${error.message}; connecting again`) },
  )
  for await (const item of stream) {
    if (item.kind === 'event') print(item.event)
    if (item.kind === 'resync') cli.note(`events up to ${item.oldest} are no longer kept; some are missing here`)
  }
}

/** Without `--since` a window is read that surely holds the last N of an unfiltered journal; a filter reads further back. */
async function startOf(cli: Cli, client: Client, { since, tail, agent, type }: Options): Promise<{ after: number; newest: number }> {
  const { newest, oldest } = await client.call('events.list', { limit: 1 }, { signal: cli.signal })
  if (since !== undefined) return { after: since, newest }
  const window = agent || type ? 20_000 : tail
  return { after: Math.max(0, oldest - 1, newest - window), newest }
}

function typesOf(text: string): EventType[] {
  const found = eventTypes.filter((type) => type === text || (text.endsWith('*') && type.startsWith(text.slice(0, -1))))
  if (found.length > 0) return found
  const meant = nearest(text, eventTypes)
  throw new RegentError('BAD_REQUEST', `there is no event type ${text}`, {
    hint: meant ? `did you mean ${meant}?` : `there are: ${eventTypes.join(', ')}`,
  })
}
