import type { Clock } from '../kernel/clock.ts'

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

  flush(): void {
    this.#planned = false
    for (const [messageId, text] of this.#texts) this.#send(messageId, text)
    this.#texts.clear()
  }
}
