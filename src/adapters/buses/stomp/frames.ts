import { RegentError } from '../../../kernel/errors.ts'
import type { Headers } from './delivery.ts'

/** One that came, its escapes undone. */
export interface Frame {
  readonly command: string
  readonly headers: Headers
  readonly body: string
}

export type Version = '1.1' | '1.2'

const SIGNS: Readonly<Record<string, string>> = { '\\n': '\n', '\\r': '\r', '\\c': ':', '\\\\': '\\' }
const ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', ':': '\\c', '\\': '\\\\' }

/** `version`: undefined as long as none is agreed on; then nothing is escaped. */
export function writeFrame(command: string, headers: Headers, body = '', version?: Version): string {
  let text = `${command}\n`
  for (const name in headers) text += `${escaped(name, version)}:${escaped(headers[name] ?? '', version)}\n`
  return `${text}\n${body}\0`
}

/** STOMP 1.1 knows no escape for a carriage return. */
function escaped(text: string, version: Version | undefined): string {
  if (version === undefined || !/[\\\r\n:]/.test(text)) return text
  return text.replace(version === '1.1' ? /[\\\n:]/g : /[\\\r\n:]/g, (sign) => ESCAPES[sign] ?? sign)
}

/**
 * A command and headers, without the empty line behind them; of a header that comes twice the first counts. Throws INVALID for what is none.
 * The escape of a carriage return is undone for STOMP 1.1 too, which does not have it: a broker of 1.1 sends no such sign.
 */
export function readHead(text: string): { readonly command: string; readonly headers: Headers } {
  const [command = '', ...lines] = (text.includes('\r') ? text.replaceAll('\r', '') : text).split('\n')
  const headers: Record<string, string> = {}
  for (const line of lines) {
    if (line === '') continue
    const at = line.indexOf(':')
    if (at < 0) throw new RegentError('INVALID', 'a frame of the broker has a header without a colon')
    const name = unescaped(line.slice(0, at).trim())
    if (!Object.hasOwn(headers, name)) headers[name] = unescaped(line.slice(at + 1).trim())
  }
  return { command, headers }
}

const unescaped = (text: string): string => (text.includes('\\') ? text.replace(/\\[nrc\\]/g, (sign) => SIGNS[sign] ?? sign) : text)
