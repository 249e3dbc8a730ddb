import type { Clock } from '../kernel/clock.ts'

/** So long an acceptance waits at least, and at most twice as long, for the end of the work. */
const HOLD_MS = 100

/**
 * The messages that Regent sent and has not been told of yet that they stand in the journal. One whose work ends soon is told in one
 * frame with that end: Regent then never writes down that it had arrived.
 */
export class Acceptances {
  readonly #clock: Clock
  readonly #onReady: () => void
  /** On their way into the journal. */
  readonly #coming = new Set<string>()
  /** The same, where the work has ended before: nothing is to be waited for. */
  readonly #known = new Set<string>()
  #fresh = new Set<string>()
  #older = new Set<string>()
  #ready: string[] = []
  #cancel: (() => void) | null = null

  /** `onReady` is called when some are to be told whether their work has ended or not. */
  constructor(clock: Clock, onReady: () => void) {
    this.#clock = clock
    this.#onReady = onReady
  }

  coming(id: string, isOver: boolean): void {
    if (isOver) this.#known.add(id)
    else this.#coming.add(id)
  }

  stored(id: string): void {
    if (this.#known.delete(id)) {
      this.#ready.push(id)
      this.#onReady()
    } else if (this.#coming.delete(id)) {
      this.#fresh.add(id)
      this.#wait()
    }
    // Else its end was told already.
  }

  /** What is to be told now: those whose work has `ended`, then others, `most` in all. */
  take(ended: readonly string[], most: number): string[] {
    const told = ended.filter((id) => this.#coming.delete(id) || this.#fresh.delete(id) || this.#older.delete(id))
    return [...told, ...this.#ready.splice(0, most - told.length)]
  }

  /** Another connection: Regent sends anew what it was not told of. */
  clear(): void {
    this.#cancel?.()
    this.#cancel = null
    for (const held of [this.#coming, this.#known, this.#fresh, this.#older]) held.clear()
    this.#ready = []
  }

  #wait(): void {
    this.#cancel ??= this.#clock.after(HOLD_MS, () => {
      this.#cancel = null
      const overdue = [...this.#older]
      this.#older = this.#fresh
      this.#fresh = new Set()
      if (this.#older.size > 0) this.#wait()
      this.#ready.push(...overdue)
      if (overdue.length > 0) this.#onReady()
    })
  }
}
