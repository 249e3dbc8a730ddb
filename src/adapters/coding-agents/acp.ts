import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { JsonObject } from '../../kernel/json.ts'
import type { CodingAgent, Output, Turn, TurnCommand } from '../../ports/coding-agents.ts'
import { fitting, invalid, refuseOthers } from './shared/arguments.ts'
import { asObject, asText, at, countAt, listAt, numberAt, textAt } from './shared/fields.ts'
import { EventReader, type Wording } from './shared/reader.ts'
import type { Sum } from './shared/sum.ts'

/** Beside `bin/` in a checkout and in the package. */
const bridge = ['../../../bin/acp-bridge.js', '../bin/acp-bridge.js']
  .map((path) => fileURLToPath(new URL(path, import.meta.url)))
  .find((file) => existsSync(file))

/** Any CLI that speaks the Agent Client Protocol: a program of Regent speaks with it, and prints what the reader understands. */
export const acp: CodingAgent = {
  name: 'acp',
  title: 'The ACP agent',
  program: null,
  can: { resume: true, stream: true, choosesSession: false, permissions: true },
  variables: ['ANTHROPIC_*', 'OPENAI_*', 'GEMINI_*', 'GOOGLE_*', 'XDG_*'],

  command(turn: Turn): TurnCommand {
    refuseOthers(turn, { title: 'An ACP agent', fields: ['command', 'model', 'permission_mode', 'permissions'] })
    if (turn.command === null) throw invalid('command', 'is missing', 'Name the program and its arguments, such as ["gemini", "--acp"].')
    const order: JsonObject = {
      command: [...turn.command, ...turn.args],
      session: turn.resume ? turn.sessionId : null,
      model: turn.model,
      mode: turn.permissionMode,
      ask: turn.permissions !== null,
    }
    const argv = [process.execPath, bridge ?? 'acp-bridge.js', JSON.stringify(order), turn.prompt]
    return { argv: fitting(turn, argv), env: turn.permissions?.env ?? {} }
  },

  reader: (turn) => new EventReader(wording, turn),
}

/** The lines of `bin/acp-bridge.js`: its own `session`, `text`, `result` and `error`, and the protocol's updates as they came. */
const wording: Wording = {
  needsSession: true,
  needsResult: true,
  noSession: /cannot go on with a session|session .{0,80}not found|(unknown|no such|invalid) session/i,
  event(event, sum) {
    const type = textAt(event, 'type')
    if (type === 'session') return sum.session(event.session_id)
    if (type === 'text') return sum.say(textAt(event, 'text') ?? '')
    if (type === 'update') return update(event.update, sum)
    if (type === 'result') return ended(event, sum)
    if (type === 'error' && event.missing === true) sum.kind = 'missing'
    if (type === 'error') return sum.end({ text: textAt(event, 'message') ?? 'it failed and did not say why', isError: true })
    return null
  },
}

function update(told: unknown, sum: Sum): readonly Output[] {
  const kind = textAt(told, 'sessionUpdate')
  const id = textAt(told, 'toolCallId')
  if (kind === 'tool_call') {
    const name = textAt(told, 'name') ?? textAt(told, 'title') ?? 'unknown'
    return [...sum.call(id, name, asObject(at(told, 'rawInput'))), ...answer(told, id, sum)]
  }
  return kind === 'tool_call_update' ? answer(told, id, sum) : []
}

function answer(told: unknown, id: string | undefined, sum: Sum): readonly Output[] {
  const status = textAt(told, 'status')
  if (status !== 'completed' && status !== 'failed') return []
  const texts = listAt(told, 'content').map((part) => textAt(part, 'content', 'text') ?? textAt(part, 'path') ?? '')
  return sum.answer(id, texts.length > 0 ? texts.join('\n') : asText(at(told, 'rawOutput')), status === 'failed')
}

function ended(event: JsonObject, sum: Sum): readonly Output[] {
  const reason = textAt(event, 'stop_reason') ?? 'end_turn'
  const usage = at(event, 'usage')
  sum.costUsd = numberAt(event, 'cost_usd') ?? null
  if (numberAt(usage, 'inputTokens') !== undefined)
    sum.tokens = { input: countAt(usage, 'inputTokens') + countAt(usage, 'cachedWriteTokens'), output: countAt(usage, 'outputTokens') }
  if (reason === 'end_turn') return sum.end({ text: sum.said, isError: false })
  return sum.end({ text: `it stopped early: ${reason.replaceAll('_', ' ')}`, isError: true })
}
