// Carries what all agents of one home print from their pipes to their logs, for as long as any of them lives, Regent or not.
//   node log-pump.mjs RUNS_DIR STAMP MAX_BYTES KEEP MAX_AGE_MS
// Learns of runs by the files that their wrappers touch in RUNS_DIR/.pokes and by looking there from time to time. A wrapper
// holds its pipes at both ends, so that nothing is lost while no pump is there. Ends by itself some time after the last run's
// output ended. One pump reads at a time: one of another STAMP (program and bounds) takes over from this.
import { existsSync, mkdirSync, readdirSync, realpathSync, watch, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PumpLock } from './pump-lock.mjs'
import { RunOutput } from './run-output.mjs'
import { Status } from './status.mjs'

const SWEEP_MS = 2000
/** While pokes are seen, one sweep in so many looks at every run; the others only at those that have something left to do. */
const FULL_SWEEP = 5
const IDLE_MS = 10_000

class Pump {
  #dir
  #pokes
  #lock
  #status
  #bounds
  #runs = new Map()
  /** Directories there that need no pump any more. */
  #over = new Set()
  #retired = false
  /** Whether pokes are seen. */
  #live = false
  #sweeps = 0
  /** Runs that poked and could not be taken yet. */
  #due = new Set()
  #quietSince = performance.now()
  #agedAt = performance.now()

  constructor(dir, lock, bounds) {
    this.#dir = dir
    this.#pokes = join(dir, '.pokes')
    this.#lock = lock
    this.#bounds = bounds
    this.#status = new Status(join(dir, '.pump'), () => this.#runs.size)
    mkdirSync(this.#pokes, { recursive: true, mode: 0o700 })
    this.#watch()
    process.on('SIGTERM', () => this.#retire())
    for (const signal of ['SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGPIPE']) process.on(signal, () => {})
    setInterval(() => this.#sweep(), SWEEP_MS)
    this.#scan()
    this.#tell()
  }

  /** Where that is not to be had, sweeps see to everything, a little later. */
  #watch() {
    try {
      watch(this.#pokes, (_event, name) => this.#poked(name)).on('error', () => {
        this.#live = false
      })
      this.#live = true
    } catch {}
  }

  #poked(name) {
    if (name === null) this.#sweep(true)
    else if (!name.startsWith('.')) {
      // Its id may have been given anew.
      this.#over.delete(name)
      this.#due.add(name)
      this.#look(name)
    }
    if (!existsSync(this.#pokes)) this.#homeless()
  }

  #look(runId) {
    const run = this.#runs.get(runId)
    if (run) run.look()
    else if (!this.#retired && !this.#over.has(runId)) this.#take(runId)
    if (this.#retired || this.#runs.has(runId) || this.#over.has(runId)) this.#due.delete(runId)
  }

  #take(runId) {
    const path = join(this.#dir, runId)
    if (existsSync(join(path, 'output.end'))) return void this.#over.add(runId)
    const run = RunOutput.open(path, { bounds: this.#bounds, status: this.#status, ended: () => this.#ended(runId) })
    if (run === 'over') this.#over.add(runId)
    else if (run) this.#runs.set(runId, run)
  }

  #ended(runId) {
    this.#runs.delete(runId)
    this.#over.add(runId)
    this.#quietSince = performance.now()
    if (this.#retired && this.#runs.size === 0) process.exit()
  }

  #scan() {
    let names
    try {
      names = new Set(readdirSync(this.#dir).filter((name) => !name.startsWith('.')))
    } catch {
      // No descriptor is left, or the home is gone: the next sweep knows.
      return
    }
    for (const runId of this.#over) if (!names.has(runId)) this.#over.delete(runId)
    for (const runId of this.#due) if (!names.has(runId)) this.#due.delete(runId)
    for (const runId of names) if (!this.#runs.has(runId)) this.#look(runId)
  }

  #sweep(full = !this.#live || this.#runs.size === 0 || this.#sweeps++ % FULL_SWEEP === 0) {
    if (!existsSync(this.#pokes)) this.#homeless()
    this.#status.write()
    if (!this.#retired) {
      if (!this.#lock.isOurs()) return this.#retire()
      if (full) this.#scan()
      else for (const runId of this.#due) this.#look(runId)
      if (this.#runs.size === 0 && performance.now() - this.#quietSince > IDLE_MS) return this.#retire()
    }
    const aged = performance.now() - this.#agedAt > Math.min(60_000, this.#bounds.maxAgeMs / 20)
    if (aged) this.#agedAt = performance.now()
    for (const run of this.#runs.values()) run.sweep(full, aged)
  }

  /** Reads on only where nobody else could: runs whose wrapper is gone while somebody holds their output. */
  #retire() {
    this.#retired = true
    for (const [runId, run] of this.#runs) if (run.letGo()) this.#runs.delete(runId)
    this.#lock.release()
    this.#tell()
    if (this.#runs.size === 0) process.exit()
  }

  /** Nobody will read any of it: no wrapper needs to wait. */
  #homeless() {
    for (const run of this.#runs.values()) run.dismiss()
    process.exit()
  }

  /** Regent looks at who holds the lock. */
  #tell() {
    try {
      writeFileSync(join(this.#pokes, '.pump'), '', { mode: 0o600 })
    } catch {
      // It looks from time to time, too.
    }
  }
}

process.umask(0o077)
const [dir, stamp, maxBytes, keep, maxAgeMs] = process.argv.slice(2)
const place = realpathSync(dir)
const lock = await PumpLock.take(join(place, '.pump'), stamp)
if (lock) new Pump(place, lock, { maxBytes: Number(maxBytes), keep: Number(keep), maxAgeMs: Number(maxAgeMs) })
