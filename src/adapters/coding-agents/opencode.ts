import type { JsonObject } from '../../kernel/json.ts'
import type { CodingAgent, Output, Turn, TurnCommand } from '../../ports/coding-agents.ts'
import { fitting, option, refuseOthers } from './shared/arguments.ts'
import { asObject, asText, at, countAt, numberAt, objectAt, textAt } from './shared/fields.ts'
import { EventReader, type Wording } from './shared/reader.ts'
import type { Sum } from './shared/sum.ts'

/** opencode. */
export const opencode: CodingAgent = {
  name: 'opencode',
  title: 'opencode',
  program: 'opencode',
  can: { resume: true, stream: true, choosesSession: false, permissions: false },
  variables: [
    'OPENCODE_CONFIG*',
    'OPENCODE_API_KEY',
    'OPENCODE_DISABLE_*',
    'ANTHROPIC_*',
    'OPENAI_*',
    'OPENROUTER_*',
    'GEMINI_*',
    'GOOGLE_*',
    'GROQ_*',
    'XDG_*',
  ],

  command(turn: Turn): TurnCommand {
    refuseOthers(turn, { title: 'opencode', fields: ['model'] })
    const session = turn.resume && turn.sessionId !== null ? ['--session', turn.sessionId] : []
    // It takes a word of digits alone for a number, and fails at it.
    const prompt = /^[\s\d.eExXa-fA-F+-]+$/.test(turn.prompt) ? `${turn.prompt} ` : turn.prompt
    const argv = ['opencode', 'run', '--format', 'json', ...session, ...option('--model', turn.model), ...turn.args, '--', prompt]
    return { argv: fitting(turn, argv), env: { OPENCODE_DISABLE_AUTOUPDATE: '1' } }
  },

  reader: (turn) => new EventReader(wording, turn),
}

/** The events of `--format json`; none says that it was the last. */
const wording: Wording = {
  needsSession: true,
  needsResult: false,
  noSession: /session not found/i,
  event(event, sum) {
    const type = textAt(event, 'type')
    const session = sum.session(event.sessionID)
    const part = objectAt(event, 'part')
    if (type === 'text') return [...session, ...sum.say(textAt(part, 'text') ?? '')]
    if (type === 'tool_use') return [...session, ...used(part, sum)]
    if (type === 'step_finish') return [...session, ...counted(part, sum)]
    if (type === 'error') return [...session, ...sum.end({ text: failureOf(event), isError: true })]
    return typeof event.sessionID === 'string' ? session : null
  },
}

/** A tool is told of once it is done. */
function used(part: JsonObject, sum: Sum): readonly Output[] {
  const id = textAt(part, 'callID')
  const isError = textAt(part, 'state', 'status') === 'error'
  const text = asText(at(part, 'state', isError ? 'error' : 'output'))
  const call = sum.call(id, textAt(part, 'tool') ?? 'unknown', asObject(at(part, 'state', 'input')))
  return [...call, ...sum.answer(id, text, isError)]
}

function counted(part: JsonObject, sum: Sum): readonly Output[] {
  const cost = numberAt(part, 'cost')
  if (cost !== undefined) sum.costUsd = (sum.costUsd ?? 0) + cost
  const input = countAt(part, 'tokens', 'input') + countAt(part, 'tokens', 'cache', 'write')
  return sum.add({ input, output: countAt(part, 'tokens', 'output') + countAt(part, 'tokens', 'reasoning') })
}

function failureOf(event: JsonObject): string {
  const status = numberAt(event, 'error', 'data', 'statusCode')
  const words = textAt(event, 'error', 'data', 'message') ?? textAt(event, 'error', 'name') ?? 'the turn failed'
  return status === undefined ? words : `${words} (status ${status})`
}
