import type { FailureKind } from '../../../contract/workers.ts'
import type { JsonObject } from '../../../kernel/json.ts'
import type { Output, TokenCount } from '../../../ports/coding-agents.ts'
import type { StatedLimit } from './limits.ts'

export interface Result {
  readonly text: string
  readonly isError: boolean
}

/** What is kept of a turn while its lines pass: never more than its last words. */
export class Sum {
  sessionId: string | null = null
  /** The last that the model said; the answer of a turn that tells no result. */
  said = ''
  result: Result | null = null
  costUsd: number | null = null
  tokens: TokenCount | null = null
  /** The count is of all turns of the session. */
  tokensOfSession = false
  /** The CLI's own result document; null: all it printed. */
  document: string | null = null
  /** A limit that was stated in a way of its own, beside any text. */
  limit: StatedLimit | null = null
  /** What the result's failure is, where the CLI has a word for it. */
  kind: FailureKind | null = null
  /** Names of the tools that were called and have not answered, by the id of the call. */
  readonly #calls = new Map<string, string>()
  /** What of an answer has been told in pieces. */
  #pieces = ''
  /** The message that each speaker is in the middle of. */
  readonly #messages = new Map<string, string>()

  /** Tells a session id once, and whenever it becomes another. */
  session(id: unknown): readonly Output[] {
    if (typeof id !== 'string' || id.trim() === '' || id.length > 500 || id === this.sessionId) return []
    this.sessionId = id
    return [{ kind: 'session', sessionId: id }]
  }

  say(text: string): readonly Output[] {
    if (text === '') return []
    this.said = text
    return [{ kind: 'text', text }]
  }

  /** A piece of what the model says; nothing is told until the answer settles. */
  piece(text: string): readonly Output[] {
    this.#pieces += text
    return []
  }

  settle(): readonly Output[] {
    const text = this.#pieces
    this.#pieces = ''
    return this.say(text)
  }

  knows(id: string | undefined): boolean {
    return id !== undefined && this.#calls.has(id)
  }

  call(id: string | undefined, tool: string, input: JsonObject): readonly Output[] {
    if (id !== undefined) this.#calls.set(id, tool)
    return [{ kind: 'tool_call', tool, input }]
  }

  answer(id: string | undefined, text: string, isError: boolean): readonly Output[] {
    const tool = id === undefined ? undefined : this.#calls.get(id)
    if (id !== undefined) this.#calls.delete(id)
    return [{ kind: 'tool_result', tool: tool ?? null, text, isError }]
  }

  /** Whether a message is another than the last of this speaker's. */
  speaks(speaker: string, message: string): boolean {
    const isNew = this.#messages.get(speaker) !== message
    this.#messages.set(speaker, message)
    return isNew
  }

  count(tokens: TokenCount): readonly Output[] {
    return tokens.input + tokens.output === 0 ? [] : [{ kind: 'usage', tokens }]
  }

  /** Adds to the whole turn's count, and tells what was added. */
  add(tokens: TokenCount): readonly Output[] {
    this.tokens = { input: (this.tokens?.input ?? 0) + tokens.input, output: (this.tokens?.output ?? 0) + tokens.output }
    return this.count(tokens)
  }

  end(result: Result): readonly Output[] {
    this.result = result
    return [{ kind: 'result', ...result, costUsd: this.costUsd }]
  }
}
