import type { JsonObject } from '../kernel/json.ts'
import type { Tool } from './tool-server.ts'

/** One turn of a conversation with a model. */
export type Turn =
  | { readonly role: 'user'; readonly text: string }
  | { readonly role: 'assistant'; readonly text: string; readonly calls: readonly ModelCall[] }
  | { readonly role: 'tool'; readonly callId: string; readonly tool: string; readonly text: string; readonly isError: boolean }

export interface ModelCall {
  readonly id: string
  readonly tool: string
  readonly args: JsonObject
}

export interface ModelRequest {
  /** What the answer is for; the offline model acts on it. */
  readonly purpose: 'plan' | 'work' | 'synthesise' | 'condense' | 'sample'
  readonly system: string
  readonly turns: readonly Turn[]
  readonly tools: readonly Tool[]
  readonly maxOutputTokens?: number
  /** Names of the team, for the offline planner. */
  readonly team?: readonly string[]
  /** The same facts as in `turns`, for the offline model, which cannot read them out of prose: in `plan` and `synthesise`. */
  readonly facts?: PlanFacts
  readonly signal: AbortSignal
  readonly onText?: (piece: string) => void
  /** The answer begins anew after its stream was cut: the pieces given so far are void, and may come again. */
  readonly onRestart?: () => void
}

export interface PlanFacts {
  /** What the user asked for, in the user's words. */
  readonly objective: string
  /** Of planning, from 1. */
  readonly round: number
  /** Of the tasks done so far. */
  readonly results: readonly { readonly agent: string; readonly text: string }[]
}

export interface ModelAnswer {
  readonly text: string
  readonly calls: readonly ModelCall[]
  readonly finish: 'stop' | 'tool-calls' | 'length' | 'refused'
  readonly usage: { readonly inputTokens: number; readonly outputTokens: number }
  /** USD; null where the model's price is not known. */
  readonly costUsd: number | null
}

/** Answers; streams the text through `onText` while it comes. */
export interface Model {
  /** `provider.model`, as shown to people. */
  readonly id: string
  /** Roughly how many tokens fit, input and output. */
  readonly contextTokens: number
  /** Said with every answer where there is something to say: the offline model that stands in for a missing key. */
  readonly notice: string | null
  /**
   * Retries what passes by itself (429, 5xx, overloaded, a cut connection) with backoff and honours Retry-After; the text
   * answered is whole and of one try, whatever pieces went before it. Rejects with the signal's reason on abort. Throws UPSTREAM
   * when the provider refuses, UNAVAILABLE when it cannot be reached, TIMED_OUT past its time.
   */
  answer(request: ModelRequest): Promise<ModelAnswer>
}

export interface Models {
  /** By alias (`haiku`), model name, or `provider.model[.effort]`. Throws INVALID for a provider that is not known. */
  get(reference: string): Model
}
