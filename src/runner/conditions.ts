import type { Condition } from '../contract/agents.ts'
import type { Clock } from '../kernel/clock.ts'
import { shorten } from './bounds.ts'
import { cleanText } from './clean.ts'

const MESSAGE_CHARS = 1_000

/** What is missing or standing in while the agent goes on: one entry for each type and subject. */
export class Conditions {
  readonly #clock: Clock
  readonly #redact: (text: string) => string
  readonly #held = new Map<string, Condition>()
  readonly #listeners = new Set<() => void>()
  #telling = false

  constructor(clock: Clock, redact: (text: string) => string) {
    this.#clock = clock
    this.#redact = redact
  }

  /** Raises it, or changes its message; `since` stays that of the first time. */
  raise(type: string, subject: string, message: string): void {
    const key = `${type} ${subject}`
    const before = this.#held.get(key)
    const said = shorten(cleanText(this.#redact(message)), MESSAGE_CHARS)
    if (before?.message === said) return
    this.#held.set(key, { type, subject: cleanText(subject), message: said, since: before?.since ?? this.#clock.now() })
    this.#tell()
  }

  clear(type: string, subject: string): void {
    if (this.#held.delete(`${type} ${subject}`)) this.#tell()
  }

  list(): Condition[] {
    return [...this.#held.values()]
  }

  /** Called after changes, once for all of a turn. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener)
  }

  #tell(): void {
    if (this.#telling) return
    this.#telling = true
    queueMicrotask(() => {
      this.#telling = false
      for (const listener of this.#listeners) listener()
    })
  }
}
