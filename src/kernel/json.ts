import { RegentError } from './errors.ts'

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }
export type JsonObject = { readonly [key: string]: Json }

/** Deeper than this nothing is accepted or stored (RELIABILITY.md F53). */
const MAX_DEPTH = 64

/**
 * Refuses, with the path, what JSON allows and Regent does not: nesting deeper than MAX_DEPTH, the keys `__proto__` and
 * `constructor.prototype`, NUL characters and lone surrogates in keys and texts.
 */
export function checkJson(value: unknown): void {
  // The path costs more than the look: it is made for what is refused alone.
  if (!isFine(value, 0)) refuse(value)
}

/** Goes no deeper than MAX_DEPTH. Says no, too, where it takes the path to know. */
function isFine(value: unknown, depth: number): boolean {
  if (typeof value === 'string') return isFineText(value)
  if (typeof value !== 'object' || value === null) return true
  if (depth >= MAX_DEPTH) return false
  if (Array.isArray(value)) {
    for (const inner of value) if (!isFine(inner, depth + 1)) return false
    return true
  }
  for (const key in value) {
    if (key === '__proto__' || key === 'prototype' || !isFineText(key)) return false
    if (!isFine((value as Record<string, unknown>)[key], depth + 1)) return false
  }
  return true
}

const isFineText = (text: string): boolean => !text.includes('\0') && text.isWellFormed()

/** Throws for what checkJson refuses. Walks without recursion. */
function refuse(value: unknown): void {
  const stack: { value: unknown; path: string; depth: number }[] = [{ value, path: '', depth: 0 }]
  for (let at = stack.pop(); at; at = stack.pop()) {
    if (typeof at.value === 'string') checkText(at.value, at.path)
    if (typeof at.value !== 'object' || at.value === null) continue
    if (at.depth >= MAX_DEPTH) throw invalid(at.path.slice(0, 80), `is nested deeper than ${MAX_DEPTH} levels`)
    for (const [key, inner] of Object.entries(at.value)) {
      const path = at.path === '' ? key : `${at.path}.${key}`
      if (key === '__proto__' || (key === 'prototype' && at.path.endsWith('constructor')))
        throw invalid(path.slice(-80), 'is a forbidden key')
      checkText(key, path)
      stack.push({ value: inner, path, depth: at.depth + 1 })
    }
  }
}

function checkText(text: string, path: string): void {
  if (text.includes('\0')) throw invalid(path.replaceAll('\0', '\\0').slice(-80), 'contains a NUL character')
  if (!text.isWellFormed()) throw invalid(path.toWellFormed().slice(-80), 'contains half of a surrogate pair')
}

function invalid(path: string, problem: string): RegentError {
  return new RegentError('INVALID', `${path === '' ? 'the body' : path} ${problem}`, { fields: [{ path, message: problem }] })
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** `undefined` when the text is not JSON. */
export function tryParse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
