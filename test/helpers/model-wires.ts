// The two wire formats a model server speaks, as their providers document them.
import type { JsonObject } from '../../src/kernel/json.ts'

export interface WireAnswer {
  readonly id: string
  readonly model: string
  readonly pieces: readonly string[]
  readonly calls: readonly { readonly id: string; readonly name: string; readonly input: JsonObject }[]
  /** In the words of the wire; by default what fits. */
  readonly finish?: string
  readonly usage: { readonly input: number; readonly output: number }
}

export interface WireError {
  readonly type: string
  readonly message: string
  readonly code?: string
}

/** One wire: frames of a stream, in order, split at what a client can be shown; the body without a stream; errors. */
export interface Wire {
  /** What comes before the first piece, each piece, and what comes after the last one. */
  stream(answer: WireAnswer): { readonly head: string; readonly pieces: readonly string[]; readonly tail: string }
  whole(answer: WireAnswer): unknown
  error(error: WireError): unknown
  streamError(error: WireError): string
}

const event = (data: { type: string } & Record<string, unknown>): string => `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`

const halves = (text: string): string[] => [text.slice(0, text.length / 2), text.slice(text.length / 2)]

/** Anthropic's Messages. */
export const anthropicWire: Wire = {
  stream({ id, model, pieces, calls, finish, usage }) {
    const usageStart = { input_tokens: usage.input, output_tokens: 1, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 }
    const message = {
      id,
      type: 'message',
      role: 'assistant',
      model,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: usageStart,
    }
    const textStart = pieces.length === 0 ? '' : event({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } })
    const textStop = pieces.length === 0 ? '' : event({ type: 'content_block_stop', index: 0 })
    const blocks = calls.map((call, at) => toolBlock(call, at + (pieces.length === 0 ? 0 : 1))).join('')
    const stop_reason = finish ?? (calls.length > 0 ? 'tool_use' : 'end_turn')
    const delta = { type: 'message_delta', delta: { stop_reason, stop_sequence: null }, usage: { output_tokens: usage.output } }
    return {
      head: event({ type: 'message_start', message }) + event({ type: 'ping' }) + textStart,
      pieces: pieces.map((text) => event({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } })),
      tail: textStop + blocks + event(delta) + event({ type: 'message_stop' }),
    }
  },
  whole: ({ id, model, pieces, calls, finish, usage }) => ({
    id,
    type: 'message',
    role: 'assistant',
    model,
    content: [
      ...(pieces.length > 0 ? [{ type: 'text', text: pieces.join('') }] : []),
      ...calls.map((call) => ({ type: 'tool_use', id: call.id, name: call.name, input: call.input })),
    ],
    stop_reason: finish ?? (calls.length > 0 ? 'tool_use' : 'end_turn'),
    stop_sequence: null,
    usage: { input_tokens: usage.input, output_tokens: usage.output },
  }),
  error: ({ type, message }) => ({ type: 'error', error: { type, message } }),
  streamError: ({ type, message }) => event({ type: 'error', error: { type, message } }),
}

function toolBlock({ id, name, input }: WireAnswer['calls'][number], index: number): string {
  const start = event({ type: 'content_block_start', index, content_block: { type: 'tool_use', id, name, input: {} } })
  const deltas = ['', ...halves(JSON.stringify(input))].map((partial_json) =>
    event({ type: 'content_block_delta', index, delta: { type: 'input_json_delta', partial_json } }),
  )
  return start + deltas.join('') + event({ type: 'content_block_stop', index })
}

const chunkOf =
  ({ id, model }: WireAnswer) =>
  (delta: object, finish_reason: string | null = null): string =>
    `data: ${JSON.stringify({ id, object: 'chat.completion.chunk', created: 1_700_000_000, model, choices: [{ index: 0, delta, finish_reason }] })}\n\n`

/** OpenAI's chat completions. */
export const openAiWire: Wire = {
  stream(answer) {
    const { id, model, pieces, calls, finish, usage } = answer
    const chunk = chunkOf(answer)
    const made = calls.flatMap(({ id: callId, name, input }, index) => [
      chunk({ tool_calls: [{ index, id: callId, type: 'function', function: { name, arguments: '' } }] }),
      ...halves(JSON.stringify(input)).map((part) => chunk({ tool_calls: [{ index, function: { arguments: part } }] })),
    ])
    const counted = { id, object: 'chat.completion.chunk', created: 1_700_000_000, model, choices: [], usage: usageOf(usage) }
    return {
      head: chunk({ role: 'assistant', content: '' }),
      pieces: pieces.map((content) => chunk({ content })),
      tail: `${made.join('')}${chunk({}, finish ?? (calls.length > 0 ? 'tool_calls' : 'stop'))}data: ${JSON.stringify(counted)}\n\ndata: [DONE]\n\n`,
    }
  },
  whole: ({ id, model, pieces, calls, finish, usage }) => ({
    id,
    object: 'chat.completion',
    created: 1_700_000_000,
    model,
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant',
          content: pieces.length > 0 ? pieces.join('') : null,
          ...(calls.length > 0 && {
            tool_calls: calls.map((call) => ({
              id: call.id,
              type: 'function',
              function: { name: call.name, arguments: JSON.stringify(call.input) },
            })),
          }),
        },
        finish_reason: finish ?? (calls.length > 0 ? 'tool_calls' : 'stop'),
      },
    ],
    usage: usageOf(usage),
  }),
  error: ({ type, message, code }) => ({ error: { message, type, param: null, code: code ?? null } }),
  streamError: ({ type, message, code }) => `data: ${JSON.stringify({ error: { message, type, param: null, code: code ?? null } })}\n\n`,
}

const usageOf = ({ input, output }: WireAnswer['usage']) => ({
  prompt_tokens: input,
  completion_tokens: output,
  total_tokens: input + output,
})
