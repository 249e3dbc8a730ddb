import type { Delta } from '../../contract/events.ts'

/** Passes on the pieces of answers that are being written; nothing is kept. */
export class Deltas {
  readonly #listeners = new Set<(delta: Delta) => void>()

  publish(delta: Delta): void {
    for (const listener of this.#listeners) listener(delta)
  }

  /** The answer ends the subscription. */
  subscribe(listener: (delta: Delta) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }
}
