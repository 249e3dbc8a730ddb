import { RegentError } from '../../../kernel/errors.ts'

export interface IniValue {
  readonly text: string
  /** From 1. */
  readonly line: number
}

/** Section by name, in the order of the file; keys are in lower case. */
export type Ini = Map<string, Map<string, IniValue>>

const heading = /^\[([^\]]+)\]/
const inlineComment = /(^|\s)[;#].*$/

/**
 * By the rules of supervisord: `key=value` or `key: value`, comments begin with ; or # at the start of a line or after a blank, a line
 * that is indented deeper than its key goes on with the value, a section that comes again goes on. Throws INVALID with the line.
 */
export function readIni(text: string, file: string): Ini {
  const sections: Ini = new Map()
  let section: Map<string, IniValue> | undefined
  let open: { key: string; indent: number } | undefined
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = index + 1
    const content = raw.replace(inlineComment, '').trimEnd()
    const indent = content.search(/\S/)
    if (indent < 0) continue
    const known = open && section?.get(open.key)
    if (open && known && section && indent > open.indent) {
      section.set(open.key, { text: `${known.text}\n${content.trim()}`, line: known.line })
      continue
    }
    const name = heading.exec(content.trim())?.[1]
    if (name !== undefined) {
      section = sections.get(name) ?? new Map()
      sections.set(name, section)
      open = undefined
      continue
    }
    const [, key, value] = /^\s*([^=:\s][^=:]*?)\s*[=:]\s*(.*)$/.exec(content) ?? []
    if (key === undefined || value === undefined || !section)
      throw new RegentError(
        'INVALID',
        `${file}:${line}: ${section ? 'not a line of the form key=value' : 'there is no [section] above this line'}`,
      )
    open = { key: key.toLowerCase(), indent }
    section.set(open.key, { text: value, line })
  }
  return sections
}
