import { z } from 'zod'
import { agentRef } from './names.ts'
import type { OperationShape } from './operation.ts'

/** The words that entries of the operations table are written in. */

export const define = <const N extends string, const R extends 'value' | 'stream', const I extends z.ZodObject, const O extends z.ZodType>(
  shape: OperationShape<I, O> & { readonly name: N; readonly reply: R },
): OperationShape<I, O> & { readonly name: N; readonly reply: R } => shape

export const agent = { agent: agentRef }
/** A number that may come as text in a query; an empty text is not a number. */
export const count = (min: number, max: number) =>
  z.preprocess((value) => (typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value), z.number().int().min(min).max(max))
export const flag = z.preprocess(
  (value) => (value === 'true' || value === '1' ? true : value === 'false' || value === '0' ? false : value),
  z.boolean(),
)
export const wait = flag.default(false).describe('answer after the outcome was seen')
export const timeout = count(1, 86_400_000).optional().describe('ms to wait at most')
export const page = { limit: count(1, 500).default(100), cursor: z.string().max(500).optional().describe('next_cursor of the page before') }
export const nextCursor = z.string().nullable()
