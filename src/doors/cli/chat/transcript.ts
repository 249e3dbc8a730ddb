import type { EventView } from '../../../contract/events.ts'
import type { Paint } from '../output/terminal.ts'
import { clean, cleanLines, cut } from '../output/text.ts'

export interface Delta {
  readonly author: string
  readonly text: string
}

/**
 * Writes what an agent says as it comes. Pieces of one author are shown at once; while that one speaks, the others' answers wait
 * until they are whole and it has ended, so that two never mix.
 */
export class Transcript {
  readonly #write: (text: string) => void
  readonly #paint: Paint
  #speaker: string | undefined
  /** What was shown of each author's answer that is not whole yet. */
  readonly #shown = new Map<string, string>()
  /** Whole answers of others, for when the speaker has ended. */
  readonly #held: string[] = []
  #isAtStart = true

  constructor(write: (text: string) => void, paint: Paint) {
    this.#write = write
    this.#paint = paint
  }

  delta({ author, text }: Delta): void {
    if (this.#speaker === undefined) {
      this.#speaker = author
      this.#put(this.#label(author))
    }
    if (this.#speaker !== author) return
    this.#shown.set(author, (this.#shown.get(author) ?? '') + text)
    this.#put(cleanLines(text))
  }

  /** A `message.sent` event. */
  said(data: EventView['data']): void {
    const author = String(data.author ?? 'agent')
    const { content } = data
    const text = typeof content === 'string' ? content : JSON.stringify(content)
    if (data.type === 'assistant') this.#answer(author, text, data.truncated === true)
    else if (data.type === 'tool_call') this.#aside(`${author} calls ${callText(content)}`)
    else if (data.type === 'tool_result') this.#aside(`${author} got ${resultText(content)}`)
    else if (data.type !== 'user') this.#aside(text)
  }

  /** One line of its own, from Regent rather than the agent. */
  note(text: string): void {
    this.#pause()
    this.#put(`${this.#paint('dim', clean(text))}\n`)
  }

  /** The turn is over: nothing more of it will come. */
  end(): void {
    this.#pause()
    this.#shown.clear()
  }

  /** What was streamed is not said again; what was not, or was begun anew, is. */
  #answer(author: string, text: string, isCut: boolean): void {
    const whole = text.trim()
    const shown = (this.#shown.get(author) ?? '').trim()
    this.#shown.delete(author)
    const isShown = shown !== '' && (isCut || whole.startsWith(shown))
    const rest = isShown ? (isCut ? '' : cleanLines(whole.slice(shown.length))) : `${this.#label(author)}${cleanLines(whole)}`
    if (this.#speaker !== undefined && this.#speaker !== author) {
      if (rest !== '') this.#held.push(`${rest}\n`)
      return
    }
    if (!isShown) this.#pause()
    this.#put(rest)
    this.#pause()
  }

  #aside(text: string): void {
    this.#pause()
    this.#put(`${this.#paint('dim', `  ${cut(clean(text), 300)}`)}\n`)
  }

  /** Ends the line of whoever speaks, and says what waited for that. */
  #pause(): void {
    this.#speaker = undefined
    if (!this.#isAtStart) this.#put('\n')
    for (const text of this.#held.splice(0)) this.#put(text)
  }

  #put(text: string): void {
    if (text === '') return
    this.#write(text)
    this.#isAtStart = text.endsWith('\n')
  }

  #label(author: string): string {
    return `${this.#paint('cyan', `${clean(author)}>`)} `
  }
}

function callText(content: unknown): string {
  const { tool_name, tool_args } = (content ?? {}) as { tool_name?: unknown; tool_args?: unknown }
  return `${tool_name ?? 'a tool'} ${JSON.stringify(tool_args ?? {})}`
}

/** Results hold MCP content: texts of blocks, or anything. */
function resultText(content: unknown): string {
  const { content: inner, isError } = (content ?? {}) as { content?: unknown; isError?: unknown }
  const texts = Array.isArray(inner)
    ? inner.map((block) => (block as { text?: unknown } | null)?.text ?? JSON.stringify(block))
    : [JSON.stringify(inner ?? content)]
  return `${isError === true ? 'an error: ' : ''}${texts.join(' ')}`
}
