import { checkJson, isObject, type JsonObject, tryParse } from '../../../kernel/json.ts'

/** What the offline model can be told to do; docs/offline-model.md describes the language. */
export type Command =
  | { readonly kind: 'call'; readonly tool: string; readonly args: JsonObject }
  | { readonly kind: 'say'; readonly text: string }
  | { readonly kind: 'sleep'; readonly ms: number }
  | { readonly kind: 'fail'; readonly text: string }
  /** Meant as a call, but its arguments are no JSON object. */
  | { readonly kind: 'broken'; readonly line: string }

// A whole line, or `call TOOL {` anywhere behind a space or a mark. Groups: say|fail, its text, sleep's ms, a bare call, a call with arguments.
const commands =
  /^[ \t>*-]*(?:(say|fail)[ \t]+(\S.*)|sleep[ \t]+(\d{1,7})[ \t]*|call[ \t]+([\w./:-]{1,128})[ \t]*)$|(?<![\w"'`])[Cc]all[ \t]+([\w./:-]{1,128})[ \t]*(?=\{)/gm
const longestArguments = 256 * 1024

/** The commands of a text in order; empty when it holds none and is to be echoed. */
export function parseScript(text: string): Command[] {
  const found: Command[] = []
  const finder = new RegExp(commands)
  for (let match = finder.exec(text); match; match = finder.exec(text)) {
    const [whole, word, words, ms, bare, tool] = match
    if (tool !== undefined) {
      const from = match.index + whole.length
      const end = endOfObject(text, from)
      found.push(callOf(tool, text.slice(from, end), `${whole}${text.slice(from, from + 60)}`))
      finder.lastIndex = end
    } else if (bare !== undefined) found.push({ kind: 'call', tool: bare, args: {} })
    else if (ms !== undefined) found.push({ kind: 'sleep', ms: Number(ms) })
    else if (word === 'fail') found.push({ kind: 'fail', text: (words ?? '').trim() })
    else found.push({ kind: 'say', text: (words ?? '').trim() })
  }
  return found
}

function callOf(tool: string, json: string, shown: string): Command {
  const args = tryParse(json)
  try {
    checkJson(args)
  } catch {
    return { kind: 'broken', line: shown }
  }
  return isObject(args) ? { kind: 'call', tool, args: args as JsonObject } : { kind: 'broken', line: shown }
}

/** Where the object that begins at `from` ends; where it does not, the end of its line. */
function endOfObject(text: string, from: number): number {
  let depth = 0
  let quoted = false
  const last = Math.min(text.length, from + longestArguments)
  for (let at = from; at < last; at++) {
    const sign = text[at]
    if (quoted) {
      if (sign === '\\') at++
      else if (sign === '"') quoted = false
    } else if (sign === '"') quoted = true
    else if (sign === '{') depth++
    else if (sign === '}' && --depth === 0) return at + 1
  }
  const line = text.indexOf('\n', from)
  return line === -1 ? text.length : line
}
