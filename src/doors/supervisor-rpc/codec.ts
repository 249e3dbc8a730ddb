import type { Fault } from './faults.ts'
import { type Element, escapeXml, malformed, parseXml } from './xml.ts'

/** A value of XML-RPC. Dates stay the text that they came as. */
export type Value = string | number | boolean | readonly Value[] | { readonly [key: string]: Value }

export interface MethodCall {
  readonly method: string
  readonly params: readonly Value[]
}

/** Throws Fault BAD_ARGUMENTS with what is wrong. */
export function decodeCall(body: Uint8Array): MethodCall {
  const root = parseXml(utf8(body))
  if (root.name !== 'methodCall') throw malformed(`<${root.name}> stands where <methodCall> should`)
  const method = textOf(only(root, 'methodName')).trim()
  if (method === '') throw malformed('it names no method')
  const lists = root.children.filter(({ name }) => name === 'params')
  if (lists.length > 1) throw malformed('it has two lists of parameters')
  return { method, params: (lists[0]?.children ?? []).map((param) => toValue(only(named(param, 'param'), 'value'))) }
}

export function encodeResponse(value: Value): string {
  return `<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n${encode(value)}</param>\n</params>\n</methodResponse>\n`
}

export function encodeFault({ faultCode, message }: Fault): string {
  const fault = encode({ faultCode, faultString: message })
  return `<?xml version='1.0'?>\n<methodResponse>\n<fault>\n${fault}</fault>\n</methodResponse>\n`
}

/** XML-RPC's integers have 32 bits; times grow beyond them in 2038, where supervisord stops them too. */
export const cappedInt = (value: number): number => Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, Math.trunc(value)))

function encode(value: Value): string {
  return `<value>${typed(value)}</value>\n`
}

function typed(value: Value): string {
  if (typeof value === 'string') return `<string>${escapeXml(value)}</string>`
  if (typeof value === 'boolean') return `<boolean>${value ? 1 : 0}</boolean>`
  if (typeof value === 'number') return Number.isInteger(value) ? `<int>${cappedInt(value)}</int>` : `<double>${value}</double>`
  if (isList(value)) return `<array><data>\n${value.map(encode).join('')}</data></array>`
  const members = Object.entries(value).map(([name, inner]) => `<member>\n<name>${escapeXml(name)}</name>\n${encode(inner)}</member>\n`)
  return `<struct>\n${members.join('')}</struct>`
}

const isList = (value: Value): value is readonly Value[] => Array.isArray(value)

function utf8(body: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body)
  } catch {
    throw malformed('it is not UTF-8')
  }
}

function toValue(element: Element): Value {
  const [inner, second] = element.children
  if (second) throw malformed('a <value> holds two values')
  if (!inner) return element.text
  if (element.text.trim() !== '') throw malformed('a <value> holds text beside its value')
  const read = readers[inner.name]
  if (!read) throw malformed(`<${inner.name}> is not a type that is taken`)
  return read(inner)
}

const readers: Readonly<Record<string, (element: Element) => Value>> = {
  string: (element) => textOf(element),
  int: integer,
  i4: integer,
  i8: integer,
  double(element) {
    const text = textOf(element).trim()
    if (!/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$/.test(text)) throw malformed('a <double> is not a number')
    return Number(text)
  },
  boolean(element) {
    const text = textOf(element).trim()
    if (text !== '0' && text !== '1') throw malformed('a <boolean> is neither 0 nor 1')
    return text === '1'
  },
  base64(element) {
    const text = textOf(element).replace(/\s/g, '')
    if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw malformed('a <base64> is none')
    return Buffer.from(text, 'base64').toString('utf8')
  },
  'dateTime.iso8601': (element) => textOf(element).trim(),
  array: (element) => only(element, 'data').children.map((value) => toValue(named(value, 'value'))),
  struct: (element) =>
    Object.fromEntries(
      element.children.map((member) => [textOf(only(named(member, 'member'), 'name')), toValue(only(member, 'value'))] as const),
    ),
}

function integer(element: Element): number {
  const text = textOf(element).trim()
  const value = Number(text)
  if (!/^[+-]?\d{1,16}$/.test(text) || !Number.isSafeInteger(value)) throw malformed(`an <${element.name}> is not a whole number`)
  return value
}

function textOf(element: Element): string {
  if (element.children.length > 0) throw malformed(`<${element.name}> may hold text alone`)
  return element.text
}

/** The one child of this name. */
function only(element: Element, name: string): Element {
  const found = element.children.filter((child) => child.name === name)
  const [child] = found
  if (!child || found.length > 1) throw malformed(`<${element.name}> must hold one <${name}>`)
  return child
}

function named(element: Element, name: string): Element {
  if (element.name !== name) throw malformed(`<${element.name}> stands where <${name}> should`)
  return element
}
