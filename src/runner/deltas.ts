import type { Clock } from '../kernel/clock.ts'
import { cleanText } from './clean.ts'

const EVERY_MS = 50
const PIECE_CHARS = 16_000

/** Gathers the pieces of an answer that is being written, so that many small ones become a few. */
export class Deltas {
  readonly #clock: Clock
  readonly #send: (messageId: string, text: string) => void
  readonly #texts = new Map<string, string>()
  #planned = false

  constructor(clock: Clock, send: (messageId: string, text: string) => void) {
    this.#clock = clock
    this.#send = send
  }

  add(messageId: string, piece: string): void {
    this.#texts.set(messageId, ((this.#texts.get(messageId) ?? '') + piece).slice(-PIECE_CHARS))
    if (this.#planned) return
    this.#planned = true
    this.#clock.after(EVERY_MS, () => this.flush())
  }

  /** The first half of a surrogate pair waits for the second. */
  flush(): void {
    this.#planned = false
    for (const [messageId, text] of this.#texts) {
      const half = /[\ud800-\udbff]$/.test(text)
      const whole = half ? text.slice(0, -1) : text
      if (whole !== '') this.#send(messageId, cleanText(whole))
      if (half) this.#texts.set(messageId, text.slice(-1))
      else this.#texts.delete(messageId)
    }
  }

  /** Nothing more comes for this message; with `told`, what was not sent yet is in the answer that is told as a whole. */
  end(messageId: string, told = false): void {
    if (told) this.#texts.delete(messageId)
    this.flush()
    this.#texts.delete(messageId)
  }
}
