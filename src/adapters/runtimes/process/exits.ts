import { type FSWatcher, mkdirSync, readdirSync, rmSync, watch, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { reasonOf, systemCode } from '../../../kernel/errors.ts'
import type { Settings } from './options.ts'

const SWEEP_MS = 2000
/** One sweep in so many looks at everything; the others only where a process is gone. */
const FULL_SWEEP = 5

type Look = () => void

/**
 * Tells runs when to look at their records: at once when their wrapper touched its file in the pokes directory, within two seconds
 * when their process is gone, and every ten in any case: a process that nobody waited for is still there to be signalled.
 * `look` may be called at any time and any number of times.
 */
export class RunWatch {
  /** Whether pokes are seen; without them whoever waits has to look more often. */
  live = false
  readonly #settings: Settings
  /** Each with the process whose end it waits for; null where it waits for something else. */
  readonly #looks = new Map<string, Map<Look, number | null>>()
  #sweeps = 0
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

  /** Looks every two seconds where no `pid` is given. */
  add(runId: string, look: Look, pid: number | null = null): void {
    const looks = this.#looks.get(runId) ?? new Map<Look, number | null>()
    this.#looks.set(runId, looks.set(look, pid))
    this.#cancelSweep ??= this.#settings.clock.after(SWEEP_MS, () => this.#sweep())
  }

  remove(runId: string, look: Look): void {
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
    if (name === null) this.#sweep(true)
    else for (const look of [...(this.#looks.get(name)?.keys() ?? [])]) this.#let(look)
  }

  #sweep(full = this.#sweeps++ % FULL_SWEEP === 0): void {
    this.#cancelSweep?.()
    for (const looks of [...this.#looks.values()])
      for (const [look, pid] of [...looks]) if (full || pid === null || !isThere(pid)) this.#let(look)
    this.#cancelSweep = this.#looks.size > 0 ? this.#settings.clock.after(SWEEP_MS, () => this.#sweep()) : undefined
  }

  /** What cannot be seen now is looked at again with the next sweep. */
  #let(look: Look): void {
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

/** The cheapest question there is: neither says whose pid it is now, nor whether only its end is left of it. */
function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return systemCode(error) !== 'ESRCH'
  }
}
