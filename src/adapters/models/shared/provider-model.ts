import type { LanguageModel, ToolSet } from 'ai'
import type { Clock } from '../../../kernel/clock.ts'
import { RegentError } from '../../../kernel/errors.ts'
import { isObject, type JsonObject, tryParse } from '../../../kernel/json.ts'
import type { Logger } from '../../../kernel/logger.ts'
import type { Model, ModelAnswer, ModelCall, ModelRequest } from '../../../ports/model.ts'
import type { Effort } from './aliases.ts'
import { CutStream, faultOf } from './faults.ts'
import { messagesOf } from './messages.ts'
import { contextOf, costOf } from './prices.ts'
import { type RetryPolicy, retrying } from './retry.ts'
import { type ToolNames, toolNames } from './tool-names.ts'
import { type Timeouts, type Watch, watchOver } from './watch.ts'

/** What every provider's model has in common. */
export interface ModelOptions {
  readonly model: string
  readonly effort: Effort | undefined
  /** Without one, a placeholder goes out: local servers ask for none. */
  readonly key: string | undefined
  /** As the user wrote it, with or without the version's path; the provider's own without one. */
  readonly baseUrl: string | undefined
  readonly clock: Clock
  readonly logger: Logger
  readonly fetch: typeof globalThis.fetch
  readonly timeouts: Timeouts
  readonly retry: RetryPolicy
}

/** What makes a provider. */
export interface ProviderParts {
  readonly id: string
  readonly key: string
  readonly keyHint: string
  readonly addressHint: string
  readonly maxOutputTokens: number | undefined
  /** Loads the provider's library on first use; called before every try. */
  readonly open: (fetch: typeof globalThis.fetch) => Promise<LanguageModel>
}

export const placeholderKey = 'none'

/** A model behind the AI SDK: one step at a time; tools are told of, never run here. */
export function createProviderModel(parts: ProviderParts, options: ModelOptions): Model {
  const { id } = parts
  const { clock, logger, timeouts, retry: policy, model } = options
  return {
    id,
    contextTokens: contextOf(model),
    notice: null,
    async answer(request) {
      request.signal.throwIfAborted()
      const whole = new AbortController()
      const tooLong = () => whole.abort(new RegentError('TIMED_OUT', `${id} did not answer within ${timeouts.wholeMs / 1000} s`))
      const cancel = clock.after(timeouts.wholeMs, tooLong)
      const signal = AbortSignal.any([request.signal, whole.signal])
      const relay = relayOf(request)
      try {
        return await retrying(() => oneTry(parts, options, request, relay, signal), {
          policy,
          clock,
          signal,
          faultOf: (thrown) => faultOf(thrown, { ...parts, now: clock.now() }),
          onRetry({ error }, pauseMs, tried) {
            logger.warn({ model: id, reason: error.message, pauseMs, tried }, 'a model did not answer; it is asked again')
            relay.restart()
          },
        })
      } finally {
        cancel()
      }
    },
  }
}

interface Relay {
  pass(piece: string): void
  restart(): void
}

/** Tells of a restart only where pieces were passed on. */
function relayOf({ onText, onRestart }: ModelRequest): Relay {
  let passed = false
  return {
    pass(piece) {
      passed = true
      onText?.(piece)
    },
    restart() {
      if (passed) onRestart?.()
      passed = false
    },
  }
}

async function oneTry(parts: ProviderParts, options: ModelOptions, request: ModelRequest, relay: Relay, outer: AbortSignal) {
  const watch = watchOver(parts.id, options.clock, options.timeouts, outer, options.fetch)
  try {
    return await streamed(parts, options, request, relay, watch)
  } catch (thrown) {
    // What the libraries throw on an abort is theirs; the reason is ours.
    watch.signal.throwIfAborted()
    throw thrown
  } finally {
    watch.stop()
  }
}

async function streamed(parts: ProviderParts, options: ModelOptions, request: ModelRequest, relay: Relay, watch: Watch) {
  const { streamText, jsonSchema } = await import('ai')
  Object.assign(globalThis, { AI_SDK_LOG_WARNINGS: false })
  const names = toolNames(request.tools.map(({ name }) => name))
  const tools: ToolSet = Object.fromEntries(
    request.tools.map(({ name, description, inputSchema }) => [
      names.toProvider(name),
      { description, inputSchema: jsonSchema({ properties: {}, ...inputSchema, type: 'object' }) },
    ]),
  )
  const maxOutputTokens = request.maxOutputTokens ?? parts.maxOutputTokens
  const reasoning = usableEffort(options.effort, request)
  const { fullStream } = streamText({
    model: await parts.open(watch.fetch),
    messages: messagesOf(request.turns, names),
    maxRetries: 0,
    abortSignal: watch.signal,
    onError: () => {},
    ...(request.tools.length > 0 && { tools }),
    ...(request.system !== '' && { instructions: request.system }),
    ...(maxOutputTokens !== undefined && { maxOutputTokens }),
    ...(reasoning !== undefined && { reasoning }),
  })
  return await collect(fullStream, names, relay, options.model)
}

/** In the middle of a row of tool calls a provider wants its own thoughts back, which are not kept: there it does without. */
function usableEffort(effort: Effort | undefined, { turns }: ModelRequest): Effort | undefined {
  return turns.at(-1)?.role === 'tool' ? undefined : effort
}

type Part = ReturnType<typeof import('ai').streamText>['fullStream'] extends AsyncIterable<infer P> ? P : never

const noEnd = 'the answer ended before its end'

async function collect(stream: AsyncIterable<Part>, names: ToolNames, relay: Relay, model: string): Promise<ModelAnswer> {
  const { NoOutputGeneratedError } = await import('ai')
  let text = ''
  const calls: ModelCall[] = []
  for await (const part of stream) {
    if (part.type === 'error') throw NoOutputGeneratedError.isInstance(part.error) ? new CutStream(noEnd) : part.error
    if (part.type === 'abort') throw new CutStream('the stream was aborted')
    if (part.type === 'text-delta' && part.text !== '') {
      text += part.text
      relay.pass(part.text)
    }
    if (part.type === 'tool-call') calls.push({ id: part.toolCallId, tool: names.fromProvider(part.toolName), args: argsOf(part.input) })
    if (part.type !== 'finish') continue
    if (part.rawFinishReason === undefined) throw new CutStream(noEnd)
    const usage = { inputTokens: part.totalUsage.inputTokens ?? 0, outputTokens: part.totalUsage.outputTokens ?? 0 }
    const costUsd = costOf(model, usage.inputTokens, usage.outputTokens)
    return { text, ...outcomeOf(part.finishReason, calls), usage, costUsd }
  }
  throw new CutStream(noEnd)
}

/** A call that was cut off by the token limit is dropped: its arguments are not what the model meant. */
function outcomeOf(reason: string, calls: readonly ModelCall[]): Pick<ModelAnswer, 'calls' | 'finish'> {
  if (reason === 'length') return { calls: [], finish: 'length' }
  if (reason === 'content-filter') return { calls: [], finish: 'refused' }
  return { calls, finish: calls.length > 0 ? 'tool-calls' : 'stop' }
}

/** A call whose arguments are no object goes on as it is meant: the tool will say what it lacks. */
function argsOf(input: unknown): JsonObject {
  const value = typeof input === 'string' ? tryParse(input) : input
  return isObject(value) ? (value as JsonObject) : {}
}
