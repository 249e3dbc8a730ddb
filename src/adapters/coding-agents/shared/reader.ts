import { isObject, type JsonObject, tryParse } from '../../../kernel/json.ts'
import type { Output, Turn, TurnExit, TurnReader } from '../../../ports/coding-agents.ts'
import { limitIn } from './limits.ts'
import { type Ending, outcomeOf } from './outcome.ts'
import { PlainOutput } from './plain-output.ts'
import { Sum } from './sum.ts'

/** So often a document is looked for in what only looks like one. */
const MOST_TRIES = 20

/** How one CLI's output is read. */
export interface Wording extends Ending {
  /** One event, a JSON object on a line of its own; null: it is none of this CLI's. What it tells is written into `sum`. */
  event(event: JsonObject, sum: Sum, seen: { readonly line: string; readonly now: number }): readonly Output[] | null
}

/**
 * Reads a CLI that prints JSON objects: one a line, or one document over several lines, with or without other lines around it. Lines of
 * neither kind are told as they are, and kept as long as there are few of them.
 */
export class EventReader implements TurnReader {
  readonly #sum = new Sum()
  readonly #plain = new PlainOutput()
  readonly #wording: Wording
  readonly #given: string | null
  /** Lines of a document that has begun and is not whole. */
  #open = false
  #tries = 0

  constructor(wording: Wording, turn: Pick<Turn, 'sessionId'>) {
    this.#wording = wording
    this.#given = turn.sessionId
  }

  line(text: string, now: number): readonly Output[] {
    const event = text.startsWith('{') || text.startsWith('[') ? this.#read(text, now) : null
    if (event !== null) return event
    if (text.trim() === '') return this.#keep(text)
    if (!this.#open && /^\s*[[{]\s*$/.test(text)) this.#open = true
    this.#keep(text)
    if (!this.#open || this.#tries >= MOST_TRIES) return [{ kind: 'raw', text }]
    if (!/^[\]}]/.test(text)) return []
    this.#tries++
    return this.#close(now)
  }

  end(exit: TurnExit) {
    if (this.#sum.result === null && this.#plain.whole) this.#close(exit.at)
    this.#sum.settle()
    return outcomeOf(this.#sum, { exit, printed: this.#plain.text(), given: this.#given, ending: this.#wording })
  }

  /** What has been kept may be one whole document; then it is read, and kept no longer. */
  #close(now: number): readonly Output[] {
    const text = this.#plain.text()
    const outputs = this.#read(text.trim(), now)
    if (outputs === null) return []
    this.#plain.clear()
    this.#open = false
    return outputs
  }

  /** Of a list of events each is read; null where nothing of it is known. */
  #read(line: string, now: number): readonly Output[] | null {
    const value = tryParse(line)
    if (Array.isArray(value)) {
      const each = value.map((event) => (isObject(event) ? this.#event(event as JsonObject, JSON.stringify(event), now) : null))
      return each.some((outputs) => outputs !== null) ? each.flatMap((outputs) => outputs ?? []) : null
    }
    return isObject(value) ? this.#event(value as JsonObject, line, now) : null
  }

  #event(event: JsonObject, line: string, now: number): readonly Output[] | null {
    const before = this.#sum.result
    const outputs = this.#wording.event(event, this.#sum, { line, now })
    const { result } = this.#sum
    if (outputs === null || result === before || result === null || !result.isError || this.#sum.limit !== null) return outputs
    const limit = limitIn(result.text, now)
    if (limit === undefined) return outputs
    this.#sum.limit = limit
    return [...outputs, { kind: 'limit', until: limit.until, text: result.text }]
  }

  #keep(text: string): readonly Output[] {
    this.#plain.add(text)
    return []
  }
}
