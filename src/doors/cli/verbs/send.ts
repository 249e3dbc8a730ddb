import { randomUUID } from 'node:crypto'
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
  const { conversation, timeout = wait ? 600_000 : undefined } = options
  const input = { agent, content, id, ...(conversation ? { conversation } : {}) }
  const { message } = await about(client, agent, () => client.call('messages.send', input, { signal: cli.signal }))
  await tellWhenItWaits(cli, client, message)
  if (!wait) {
    if (format === 'table') cli.terminal.out(`sent to ${message.agent} (message ${message.id.slice(0, 8)})`)
    else await printValue(cli.terminal, format === 'yaml' ? 'yaml' : 'json', message)
    return cli.next(`regent chat ${message.agent}`, `regent events -f --agent ${message.agent}`)
  }
  // The same id again: no second message, only the wait for its reply.
  const waiting = client.call('messages.send', { ...input, wait, ...(timeout === undefined ? {} : { timeout }) }, { signal: cli.signal })
  const { reply } = await withProgress(cli, `waiting for ${message.agent}`, tellingApprovals(cli, client, message, waiting))
  if (!reply)
    throw new RegentError('UPSTREAM', `${message.agent} ended its work without a reply`, { hint: `regent events --agent ${message.agent}` })
  if (format === 'table') cli.terminal.out(contentText(reply))
  else await printValue(cli.terminal, format === 'yaml' ? 'yaml' : 'json', reply)
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
