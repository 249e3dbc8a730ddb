import type { JsonObject } from '../../kernel/json.ts'
import type { CodingAgent, Output, TokenCount, Turn, TurnCommand } from '../../ports/coding-agents.ts'
import { fitting, option, refuseOthers, words } from './shared/arguments.ts'
import { asObject, asText, at, countAt, objectAt, textAt } from './shared/fields.ts'
import { EventReader, type Wording } from './shared/reader.ts'
import type { Sum } from './shared/sum.ts'

/** Google's Gemini CLI. */
export const gemini: CodingAgent = {
  name: 'gemini',
  title: 'Gemini',
  program: 'gemini',
  can: { resume: true, stream: true, choosesSession: true, permissions: false },
  variables: ['GEMINI_*', 'GOOGLE_*'],

  command(turn: Turn): TurnCommand {
    refuseOthers(turn, { title: 'Gemini', fields: ['model', 'allowed_tools', 'permission_mode'] })
    const session = turn.sessionId === null ? [] : [turn.resume ? '--resume' : '--session-id', turn.sessionId]
    const argv = [
      'gemini',
      ...option('-p', turn.prompt, '--prompt'),
      '--output-format',
      turn.stream ? 'stream-json' : 'json',
      // The caller has chosen the folder; in one that nobody has trusted at a terminal Gemini would refuse to begin.
      '--skip-trust',
      ...session,
      ...option('--model', turn.model),
      ...option('--approval-mode', turn.permissionMode),
      ...words('allowed_tools', turn.allowedTools).map((tool) => `--allowed-tools=${tool}`),
      ...turn.args,
    ]
    return { argv: fitting(turn, argv), env: {} }
  },

  reader: (turn) => new EventReader(wording, turn),
}

/** The events of `stream-json`; `json` is one document, with neither type. */
const wording: Wording = {
  needsSession: true,
  needsResult: true,
  noSession: /error (resuming|starting) session/i,
  event(event, sum, { line }) {
    const type = textAt(event, 'type')
    if (type === 'init') return sum.session(event.session_id)
    if (type === 'message') return event.role === 'assistant' ? spoken(event, sum) : []
    if (type === 'tool_use') {
      return [...sum.settle(), ...sum.call(textAt(event, 'tool_id'), textAt(event, 'tool_name') ?? 'unknown', asObject(event.parameters))]
    }
    if (type === 'tool_result') return sum.answer(textAt(event, 'tool_id'), resultOf(event), event.status === 'error')
    if (type === 'error') return [...sum.settle(), { kind: 'raw', text: textAt(event, 'message') ?? asText(event) }]
    if (type === 'result') return ended(event, sum, line)
    if (type === undefined && ('response' in event || 'error' in event)) return document(event, sum, line)
    return null
  },
}

/** Pieces of one answer are gathered until something else is told. */
function spoken(event: JsonObject, sum: Sum): readonly Output[] {
  const text = asText(event.content)
  return event.delta === true ? sum.piece(text) : [...sum.settle(), ...sum.say(text)]
}

const resultOf = (event: JsonObject): string => textAt(event, 'output') ?? textAt(event, 'error', 'message') ?? ''

function ended(event: JsonObject, sum: Sum, line: string): readonly Output[] {
  const said = sum.settle()
  const isError = event.status === 'error'
  const stats = at(event, 'stats')
  sum.document = line
  sum.tokens =
    stats === undefined ? null : { input: withoutCached(stats, 'input_tokens', 'cached'), output: countAt(stats, 'output_tokens') }
  const text = isError ? (textAt(event, 'error', 'message') ?? 'the turn failed') : sum.said
  return [...said, ...sum.end({ text, isError })]
}

function document(event: JsonObject, sum: Sum, line: string): readonly Output[] {
  const session = sum.session(event.session_id)
  const isError = 'error' in event && event.error !== null
  sum.document = line
  sum.tokens = tokensOf(objectAt(event, 'stats', 'models'))
  const text = isError ? (textAt(event, 'error', 'message') ?? asText(event.error)) : asText(event.response)
  return [...session, ...sum.end({ text, isError })]
}

function tokensOf(models: JsonObject): TokenCount | null {
  const each = Object.values(models).map((model) => at(model, 'tokens'))
  if (each.length === 0) return null
  const sum = (count: (tokens: unknown) => number): number => each.reduce<number>((total, tokens) => total + count(tokens), 0)
  return {
    input: sum((tokens) => withoutCached(tokens, 'prompt', 'cached')),
    output: sum((tokens) => countAt(tokens, 'candidates') + countAt(tokens, 'thoughts')),
  }
}

const withoutCached = (counts: unknown, all: string, cached: string): number => Math.max(0, countAt(counts, all) - countAt(counts, cached))
