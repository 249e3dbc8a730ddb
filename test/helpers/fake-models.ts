import type { JsonObject } from '../../src/kernel/json.ts'
import type { Model, ModelAnswer, ModelRequest, Models } from '../../src/ports/model.ts'

export type Reply = string | { readonly text?: string; readonly calls?: readonly { readonly tool: string; readonly args: JsonObject }[] }

export interface FakeModels extends Models {
  /** Every request that was answered or failed, in order. */
  readonly asked: readonly (ModelRequest & { readonly model: string })[]
}

/** Models that say what a function tells them to; it may throw, or wait. */
export function fakeModels(
  reply: (request: ModelRequest & { readonly model: string }, number: number) => Reply | Promise<Reply>,
  over: Partial<Pick<Model, 'contextTokens' | 'notice'>> = {},
): FakeModels {
  const asked: (ModelRequest & { model: string })[] = []
  return {
    asked,
    get: (reference) => ({
      id: `fake.${reference}`,
      contextTokens: 100_000,
      notice: null,
      ...over,
      async answer(request): Promise<ModelAnswer> {
        const noted = { ...request, model: reference, turns: structuredClone(request.turns) }
        const number = asked.push(noted)
        const said = await abortable(reply(noted, number), request.signal)
        const { text = '', calls = [] } = typeof said === 'string' ? { text: said } : said
        if (text !== '') request.onText?.(text)
        return {
          text,
          calls: calls.map((call, index) => ({ id: `call-${number}-${index}`, ...call })),
          finish: calls.length > 0 ? 'tool-calls' : 'stop',
          usage: { inputTokens: 10, outputTokens: 5 },
          costUsd: 0.001,
        }
      },
    }),
  }
}

/** A planner's answer: one step, one task for each agent. */
export const planFor = (...agents: readonly string[]): string =>
  JSON.stringify({
    steps: [{ description: 'all', tasks: agents.map((agent) => ({ description: `work of ${agent}`, agent })) }],
    is_complete: false,
  })

export const planDone = JSON.stringify({ steps: [], is_complete: true })

/** The last turn of a request. */
export const lastText = (request: ModelRequest): string => request.turns.at(-1)?.text ?? ''

async function abortable<T>(work: T | Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  return await Promise.race([
    work,
    new Promise<never>((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true })),
  ])
}
