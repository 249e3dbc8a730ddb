import { type FSWatcher, watch } from 'node:fs'
import type { Clock } from '../../../kernel/clock.ts'

/** How often to look where the directories cannot be watched. */
const BLIND_MS = 500

/** Wakes a reader when something changed in the directories it looks at. */
export class Changes {
  readonly #clock: Clock
  readonly #signal: AbortSignal
  readonly #watchers: (FSWatcher | undefined)[] = []
  #changed = false
  #wake = () => {}

  constructor(dir: string, clock: Clock, signal: AbortSignal) {
    this.#clock = clock
    this.#signal = signal
    this.#watchers.push(this.#watch(dir))
    signal.addEventListener('abort', this.#note)
  }

  get aborted(): boolean {
    return this.#signal.aborted
  }

  /** Looks at this directory instead of the one named before. */
  also(dir: string): void {
    this.#watchers[1]?.close()
    this.#watchers[1] = this.#watch(dir)
  }

  /** Returns when something happened since the last call, or after `withinMs`. */
  async next(withinMs?: number): Promise<void> {
    const blind = this.#watchers.includes(undefined) ? BLIND_MS : undefined
    const limit = Math.min(withinMs ?? Number.POSITIVE_INFINITY, blind ?? Number.POSITIVE_INFINITY)
    if (!this.#changed && !this.aborted) {
      await new Promise<void>((resolve) => {
        const cancel = Number.isFinite(limit) ? this.#clock.after(limit, resolve) : () => {}
        this.#wake = () => {
          cancel()
          resolve()
        }
      })
    }
    this.#changed = false
  }

  close(): void {
    this.#signal.removeEventListener('abort', this.#note)
    for (const watcher of this.#watchers) watcher?.close()
  }

  readonly #note = (): void => {
    this.#changed = true
    this.#wake()
  }

  #watch(dir: string): FSWatcher | undefined {
    try {
      const watcher = watch(dir, { persistent: false }, this.#note)
      watcher.on('error', this.#note)
      return watcher
    } catch {
      return undefined
    }
  }
}
