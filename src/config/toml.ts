import { parse, TomlDate, TomlError } from 'smol-toml'
import { RegentError } from '../kernel/errors.ts'

/** One value of a TOML file, and where its key stands; both from 1. */
export interface TomlEntry {
  readonly value: unknown
  readonly line: number
  readonly column: number
}

/** The file as a flat map: `http.port` to its value. Throws INVALID with file, line and column. */
export function readToml(text: string, file: string): ReadonlyMap<string, TomlEntry> {
  const positions = keyPositions(text)
  const entries = new Map<string, TomlEntry>()
  const walk = (table: object, prefix: string) => {
    for (const [key, value] of Object.entries(table)) {
      const path = prefix + key
      if (isTable(value) && Object.keys(value).length > 0) walk(value, `${path}.`)
      else entries.set(path, { value, ...positionOf(path, positions) })
    }
  }
  walk(parseToml(text, file), '')
  return entries
}

function parseToml(text: string, file: string): object {
  try {
    return parse(text, { unsafeKeyBehaviour: 'throw', maxDepth: 16 })
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    const [problem = ''] = error.message.split('\n')
    throw new RegentError('INVALID', `${file}:${error.line}:${error.column}: ${problem}\n${error.codeblock.trimEnd()}`, { cause: error })
  }
}

const isTable = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof TomlDate)

interface Position {
  readonly line: number
  readonly column: number
}

/** Of the key itself, or of the nearest table around it. */
function positionOf(path: string, positions: ReadonlyMap<string, Position>): Position {
  for (let at = path; at !== ''; at = at.slice(0, Math.max(0, at.lastIndexOf('.')))) {
    const position = positions.get(at)
    if (position) return { line: position.line, column: position.column }
  }
  return { line: 1, column: 1 }
}

const name = String.raw`(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')`
const dotted = String.raw`${name}(?:\s*\.\s*${name})*`
const header = new RegExp(String.raw`^\s*\[\[?\s*(${dotted})\s*\]`, 'd')
const assignment = new RegExp(String.raw`^\s*(${dotted})\s*=`, 'd')

/** The parser tells no positions, so keys are found by lines; texts over several lines are skipped. */
function keyPositions(text: string): ReadonlyMap<string, Position> {
  const found = new Map<string, Position>()
  let table = ''
  let until: string | undefined
  for (const [index, line] of text.split('\n').entries()) {
    if (until === undefined) {
      const match = header.exec(line) ?? assignment.exec(line)
      const isHeader = match !== null && line.trimStart().startsWith('[')
      const key = match?.[1] === undefined ? undefined : plain(match[1])
      if (isHeader && key !== undefined) table = key
      if (key !== undefined) {
        const path = isHeader || table === '' ? key : `${table}.${key}`
        found.set(path, { line: index + 1, column: (match?.indices?.[1]?.[0] ?? 0) + 1 })
      }
    }
    until = openText(line, until)
  }
  return found
}

const plain = (key: string): string =>
  [...key.matchAll(new RegExp(name, 'g'))].map(([part]) => part.replace(/^(["'])(.*)\1$/, '$2')).join('.')

/** The delimiter of the multi-line text that is still open after this line. */
function openText(line: string, open: string | undefined): string | undefined {
  let state = open
  for (const [mark] of line.matchAll(/"""|'''|#|"(?:[^"\\]|\\.)*"|'[^']*'/g)) {
    if (state === undefined && mark === '#') return undefined
    if (mark !== '"""' && mark !== "'''") continue
    if (state === undefined) state = mark
    else if (state === mark) state = undefined
  }
  return state
}
