import { type JsonObject, tryParse } from '../../kernel/json.ts'
import type { CodingAgent, Output, Turn, TurnCommand } from '../../ports/coding-agents.ts'
import { fitting, option, refuseOthers } from './shared/arguments.ts'
import { asText, at, countAt, listAt, numberAt, objectAt, textAt } from './shared/fields.ts'
import { EventReader, type Wording } from './shared/reader.ts'
import type { Sum } from './shared/sum.ts'

/** OpenAI's Codex. */
export const codex: CodingAgent = {
  name: 'codex',
  title: 'Codex',
  program: 'codex',
  can: { resume: true, stream: true, choosesSession: false, permissions: false },
  // Not CODEX_*: a Codex that calls Regent has variables of its own sandbox and thread, which are not its workers'.
  variables: ['CODEX_HOME', 'CODEX_API_KEY', 'CODEX_ACCESS_TOKEN', 'CODEX_CA_CERTIFICATE', 'OPENAI_*'],

  command(turn: Turn): TurnCommand {
    refuseOthers(turn, { title: 'Codex', fields: ['model', 'permission_mode', 'append_system_prompt'] })
    const settings = [
      // The caller has chosen the folder; outside a git repository Codex would refuse to begin.
      '--skip-git-repo-check',
      ...option('--model', turn.model),
      ...setting('sandbox_mode', turn.permissionMode),
      ...setting('developer_instructions', turn.appendSystemPrompt),
      ...turn.args,
    ]
    const [verb, session] = turn.resume && turn.sessionId !== null ? [['exec', 'resume'], [turn.sessionId]] : [['exec'], []]
    // A lone dash would be read as "from the input"; words such as `resume` are no subcommands behind the two dashes.
    const prompt = turn.prompt === '-' ? '- ' : turn.prompt
    return { argv: fitting(turn, ['codex', ...verb, '--json', ...settings, '--', ...session, prompt]), env: {} }
  },

  reader: (turn) => new EventReader(wording, turn),
}

/** A JSON text is also one of TOML, in which Codex reads its settings; resumed turns have no option for most of them. */
const setting = (name: string, value: string | null): readonly string[] =>
  value === null ? [] : ['-c', `${name}=${JSON.stringify(value)}`]

/** The events of `--json`. */
const wording: Wording = {
  needsSession: true,
  needsResult: true,
  noSession: /no rollout found|thread\/resume failed|session not found/i,
  event(event, sum) {
    const type = textAt(event, 'type') ?? ''
    if (type === 'thread.started') return sum.session(event.thread_id)
    if (type === 'item.started') return started(objectAt(event, 'item'), sum)
    if (type === 'item.completed') return completed(objectAt(event, 'item'), sum)
    if (type === 'turn.completed') return counted(event, sum)
    if (type === 'turn.failed') return sum.end({ text: unwrapped(textAt(event, 'error', 'message') ?? 'the turn failed'), isError: true })
    if (type === 'error') return [{ kind: 'raw', text: unwrapped(textAt(event, 'message') ?? '') }]
    return /^(thread|turn|item)\./.test(type) ? [] : null
  },
}

/** What an item is called for people, and what it was given; undefined for those that call nothing. */
function callOf(item: JsonObject): { tool: string; input: JsonObject } | undefined {
  const type = textAt(item, 'type')
  if (type === 'command_execution') return { tool: 'shell', input: { command: textAt(item, 'command') ?? '' } }
  if (type === 'mcp_tool_call') {
    const tool = `${textAt(item, 'server') ?? 'mcp'}.${textAt(item, 'tool') ?? 'unknown'}`
    return { tool, input: objectAt(item, 'arguments') }
  }
  if (type === 'file_change') return { tool: 'apply_patch', input: { changes: asText(item.changes) } }
  if (type === 'web_search') return { tool: 'web_search', input: { query: textAt(item, 'query') ?? '' } }
  return undefined
}

function started(item: JsonObject, sum: Sum): readonly Output[] {
  const call = callOf(item)
  return call === undefined ? [] : sum.call(textAt(item, 'id'), call.tool, call.input)
}

function completed(item: JsonObject, sum: Sum): readonly Output[] {
  const type = textAt(item, 'type')
  if (type === 'agent_message') return sum.say(textAt(item, 'text') ?? '')
  if (type === 'error') return [{ kind: 'raw', text: textAt(item, 'message') ?? '' }]
  const call = callOf(item)
  if (call === undefined) return []
  const id = textAt(item, 'id')
  const isError = item.status === 'failed' || item.status === 'declined' || (numberAt(item, 'exit_code') ?? 0) !== 0
  // Some items are told of only once they are done.
  const before = sum.knows(id) ? [] : sum.call(id, call.tool, call.input)
  return [...before, ...sum.answer(id, answerOf(item), isError)]
}

function answerOf(item: JsonObject): string {
  const output = textAt(item, 'aggregated_output')
  if (output !== undefined) return output
  const texts = listAt(item, 'result', 'content').map((part) => textAt(part, 'text') ?? '')
  return texts.length > 0 ? texts.join('\n') : (textAt(item, 'error', 'message') ?? textAt(item, 'status') ?? '')
}

/** Counts of the whole thread, earlier turns included. */
function counted(event: JsonObject, sum: Sum): readonly Output[] {
  const usage = at(event, 'usage')
  sum.tokens = {
    input: Math.max(0, countAt(usage, 'input_tokens') - countAt(usage, 'cached_input_tokens')),
    output: countAt(usage, 'output_tokens'),
  }
  sum.tokensOfSession = true
  return sum.end({ text: sum.said, isError: false })
}

/** What the provider answered may come as its JSON. */
function unwrapped(message: string): string {
  const start = message.indexOf('{')
  if (start === -1) return message
  return textAt(tryParse(message.slice(start)), 'error', 'message') ?? message
}
