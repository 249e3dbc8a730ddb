import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Check } from '../../../contract/system.ts'
import { reasonOf, systemCode } from '../../../kernel/errors.ts'
import { isObject, tryParse } from '../../../kernel/json.ts'
import type { RunWatch } from './exits.ts'
import { isAlive } from './identity.ts'
import type { Settings } from './options.ts'

export type PartListener = (part: { readonly name: string; readonly ok: boolean; readonly message: string }) => void

/** The pump touches this in the pokes directory when it begins and ends. */
const POKE = '.pump'
/** The smallest heap that V8 offers: the pump holds nothing. */
const FLAGS = ['--max-semi-space-size=1', '--v8-pool-size=0', '--disable-warning=ExperimentalWarning']
const BACKOFF_MS = { first: 100, most: 30_000 } as const
const PROGRAM = join(import.meta.dirname, 'pump')

/**
 * Sees to it that the one process which carries the output of all runs is there while there are runs: a program beside Regent that
 * outlives it, begins with the first run and ends some time after the last.
 */
export class LogPump {
  readonly #settings: Settings
  readonly #needed: () => boolean
  readonly #tell: PartListener
  readonly #stamp: string
  #alive = false
  #begunBy: ChildProcess | undefined
  #failures = 0
  #missing = false
  #cancelRetry: (() => void) | undefined
  #closed = false

  constructor(settings: Settings, watch: RunWatch, needed: () => boolean, tell: PartListener) {
    this.#settings = settings
    this.#needed = needed
    this.#tell = tell
    this.#stamp = stampOf(settings)
    watch.add(POKE, () => this.#look())
    this.#look()
  }

  /** Before each start. */
  ensure(): void {
    if (!this.#alive) this.#look(true)
  }

  check(): Check {
    const status = this.#status()
    const dropped =
      status.failing > 0 || status.dropped > 0 ? `; ${status.dropped} bytes of output were dropped (${status.reason ?? 'disk full'})` : ''
    const state = this.#alive
      ? `carries the output of ${status.runs} runs`
      : this.#needed()
        ? 'is not there: output waits in its pipes'
        : 'has nothing to do'
    return {
      name: 'log pump',
      ok: (this.#alive || !this.#needed()) && status.failing === 0,
      message: `${state}${this.#alive ? dropped : ''}`,
      required: false,
    }
  }

  close(): void {
    this.#closed = true
    this.#cancelRetry?.()
  }

  /** With every sweep, and when the pump says that it is there or goes. */
  #look(needed = this.#needed()): void {
    const holder = this.#closed ? 'unknown' : this.#holder()
    if (holder === 'unknown') return
    const was = this.#alive
    this.#alive = holder?.alive === true && holder.stamp === this.#stamp
    if (this.#alive) this.#found()
    // A lock that nobody holds: it did not end by itself, and what was printed since waits.
    else if (needed || (holder && !holder.alive)) this.#begin(was && holder !== undefined)
  }

  #found(): void {
    this.#failures = 0
    if (!this.#missing) return
    this.#missing = false
    this.#tell({ name: 'log pump', ok: true, message: 'the log pump is back; nothing that agents printed meanwhile is lost' })
  }

  #begin(died: boolean): void {
    if (died && !this.#missing) this.#lost('the log pump was ended')
    if (this.#begunBy || this.#cancelRetry) return
    const { dir, logs } = this.#settings
    const bounds = [logs.maxBytes, logs.keep, logs.maxAgeMs ?? 'Infinity'].map(String)
    try {
      const child = spawn(process.execPath, [...FLAGS, join(PROGRAM, 'log-pump.mjs'), dir, this.#stamp, ...bounds], {
        cwd: '/',
        env: {},
        detached: true,
        stdio: 'ignore',
      })
      child.unref()
      this.#begunBy = child
      child.once('error', (error) => this.#ended(reasonOf(error)))
      child.once('exit', (code, signal) => this.#ended(code === 0 ? null : `it ended with ${signal ?? `code ${code}`}`))
    } catch (error) {
      this.#ended(reasonOf(error))
    }
  }

  /** `reason` is null where it went by itself, or found another one there. */
  #ended(reason: string | null): void {
    this.#begunBy = undefined
    if (reason !== null) {
      this.#failures += 1
      if (!this.#missing && !this.#closed) this.#lost(reason)
    }
    if (this.#closed) return
    if (this.#failures <= 1) {
      this.#look()
      return
    }
    const waitMs = Math.min(BACKOFF_MS.first * 2 ** this.#failures, BACKOFF_MS.most)
    this.#cancelRetry = this.#settings.clock.after(waitMs, () => {
      this.#cancelRetry = undefined
      this.#look()
    })
  }

  #lost(reason: string): void {
    this.#missing = true
    this.#settings.logger.warn({ reason }, 'the log pump is gone and is started anew; what agents print waits in their pipes')
    this.#tell({
      name: 'log pump',
      ok: false,
      message: `${reason}; agents run on, what they print waits in their pipes, and it is started anew`,
    })
  }

  /** `unknown` while Regent itself cannot look. */
  #holder(): { readonly alive: boolean; readonly stamp: string } | undefined | 'unknown' {
    try {
      return this.#lockHolder()
    } catch (error) {
      this.#settings.logger.warn({ reason: reasonOf(error) }, 'whether the log pump lives cannot be seen')
      return 'unknown'
    }
  }

  #lockHolder(): { readonly alive: boolean; readonly stamp: string } | undefined {
    const [pid = '', startTime = '', bootId = '', stamp = ''] = this.#read('lock').trim().split(' ')
    return stamp === '' ? undefined : { alive: isAlive({ pid: Number(pid), startTime, bootId }), stamp }
  }

  #status(): { readonly runs: number; readonly dropped: number; readonly failing: number; readonly reason: string | undefined } {
    const status = tryParse(this.#read('status').trim())
    const number = (name: string) => (isObject(status) && typeof status[name] === 'number' ? status[name] : 0)
    const reason = isObject(status) && typeof status.reason === 'string' ? status.reason : undefined
    return { runs: number('runs'), dropped: number('dropped'), failing: number('failing'), reason }
  }

  #read(name: string): string {
    try {
      return readFileSync(join(this.#settings.pumpDir, name), 'latin1')
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return ''
      throw error
    }
  }
}

/** Names the program and its bounds: a pump that is another one is replaced. */
function stampOf({ logs }: Settings): string {
  const hash = createHash('sha256').update(JSON.stringify([process.version, logs]))
  for (const file of readdirSync(PROGRAM).sort()) hash.update(readFileSync(join(PROGRAM, file)))
  return hash.digest('hex').slice(0, 16)
}
