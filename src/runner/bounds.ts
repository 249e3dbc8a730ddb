import type { Turn } from '../ports/model.ts'
import type { Tool } from '../ports/tool-server.ts'

const CHARS_PER_TOKEN = 3.5

/** Of a model's context, what may be filled with input; the rest is for its answer and for the estimate's error. */
const INPUT_SHARE = 0.7

/** How many characters of input a model should be given at most. */
export function inputChars(model: { readonly contextTokens: number }): number {
  return Math.floor(model.contextTokens * INPUT_SHARE * CHARS_PER_TOKEN)
}

export function turnChars(turn: Turn): number {
  return turn.text.length + (turn.role === 'assistant' && turn.calls.length > 0 ? JSON.stringify(turn.calls).length : 0)
}

export function turnsChars(turns: readonly Turn[]): number {
  let sum = 0
  for (const turn of turns) sum += turnChars(turn)
  return sum
}

export function toolsChars(tools: readonly Tool[]): number {
  return tools.reduce((sum, tool) => sum + tool.name.length + tool.description.length + JSON.stringify(tool.inputSchema).length, 0)
}

/** The text itself, or its beginning and end with a mark where something was left out. */
export function shorten(text: string, limit: number): string {
  if (text.length <= limit) return text
  const mark = `\n[… ${text.length - limit} characters left out …]\n`
  const room = Math.max(0, limit - mark.length)
  const head = Math.ceil(room * 0.7)
  return `${text.slice(0, head).toWellFormed()}${mark}${text.slice(text.length - (room - head)).toWellFormed()}`
}
