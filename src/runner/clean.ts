import type { OutBody } from '../contract/link.ts'
import { isObject } from '../kernel/json.ts'
import { shorten } from './bounds.ts'

/** Deeper than this nothing is told; the frame around it has levels of its own, and MAX_DEPTH holds for both. */
const DEPTH = 32
const TEXT_CHARS = 200_000
const CONTENT_CHARS = 400_000
const REASON_CHARS = 4_000
/** Of a prompt as it was heard, well below what a frame of the link holds; characters may take six bytes there. */
const HEARD_BYTES = 3 * 1024 * 1024
const METADATA_BYTES = 1024 * 1024
const forbidden = new Set(['__proto__', 'prototype'])

/** Text that every store and every link takes: no NUL, no half of a surrogate pair. */
export function cleanText(text: string): string {
  return text.replaceAll('\0', '\ufffd').toWellFormed()
}

/** A row as Regent accepts it, whatever a model or a tool put into it: a row that were refused would hold up all that come after it. */
export function cleanBody(body: OutBody): OutBody {
  switch (body.kind) {
    case 'say':
      return { ...body, author: cleanText(body.author), content: cleanContent(body.content), metadata: cleanObject(body.metadata) }
    case 'heard':
      return fitting({ ...body, content: cleanText(body.content), metadata: cleanObject(body.metadata) })
    case 'failed':
      return { ...body, reason: shorten(cleanText(body.reason), REASON_CHARS) }
    case 'usage':
      return { ...body, input_tokens: count(body.input_tokens), output_tokens: count(body.output_tokens) }
    default:
      return body
  }
}

/** The agent has the whole of it; what Regent shows is cut. */
function fitting(heard: Extract<OutBody, { kind: 'heard' }>): OutBody {
  if (sizeOf(heard) <= HEARD_BYTES) return heard
  const { content, metadata } = heard
  return { ...heard, content: shorten(content, TEXT_CHARS), metadata: sizeOf(metadata) <= METADATA_BYTES ? metadata : {} }
}

const sizeOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value))

function cleanContent(content: unknown): unknown {
  const cleaned = clean(content, 0)
  if (typeof cleaned === 'string') return shorten(cleaned, TEXT_CHARS)
  const text = JSON.stringify(cleaned) ?? 'null'
  return text.length <= CONTENT_CHARS ? cleaned : shorten(text, TEXT_CHARS)
}

function cleanObject(value: Record<string, unknown>): Record<string, unknown> {
  const cleaned = clean(value, 0)
  return isObject(cleaned) ? cleaned : {}
}

function clean(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return cleanText(value)
  if (typeof value !== 'object' || value === null) return value
  if (depth >= DEPTH) return '[nested too deep]'
  if (Array.isArray(value)) return value.map((inner) => clean(inner, depth + 1))
  const kept = Object.entries(value).filter(([key]) => !forbidden.has(key))
  return Object.fromEntries(kept.map(([key, inner]) => [cleanText(key), clean(inner, depth + 1)]))
}

function count(tokens: number): number {
  return Number.isFinite(tokens) ? Math.max(0, Math.round(tokens)) : 0
}
