import { type FSWatcher, mkdirSync, readdirSync, rmSync, watch, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { reasonOf } from '../../../kernel/errors.ts'
import type { Settings } from './options.ts'

const SWEEP_MS = 2000

/**
 * Tells runs when to look at their records: at once when their wrapper touched its file in the pokes directory, and every two
 * seconds in any case. `look` may be called at any time and any number of times.
 */
export class RunWatch {
  /** Whether pokes are seen; without them whoever waits has to look more often. */
  live = false
  readonly #settings: Settings
  readonly #looks = new Map<string, Set<() => void>>()
  #watcher: FSWatcher | undefined
  #cancelSweep: (() => void) | undefined

  constructor(settings: Settings) {
    this.#settings = settings
    mkdirSync(settings.pokesDir, { recursive: true, mode: 0o700 })
    for (const name of readdirSync(settings.pokesDir)) this.forget(name)
    try {
      this.#watcher = watch(settings.pokesDir, { persistent: false }, (_event, name) => this.#poke(name))
      this.#watcher.on('error', (error) => this.#blind(error))
      this.live = true
    } catch (error) {
      this.#blind(error)
    }
  }

  pokeFile(runId: string): string {
    return join(this.#settings.pokesDir, runId)
  }

  add(runId: string, look: () => void): void {
    const looks = this.#looks.get(runId) ?? new Set()
    this.#looks.set(runId, looks.add(look))
    this.#cancelSweep ??= this.#settings.clock.after(SWEEP_MS, () => this.#sweep())
  }

  remove(runId: string, look: () => void): void {
    const looks = this.#looks.get(runId)
    if (looks?.delete(look) && looks.size === 0) this.#looks.delete(runId)
  }

  /** Makes the log pump look at this run. */
  poke(runId: string): void {
    writeFileSync(this.pokeFile(runId), '', { mode: 0o600 })
  }

  /** No wrapper will poke for this run any more; a file that cannot be removed harms nobody. */
  forget(runId: string): void {
    try {
      rmSync(this.pokeFile(runId), { force: true })
    } catch (error) {
      this.#settings.logger.warn({ runId, reason: reasonOf(error) }, 'what a run was watched by could not be removed')
    }
  }

  close(): void {
    this.#watcher?.close()
    this.#cancelSweep?.()
    this.#looks.clear()
  }

  #poke(name: string | null): void {
    if (name === null) this.#sweep()
    else for (const look of this.#looks.get(name) ?? []) this.#let(look)
  }

  #sweep(): void {
    this.#cancelSweep?.()
    for (const looks of [...this.#looks.values()]) for (const look of [...looks]) this.#let(look)
    this.#cancelSweep = this.#looks.size > 0 ? this.#settings.clock.after(SWEEP_MS, () => this.#sweep()) : undefined
  }

  /** What cannot be seen now is looked at again with the next sweep. */
  #let(look: () => void): void {
    try {
      look()
    } catch (error) {
      this.#settings.logger.warn({ reason: reasonOf(error) }, 'the records of a run cannot be read')
    }
  }

  #blind(error: unknown): void {
    this.live = false
    this.#settings.logger.warn(
      { reason: reasonOf(error) },
      'the directory of run events cannot be watched; ends of runs are seen up to 2 s late',
    )
  }
}
