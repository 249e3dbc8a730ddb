import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type Settings, WRAPPER_PATH } from './options.ts'

/**
 * Why a wrapper that was asked for did not get on. `refused`: it said so and is gone; `claimed`: after it had taken the run.
 * `lost`: the spawner ended before anything was heard of it, so it may be there or not; `error` is what the spawner died of,
 * null when it was killed.
 */
export type Setback =
  | { readonly kind: 'refused'; readonly code: number; readonly claimed: boolean }
  | { readonly kind: 'lost'; readonly error: Error | null }

/**
 * A shell that forks the wrappers: begun with the first start, ends when Regent does, replaced when it died. What it forks is
 * no child of Regent and holds none of its pipes but the one for bad news.
 */
export class Spawner {
  readonly #settings: Settings
  readonly #asked = new Map<string, (setback: Setback) => void>()
  /** Lines of this turn: the shell is woken once for all of them. */
  #lines = new Map<string, number>()
  #child: ChildProcess | undefined

  constructor(settings: Settings) {
    this.#settings = settings
  }

  /** `descriptor` must stay open until the run is on record. `hear` is called at most once. */
  ask(runId: string, descriptor: number, hear: (setback: Setback) => void): void {
    this.#asked.set(runId, hear)
    try {
      this.#child ??= this.#begin()
      // Who waits for a start lives until it is there.
      this.#child.ref()
      if (this.#lines.size === 0) process.nextTick(() => this.#write())
      this.#lines.set(runId, descriptor)
    } catch (error) {
      this.#tell(runId, { kind: 'lost', error: error as Error })
    }
  }

  /** The run is on record, or nobody waits for it any more. */
  settle(runId: string): void {
    this.#asked.delete(runId)
    if (this.#asked.size === 0) this.#child?.unref()
  }

  /** Before anything that has happened meanwhile is heard of. */
  #write(): void {
    const lines = [...this.#lines].filter(([runId]) => this.#asked.has(runId))
    this.#lines.clear()
    if (lines.length > 0) this.#child?.stdin?.write(lines.map(([runId, descriptor]) => `${runId} ${descriptor}\n`).join(''))
  }

  close(): void {
    this.#child?.stdin?.end()
    this.#child?.stdout?.destroy()
    this.#child?.stderr?.destroy()
  }

  #begin(): ChildProcess {
    const library = import.meta.dirname
    const child: ChildProcess = spawn(this.#settings.shell, [join(library, 'spawner.sh'), library, String(process.pid)], {
      cwd: this.#settings.dir,
      env: { PATH: WRAPPER_PATH },
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    let said = ''
    child.unref()
    for (const stream of child.stdio ?? []) (stream as unknown as { unref?(): void } | null)?.unref?.()
    // Without descriptors there are no pipes, and soon an error.
    child.stdin?.on('error', () => {})
    child.stderr?.on('data', (piece: Buffer) => {
      said = `${said}${piece}`.slice(-500)
    })
    if (child.stdout) createInterface({ input: child.stdout }).on('line', (line) => this.#hear(line))
    child.once('error', (error) => this.#ended(child, error))
    // What it said last is read by then.
    child.once('exit', (code) =>
      setImmediate(() => this.#ended(child, code === null ? null : new Error(said.trim() || `it ended with code ${code}`))),
    )
    return child
  }

  #hear(line: string): void {
    const [runId = '', code, claimed] = line.split(' ')
    this.#tell(runId, { kind: 'refused', code: Number(code), claimed: claimed === 'claimed' })
  }

  #ended(child: ChildProcess, error: Error | null): void {
    if (this.#child === child) this.#child = undefined
    child.stdout?.destroy()
    child.stderr?.destroy()
    for (const runId of [...this.#asked.keys()]) this.#tell(runId, { kind: 'lost', error })
  }

  #tell(runId: string, setback: Setback): void {
    const hear = this.#asked.get(runId)
    this.#asked.delete(runId)
    hear?.(setback)
  }
}
