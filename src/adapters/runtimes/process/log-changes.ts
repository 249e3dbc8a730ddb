import { type FSWatcher, watch } from 'node:fs'
import type { Clock } from '../../../kernel/clock.ts'

/** How often to look where the directory cannot be watched. */
const BLIND_MS = 500

/** Wakes a reader when its agent has another run, or something changed in the directory of the one it reads. */
export class Changes {
  readonly #clock: Clock
  readonly #signal: AbortSignal
  readonly #unlisten: () => void
  #watched = true
  #watcher: FSWatcher | undefined
  #changed = false
  #wake = () => {}

  constructor(listen: (listener: () => void) => () => void, clock: Clock, signal: AbortSignal) {
    this.#clock = clock
    this.#signal = signal
    this.#unlisten = listen(this.#note)
    signal.addEventListener('abort', this.#note)
  }

  get aborted(): boolean {
    return this.#signal.aborted
  }

  /** Looks at this directory instead of the one named before. */
  lookAt(dir: string): void {
    this.#watcher?.close()
    this.#watcher = this.#watch(dir)
    this.#watched = this.#watcher !== undefined
  }

  /** Returns when something happened since the last call, or after `withinMs`. */
  async next(withinMs?: number): Promise<void> {
    const blind = this.#watched ? undefined : BLIND_MS
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
    this.#unlisten()
    this.#watcher?.close()
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
