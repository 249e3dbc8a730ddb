import { openSync, writeSync } from 'node:fs'
import { join } from 'node:path'

const LENGTH = 255

/** One line of JSON, `{ pid, runs, dropped, failing }`, of fixed length: written in place, so that a full disk cannot keep it from being told. */
export class Status {
  #file
  #runs
  #dropped = 0
  #failing = new Map()
  #written = ''

  constructor(dir, runs) {
    this.#runs = runs
    this.#file = openSync(join(dir, 'status'), 'w', 0o600)
    this.write()
  }

  /** Bytes of a log that could not be written, and why. */
  drop(log, bytes, reason) {
    this.#dropped += bytes
    this.#failing.set(log, reason)
  }

  /** It can be written again, or is no more. */
  recovered(log) {
    this.#failing.delete(log)
  }

  write() {
    const [reason] = this.#failing.values()
    const text = JSON.stringify({ pid: process.pid, runs: this.#runs(), dropped: this.#dropped, failing: this.#failing.size, reason })
    const line = `${text.padEnd(LENGTH)}\n`
    if (line === this.#written) return
    try {
      writeSync(this.#file, line, 0, 'latin1')
      this.#written = line
    } catch {
      // Told with the next sweep.
    }
  }
}
