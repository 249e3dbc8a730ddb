import type { OutBody } from '../contract/link.ts'
import type { Ids } from '../kernel/ids.ts'
import type { Model, ModelAnswer, ModelRequest } from '../ports/model.ts'
import type { Journal, NewEntry } from './journal.ts'
import type { Held, Incoming } from './journal-state.ts'

type Say = Extract<OutBody, { kind: 'say' }>

/**
 * The work on one message, step by step. Each step has a key and its outcome is kept in the journal, so that work that was cut off, by a
 * crash or for another try, goes through the finished steps again without doing them again.
 */
export class Work {
  readonly message: Incoming
  /** Aborted when the agent stops. */
  readonly signal: AbortSignal
  readonly #memo: ReadonlyMap<string, unknown>
  readonly #journal: Journal
  readonly #ids: Ids

  constructor(held: Held, journal: Journal, ids: Ids, signal: AbortSignal) {
    this.message = held.message
    this.#memo = held.memo
    this.#journal = journal
    this.#ids = ids
    this.signal = signal
  }

  /** What was kept under the key. */
  recall<T>(key: string): T | undefined {
    return this.#memo.get(key) as T | undefined
  }

  /** Resolves when the outcome is on disk, with all that was written before it: to be waited for before anything outside is changed. */
  keep(key: string, value: unknown, ...bodies: OutBody[]): Promise<void> {
    this.#write(key, value, bodies)
    return this.#journal.append()
  }

  #write(key: string, value: unknown, bodies: readonly OutBody[]): void {
    const said = bodies.map((body): NewEntry => ({ e: 'say', body }))
    this.#journal.write({ e: 'memo', id: this.message.id, key, value }, ...said)
  }

  /** Says it the first time that the work comes here. */
  once(key: string, ...bodies: OutBody[]): void {
    if (this.recall(key) === undefined) this.#write(key, true, bodies)
  }

  /** The model's answer, asked for once. */
  async ask(key: string, model: Model, request: Omit<ModelRequest, 'signal'>): Promise<ModelAnswer> {
    const known = this.recall<ModelAnswer>(key)
    if (known) return known
    const answer = await model.answer({ ...request, signal: this.signal })
    this.#write(key, answer, [usageOf(model, answer)])
    return answer
  }

  /** A `say` row that belongs to this message. */
  row(type: Say['type'], author: string, content: unknown, metadata: Record<string, unknown> = {}, final = false): Say {
    return { kind: 'say', id: this.#ids.next(), type, content, metadata, author, reply_to: this.message.id, final }
  }
}

export function usageOf(model: Model, answer: ModelAnswer): OutBody {
  const { inputTokens, outputTokens } = answer.usage
  return { kind: 'usage', model: model.id, input_tokens: inputTokens, output_tokens: outputTokens, cost_usd: answer.costUsd }
}
