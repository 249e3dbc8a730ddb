import type { z } from 'zod'
import type { JsonObject } from '../kernel/json.ts'
import type { Caller, Role } from './tokens.ts'

/** One thing a caller may ask. HTTP routes, CLI verbs and later MCP tools and broker commands are built from these. */
export interface OperationShape<I extends z.ZodObject = z.ZodObject, O extends z.ZodType = z.ZodType> {
  /** `noun.verb`, the same words at every door. */
  readonly name: string
  readonly summary: string
  readonly effect: 'read' | 'change' | 'destroy'
  /** The least role that may ask it. */
  readonly role: Role
  /** value: one answer. stream: `output` describes each item. */
  readonly reply: 'value' | 'stream'
  readonly http: { readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'; readonly path: string }
  readonly input: I
  readonly output: O
}

/** How an operation is called. `key`: the same key again, from the same user, has one effect and gets the same answer. */
export interface CallContext {
  readonly caller: Caller
  readonly signal: AbortSignal
  readonly key?: string
  /** Where the call comes from: kept as `origin` in the data of the events that are written as it is accepted. */
  readonly origin?: JsonObject
}

/** What doors and clients hold; they cannot tell whether it is the core or an HTTP client. */
export type Call = (name: string, input: object, context: CallContext) => Promise<object>
export type OpenStream = (name: string, input: object, context: CallContext) => AsyncIterable<object>
