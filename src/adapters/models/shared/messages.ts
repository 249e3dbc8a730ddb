import type { ModelMessage } from 'ai'
import type { ModelCall, Turn } from '../../../ports/model.ts'
import type { ToolNames } from './tool-names.ts'

type AssistantTurn = Extract<Turn, { role: 'assistant' }>
type ToolTurn = Extract<Turn, { role: 'tool' }>

const nothing = '(nothing)'
const lost = 'No result of this call was recorded: the agent was interrupted.'

/**
 * The conversation as providers accept it: a user begins, no text is empty, every call has exactly one result right behind it.
 * What a crash tore apart is mended: a call without a result gets one that says so, a result without its call becomes text.
 */
export function messagesOf(turns: readonly Turn[], names: ToolNames): ModelMessage[] {
  const messages: ModelMessage[] = turns[0]?.role === 'user' ? [] : [{ role: 'user', content: '(the conversation goes on)' }]
  for (let at = 0; at < turns.length; at++) {
    const turn = turns[at]
    if (turn?.role === 'user') messages.push({ role: 'user', content: turn.text.trim() === '' ? nothing : turn.text })
    if (turn?.role === 'tool') messages.push({ role: 'user', content: `Result of ${turn.tool}:\n${turn.text}` })
    if (turn?.role !== 'assistant') continue
    const results = resultsBehind(turns, at)
    messages.push(...exchange(turn, results, names))
    at += results.length
  }
  return messages
}

function resultsBehind(turns: readonly Turn[], at: number): ToolTurn[] {
  const results: ToolTurn[] = []
  for (let next = turns[at + 1]; next?.role === 'tool'; next = turns[at + results.length + 1]) results.push(next)
  return results
}

function exchange({ text, calls }: AssistantTurn, results: readonly ToolTurn[], names: ToolNames): ModelMessage[] {
  if (calls.length === 0) return [{ role: 'assistant', content: text.trim() === '' ? nothing : text }, ...strays(results, [])]
  const said = text.trim() === '' ? [] : [{ type: 'text' as const, text }]
  const made = calls.map(({ id, tool, args }) => ({
    type: 'tool-call' as const,
    toolCallId: id,
    toolName: names.toProvider(tool),
    input: args,
  }))
  return [
    { role: 'assistant', content: [...said, ...made] },
    { role: 'tool', content: calls.map((call) => answerTo(call, results, names)) },
    ...strays(results, calls),
  ]
}

function answerTo({ id, tool }: ModelCall, results: readonly ToolTurn[], names: ToolNames) {
  const result = results.find(({ callId }) => callId === id)
  const value = result === undefined ? lost : result.text === '' ? nothing : result.text
  const type = result === undefined || result.isError ? ('error-text' as const) : ('text' as const)
  return { type: 'tool-result' as const, toolCallId: id, toolName: names.toProvider(tool), output: { type, value } }
}

const strays = (results: readonly ToolTurn[], calls: readonly ModelCall[]): ModelMessage[] =>
  results
    .filter(({ callId }) => !calls.some(({ id }) => id === callId))
    .map(({ tool, text }) => ({ role: 'user', content: `Result of ${tool}:\n${text}` }))
