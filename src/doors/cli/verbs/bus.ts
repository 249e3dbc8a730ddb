import type { Command } from 'commander'
import { Option } from 'commander'
import { type BrokerName, brokerNames } from '../../../contract/bus-operations.ts'
import { RegentError } from '../../../kernel/errors.ts'
import { isObject, tryParse } from '../../../kernel/json.ts'
import type { Cli } from '../cli.ts'
import { collect } from '../options.ts'
import { cleanLines } from '../output/text.ts'
import { readInput } from '../read-input.ts'
import { configureDead } from './bus-dead.ts'
import { configureStatus, configureTopics } from './bus-status.ts'

interface Where {
  broker?: BrokerName
  agent?: string
  exchange?: string
  fleeting?: boolean
}

interface PublishOptions extends Where {
  key?: string
  id?: string
  contentType?: string
  header?: string[]
  json?: boolean
}

interface TailOptions extends Where {
  from?: 'latest' | 'earliest'
  group?: string
  json?: boolean
}

export function configure(command: Command, cli: Cli): void {
  configurePublish(command, cli)
  configureTail(command, cli)
  configureTopics(command, cli)
  configureStatus(command, cli)
  configureDead(command, cli)
}

export const withBroker = (command: Command): Command =>
  command.addOption(new Option('--broker <BROKER>', "which broker; default bus, Regent's own").choices([...brokerNames]))

const withPlace = (command: Command): Command =>
  withBroker(command)
    .option('--agent <AGENT>', "an agent's channel, wherever it is, in place of a topic")
    .option('--exchange <NAME>', 'RabbitMQ: the exchange, TOPIC being the routing key')
    .option('--fleeting', 'Redis: a channel of pub/sub in place of a stream')

function configurePublish(command: Command, cli: Cli): void {
  withPlace(command.command('publish'))
    .description("publish a message on a topic, or on an agent's channel")
    .argument('[TOPIC]', 'such as agent:news; left out with --agent, and with --broker kafka where MSK_TOPIC_NAME is meant')
    .argument('[MESSAGE]', 'text or JSON, sent as it is; - or none reads it from stdin')
    .option('--key <KEY>', 'messages of one key stay in order')
    .option('--id <ID>', 'id of the message; default a new one')
    .option('--content-type <TYPE>', 'default application/json for JSON')
    .option('--header <NAME=VALUE>', 'a header; may be given several times', collect)
    .option('--json', 'print what was published as JSON')
    .action(async (first: string | undefined, second: string | undefined, options: PublishOptions) => {
      const { topic, text } = publishWords(cli, first, second, options)
      const given = text === undefined || text === '-' ? await readInput('-', cli.context.cwd) : text
      const input = inputOf(given, topic, options)
      const published = await (await cli.client()).call('bus.publish', input, { signal: cli.signal })
      const at = published.broker === 'bus' ? '' : ` at ${published.broker}`
      cli.terminal.out(options.json ? JSON.stringify(published) : `published on ${published.topic}${at} (${published.id})`)
      cli.next(options.agent ? `regent bus tail --agent ${options.agent}` : `regent bus tail ${published.topic}${flagOf(options.broker)}`)
    })
}

const flagOf = (broker: BrokerName | undefined): string => (broker === undefined ? '' : ` --broker ${broker}`)

function inputOf(given: string, topic: string | undefined, options: PublishOptions) {
  const { key, id, contentType, header, agent } = options
  const value = tryParse(given)
  const type = contentType ?? (agent === undefined && value !== null && typeof value === 'object' ? 'application/json' : undefined)
  return {
    ...placeOf(topic, options),
    // An agent takes an envelope or a text that becomes one; everywhere else a message arrives byte for byte.
    message: agent !== undefined && isObject(value) ? value : given,
    ...(key !== undefined && { key }),
    ...(id !== undefined && { id }),
    ...(type !== undefined && { content_type: type }),
    ...(header !== undefined && { headers: headersOf(header) }),
  }
}

function headersOf(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=')
      if (at < 1) throw new RegentError('BAD_REQUEST', `'${pair}' is no header`, { hint: 'write NAME=VALUE' })
      return [pair.slice(0, at), pair.slice(at + 1)]
    }),
  )
}

const placeOf = (topic: string | undefined, { broker, agent, exchange, fleeting }: Where) => ({
  ...(topic !== undefined && { topic }),
  ...(broker !== undefined && { broker }),
  ...(agent !== undefined && { agent }),
  ...(exchange !== undefined && { exchange }),
  ...(fleeting === true && { fleeting }),
})

/** What a Kafka topic may be called; a single word of another shape is the message. */
const kafkaTopic = /^[\w.-]{1,249}$/

/** A word may be left out where something else says what it would. */
function publishWords(
  cli: Cli,
  first: string | undefined,
  second: string | undefined,
  { agent, broker }: Where,
): { topic: string | undefined; text: string | undefined } {
  if (agent !== undefined) {
    if (second !== undefined)
      throw new RegentError('BAD_REQUEST', '--agent and a topic were both given', { hint: `regent bus publish --agent ${agent} MESSAGE` })
    return { topic: undefined, text: first }
  }
  if (broker === 'kafka' && second === undefined && (first === undefined || !kafkaTopic.test(first) || first === '-'))
    return { topic: mskTopic(cli), text: first }
  if (first === undefined) throw new RegentError('BAD_REQUEST', 'no topic was given', { hint: 'regent bus publish TOPIC MESSAGE' })
  if (second === undefined && process.stdin.isTTY)
    throw new RegentError('BAD_REQUEST', 'no message was given', { hint: `regent bus publish ${first} MESSAGE; - reads it from stdin` })
  return { topic: first, text: second }
}

const mskTopic = (cli: Cli): string => cli.context.env.MSK_TOPIC_NAME || 'my-test-topic'
const mskGroup = (cli: Cli): string => cli.context.env.MSK_CONSUMER_GROUP || 'my-consumer-group'

function configureTail(command: Command, cli: Cli): void {
  withPlace(command.command('tail'))
    .description('follow a topic, or what an agent says, until Ctrl-C')
    .argument('[TOPIC]', 'such as agent_news; left out with --agent, and with --broker kafka where MSK_TOPIC_NAME is meant')
    .addOption(new Option('--from <WHERE>', 'earliest: what the broker keeps comes first; default latest').choices(['latest', 'earliest']))
    .option('--group <GROUP>', 'go on where this group stood, and share its messages; with --broker kafka and no TOPIC MSK_CONSUMER_GROUP')
    .option('--json', 'one JSON object a line, with id, key and headers')
    .action(async (given: string | undefined, { json, from, group, ...where }: TailOptions) => {
      if (given !== undefined && where.agent !== undefined)
        throw new RegentError('BAD_REQUEST', '--agent and a topic were both given', { hint: `regent bus tail --agent ${where.agent}` })
      const asMsk = given === undefined && where.agent === undefined && where.broker === 'kafka'
      const topic = asMsk ? mskTopic(cli) : given
      const shared = group ?? (asMsk ? mskGroup(cli) : undefined)
      if (topic === undefined && where.agent === undefined)
        throw new RegentError('BAD_REQUEST', 'no topic was given', { hint: 'regent bus tail TOPIC; `regent bus topics` lists them' })
      const { terminal, signal } = cli
      const input = { ...placeOf(topic, where), ...(from && { from }), ...(shared && { group: shared }) }
      for await (const message of (await cli.client()).open('bus.tail', input, { signal }))
        terminal.out(json ? JSON.stringify(message) : terminal.outIsTerminal ? cleanLines(message.body) : message.body)
    })
}
