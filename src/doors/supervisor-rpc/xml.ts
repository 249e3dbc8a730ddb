import { Fault } from './faults.ts'

/** An element of XML-RPC, which knows neither attributes nor mixed content. */
export interface Element {
  readonly name: string
  readonly children: Element[]
  text: string
}

const DEEPEST = 32
const tokens = /([^<]+)|<([A-Za-z][\w.:-]*)\s*(\/?)>|<\/([A-Za-z][\w.:-]*)\s*>/y
const declaration = /^\uFEFF?<\?xml\s[^?<>]{0,100}\?>/
const entities: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }
// Everything else may not stand in XML, not even as a reference.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones that are refused
const forbidden = /[\0-\x08\x0B\x0C\x0E-\x1F\uFFFE\uFFFF]/
const forbiddenAll = new RegExp(forbidden.source, 'g')

/** Reads one document: elements and text alone. Declarations of types, comments, attributes and other instructions are refused. */
export function parseXml(source: string): Element {
  const text = source.replace(declaration, '')
  const document: Element = { name: '', children: [], text: '' }
  const open: Element[] = [document]
  tokens.lastIndex = 0
  while (tokens.lastIndex < text.length) {
    const at = tokens.lastIndex
    const found = tokens.exec(text)
    const inner = open.at(-1)
    if (!found || !inner) throw malformed(problemAt(text, at))
    const [, characters, opened, empty, closed] = found
    if (characters !== undefined) inner.text += decode(characters)
    else if (opened !== undefined) {
      const element: Element = { name: opened, children: [], text: '' }
      inner.children.push(element)
      if (empty === '') open.push(element)
      if (open.length > DEEPEST) throw malformed(`elements stand more than ${DEEPEST} deep in each other`)
    } else if (inner === document || closed !== inner.name) throw malformed(`</${closed}> closes nothing`)
    else open.pop()
  }
  const [root] = document.children
  if (open.length > 1) throw malformed(`<${open.at(-1)?.name}> is not closed`)
  if (!root || document.children.length > 1 || document.text.trim() !== '') throw malformed('one element must hold everything')
  return root
}

export const malformed = (problem: string): Fault => new Fault('BAD_ARGUMENTS', `this is not an XML-RPC call: ${problem}`)

function problemAt(text: string, at: number): string {
  if (text.startsWith('<!DOCTYPE', at) || text.startsWith('<!ENTITY', at)) return 'declarations of types are not taken'
  if (text.startsWith('<!', at) || text.startsWith('<?', at)) return 'comments, CDATA and instructions are not taken'
  return `no tag begins at character ${at + 1}`
}

function decode(text: string): string {
  const plain = text.replace(/\r\n?/g, '\n').replace(/&([^;&]{0,10};?)/g, (_, name: string) => referenced(name))
  if (forbidden.test(plain)) throw malformed('it holds a character that XML does not allow')
  return plain
}

function referenced(name: string): string {
  const [, decimal, hex, word] = /^(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|([a-z]{2,4}));$/.exec(name) ?? []
  if (word !== undefined && Object.hasOwn(entities, word)) return entities[word] ?? ''
  const code = decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal)
  if (!(code > 0 && code <= 0x10ffff) || (code >= 0xd800 && code <= 0xdfff)) throw malformed('it holds an unknown entity')
  return String.fromCodePoint(code)
}

/** A text for an answer; what XML cannot hold, such as the escape of colours, becomes U+FFFD. */
export function escapeXml(text: string): string {
  return text
    .toWellFormed()
    .replace(forbiddenAll, '\uFFFD')
    .replace(/[&<>\r]/g, (character) => (character === '&' ? '&amp;' : character === '<' ? '&lt;' : character === '>' ? '&gt;' : '&#13;'))
}
