import { isUtf8 } from 'node:buffer'
import { RegentError } from '../../kernel/errors.ts'
import { checkJson } from '../../kernel/json.ts'

/** Where a text stopped being JSON; carried in `details` of the BAD_REQUEST, for the dialects that tell it. */
export interface JsonFault {
  readonly what: 'json'
  readonly position: number
}

/**
 * A request's body as JSON. Stricter than JSON.parse, which takes the last of two equal keys, turns 1e999 into Infinity and
 * rounds long integers: each is INVALID with its path, as is all that checkJson refuses. Never quotes the body in an error.
 */
export function parseBody(bytes: Buffer): unknown {
  if (!isUtf8(bytes)) throw notJson('the body is not UTF-8', 0)
  const text = bytes.toString('utf8')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // The parser's own words quote the body, secrets included.
    const position = firstMisfit(text)
    throw notJson(`the body is not JSON: see character ${position}`, position)
  }
  checkJson(value)
  checkTokens(text)
  return value
}

/** The fault's position, where the error is one of a body that is no JSON. */
export function jsonFault(error: RegentError): number | undefined {
  const { what, position } = error.details
  return what === 'json' && typeof position === 'number' ? position : undefined
}

function notJson(message: string, position: number): RegentError {
  return new RegentError('BAD_REQUEST', message, { details: { what: 'json', position } satisfies JsonFault })
}

const lexeme = /\s*(?:"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*|true|false|null|[{}[\],:])/y

/** The first character that begins no token, or the end of a text that stops too early. */
function firstMisfit(text: string): number {
  lexeme.lastIndex = 0
  let end = 0
  while (lexeme.test(text)) end = lexeme.lastIndex
  return end + (/^\s*/.exec(text.slice(end, end + 100))?.[0].length ?? 0)
}

interface Level {
  /** Keys seen so far; undefined in an array. */
  readonly keys: Set<string> | undefined
  at: string | number
}

/** Walks over the tokens of a text that JSON.parse took, for what the parsed value no longer shows. */
function checkTokens(text: string): void {
  const levels: Level[] = []
  let keyNext = false
  for (let at = 0; at < text.length; at++) {
    const char = text[at] ?? ''
    if (char === '"') {
      const end = stringEnd(text, at)
      if (keyNext) takeKey(levels, text.slice(at, end))
      keyNext = false
      at = end - 1
    } else if (char === '-' || (char >= '0' && char <= '9')) {
      const end = numberEnd(text, at)
      checkNumber(text.slice(at, end), levels)
      at = end - 1
    } else if (char === '{' || char === '[') {
      levels.push({ keys: char === '{' ? new Set() : undefined, at: char === '{' ? '' : 0 })
      keyNext = char === '{'
    } else if (char === '}' || char === ']') {
      levels.pop()
      keyNext = false
    } else if (char === ',') {
      const level = levels.at(-1)
      keyNext = level?.keys !== undefined
      if (level && typeof level.at === 'number') level.at++
    }
  }
}

function stringEnd(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); at !== -1; at = text.indexOf('"', at + 1)) {
    let slashes = 0
    while (text[at - 1 - slashes] === '\\') slashes++
    if (slashes % 2 === 0) return at + 1
  }
  return text.length
}

function numberEnd(text: string, start: number): number {
  let end = start + 1
  while (end < text.length && '0123456789.eE+-'.includes(text[end] ?? ' ')) end++
  return end
}

function takeKey(levels: readonly Level[], literal: string): void {
  const level = levels.at(-1)
  const key = literal.includes('\\') ? String(JSON.parse(literal)) : literal.slice(1, -1)
  if (!level?.keys) return
  level.at = key
  if (level.keys.has(key)) throw invalid(levels, 'is given twice')
  level.keys.add(key)
}

function checkNumber(literal: string, levels: readonly Level[]): void {
  const value = Number(literal)
  if (!Number.isFinite(value)) throw invalid(levels, 'is too large a number')
  if (/^-?\d+$/.test(literal) && !Number.isSafeInteger(value)) throw invalid(levels, 'is an integer beyond 2^53')
}

function invalid(levels: readonly Level[], problem: string): RegentError {
  const path = levels
    .map((level) => String(level.at))
    .join('.')
    .slice(-200)
  return new RegentError('INVALID', `${path === '' ? 'the body' : path} ${problem}`, { fields: [{ path, message: problem }] })
}
