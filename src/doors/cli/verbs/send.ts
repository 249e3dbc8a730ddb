import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { Command } from 'commander'
import type { Client } from '../../../client/client.ts'
import type { MessageView } from '../../../contract/messages.ts'
import { RegentError } from '../../../kernel/errors.ts'
import { fullName } from '../agents.ts'
import type { Cli } from '../cli.ts'
import { durationOption, withFormat } from '../options.ts'
import { type FormatOptions, formatOf, printValue } from '../output/format.ts'
import { cleanLines } from '../output/text.ts'
import { withProgress } from '../progress.ts'
import { readInput } from '../read-input.ts'
import { about } from '../targets.ts'

interface Options extends FormatOptions {
  wait?: boolean
  timeout?: number
  conversation?: string
}

const RETRY_MS = 500

export function configure(command: Command, cli: Cli): void {
  withFormat(command, ['table', 'json', 'yaml'])
    .argument('<AGENT>', 'name, owner/name, id or unique id prefix')
    .argument('<TEXT...>', 'what to say; - reads it from stdin')
    .option('-w, --wait', 'wait for the reply and print it')
    .option('--timeout <DURATION>', 'how long to wait for it at most, such as 90s; default 10m', durationOption)
    .option('--conversation <NAME>', 'which conversation with the agent; default main')
    .action(async (agent: string, words: string[], options: Options) => {
      const content = words.join(' ') === '-' ? await readInput('-', cli.context.cwd) : words.join(' ')
      if (content.trim() === '') throw new RegentError('BAD_REQUEST', 'there is nothing to send')
      await send(cli, await cli.client(), agent, content, options)
    })
}

async function send(cli: Cli, client: Client, agent: string, content: string, options: Options): Promise<void> {
  const format = formatOf(options)
  const wait = options.wait ?? false
  const id = randomUUID()
  const { conversation, timeout = 600_000 } = options
  const input = { agent, content, id, ...(conversation ? { conversation } : {}) }
  const { message } = await about(client, agent, () => client.call('messages.send', input, { signal: cli.signal }))
  await tellWhenItWaits(cli, client, message)
  if (!wait) {
    if (format === 'table') cli.terminal.out(`sent to ${message.agent} (message ${message.id.slice(0, 8)})`)
    else await printValue(cli.terminal, format === 'yaml' ? 'yaml' : 'json', message)
    return cli.next(`regent chat ${message.agent}`, `regent events -f --agent ${message.agent}`)
  }
  const waiting = replyOf(cli, client, input, timeout)
  const { reply } = await withProgress(cli, `waiting for ${message.agent}`, tellingApprovals(cli, client, message, waiting))
  if (!reply)
    throw new RegentError('UPSTREAM', `${message.agent} ended its work without a reply`, { hint: `regent events --agent ${message.agent}` })
  if (format === 'table') cli.terminal.out(contentText(reply))
  else await printValue(cli.terminal, format === 'yaml' ? 'yaml' : 'json', reply)
}

type Answered = Awaited<ReturnType<typeof sendAndWait>>
type Input = { readonly agent: string; readonly content: string; readonly id: string; readonly conversation?: string }

/** The same id again: no second message, only the wait for its reply. */
const sendAndWait = (cli: Cli, client: Client, input: Input, timeout: number) =>
  client.call('messages.send', { ...input, wait: true, timeout }, { signal: cli.signal })

/** Over restarts of Regent: the message is kept there. Throws UNAVAILABLE when it is not back in time. */
async function replyOf(cli: Cli, first: Client, input: Input, timeout: number): Promise<Answered> {
  const end = Date.now() + timeout
  let told = false
  for (let client = first, left = timeout; ; left = Math.max(1, end - Date.now())) {
    try {
      return await sendAndWait(cli, client, input, left)
    } catch (error) {
      if (!(error instanceof RegentError) || error.code !== 'UNAVAILABLE' || Date.now() > end) throw error
      if (!told) cli.note(`${error.message}; the message is kept there, and asked for again`)
      told = true
      await pause(RETRY_MS, undefined, { signal: cli.signal })
      // It may be back at another port; where it is not back, the next call tells.
      client = await cli.client().catch(() => client)
    }
  }
}

/** Nobody should stare at a spinner while the agent waits for them. */
async function tellingApprovals<T>(cli: Cli, client: Client, message: MessageView, work: Promise<T>): Promise<T> {
  if (!cli.terminal.isInteractive) return work
  const over = new AbortController()
  const signal = AbortSignal.any([cli.signal, over.signal])
  const watching = (async () => {
    for await (const item of client.open('events.stream', { agent: message.agent_id, types: ['approval.requested'] }, { signal })) {
      if (item.kind !== 'event') continue
      const { id, server, tool } = item.event.data
      cli.note(
        `\n${message.agent} asks to run ${String(server)}.${String(tool)}: regent approve ${String(id).slice(0, 8)}, or regent reject`,
      )
    }
  })()
  watching.catch(() => {}) // The wait itself tells what is wrong.
  try {
    return await work
  } finally {
    over.abort()
  }
}

/** A message to an agent that does not run is kept; whoever sent it should know. */
async function tellWhenItWaits(cli: Cli, client: Client, message: MessageView): Promise<void> {
  if (message.state !== 'queued') return
  const agent = await client.call('agents.get', { agent: message.agent_id }, { signal: cli.signal })
  if (agent.state === 'RUNNING' || agent.state === 'STARTING') return
  const name = fullName(agent)
  const start = agent.desired === 'running' ? 'it will be read when it runs again' : `start it with: regent start ${name}`
  cli.note(`${name} is ${agent.state}, so the message waits; ${start}`)
}

const contentText = ({ content }: MessageView): string =>
  cleanLines(typeof content === 'string' ? content : JSON.stringify(content, null, 2))
