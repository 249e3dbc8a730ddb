import type { Command } from 'commander'
import type { MessageView } from '../../../contract/messages.ts'
import type { Cli } from '../cli.ts'
import { countOption, withFormat } from '../options.ts'
import { type FormatOptions, formatOf, printValue } from '../output/format.ts'
import { cleanLines, timeOf } from '../output/text.ts'
import { about } from '../targets.ts'

interface Options extends FormatOptions {
  tail: number
  all?: boolean
  conversation?: string
}

/** What people read: what was said to the agent, and its answers; the steps between only with --all. */
const isTalk = ({ direction, type, final }: MessageView): boolean => (direction === 'in' ? type === 'user' : final || type === 'notice')

export function configure(command: Command, cli: Cli): void {
  withFormat(command, ['table', 'json', 'yaml'])
    .argument('<AGENT>', 'name, owner/name, id or unique id prefix')
    .option('-n, --tail <N>', 'of the last N messages, steps between included', countOption, 200)
    .option('-a, --all', 'the steps between too: tool calls, results, what members of the team said')
    .option('--conversation <NAME>', 'only of this conversation')
    .action(async (agent: string, { tail, all, conversation, ...options }: Options) => {
      const format = formatOf(options)
      const client = await cli.client()
      const input = { agent, limit: Math.min(500, Math.max(1, tail)), ...(conversation ? { conversation } : {}) }
      const { messages } = await about(client, agent, () => client.call('messages.list', input, { signal: cli.signal }))
      const shown = tail === 0 ? [] : messages.filter((message) => all === true || isTalk(message))
      if (format !== 'table') return printValue(cli.terminal, format === 'yaml' ? 'yaml' : 'json', shown)
      if (shown.length === 0) cli.note('no messages yet')
      for (const message of shown) cli.terminal.out(`${timeOf(message.at)}  ${message.sender}${stateOf(message)}: ${textOf(message)}`)
      cli.next(`regent chat ${agent}`)
    })
}

function stateOf({ state, reason, type }: MessageView): string {
  if (state === 'dead') return ` (given up: ${reason})`
  if (state === 'queued' || state === 'delivered') return ' (waits)'
  return type === 'user' || type === 'assistant' ? '' : ` (${type})`
}

const textOf = ({ content }: MessageView): string => cleanLines(typeof content === 'string' ? content : JSON.stringify(content))
