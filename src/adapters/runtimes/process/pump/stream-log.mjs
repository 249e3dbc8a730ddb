import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'

const APPEND = constants.O_APPEND | constants.O_CREAT | constants.O_RDWR
const RECORD = 16
const SLACK = 128 * 1024
/** Logs of quiet agents are closed again, the longest unused first. */
const OPEN_LOGS = 256
const open = new Set()

/**
 * One stream of one run: `NAME.log`, rotated near the bound to `NAME.log.1` and so on, and beside each file `NAME.times` with
 * the moments of its bytes: pairs of 8 bytes, little endian. The first pair is the log's inode and 0; each other an offset in
 * the log and the epoch ms (a double) at which the bytes from there on were read.
 * On a full disk it drops, so that the agent never waits, and says so in the log once there is space.
 */
export class StreamLog {
  #name
  #place
  #bounds
  #status
  #log = -1
  #times = -1
  #size = 0
  #timesSize = 0
  #lastAt = 0
  #begunAt = 0
  #dropped = 0
  #lineOpen = false
  /** Bytes of both streams of the run on disk, about; `trim` counts anew. */
  #shared

  constructor(name, place, { bounds, status, shared }) {
    this.#name = name
    this.#place = place
    this.#bounds = bounds
    this.#status = status
    this.#shared = shared
  }

  append(bytes, length) {
    if (this.#dropped > 0) this.#note()
    this.#dropped += length - this.#put(bytes, length)
  }

  /** Says what is missing as soon as that can be written; holds the bounds of age where time goes by without output. */
  sweep(aged) {
    if (this.#dropped > 0) this.#note()
    if (!aged || this.#bounds.maxAgeMs === Infinity) return
    const now = Date.now()
    for (let age = 1; age <= this.#bounds.keep; age += 1)
      if ((statSync(this.#path('log', age), { throwIfNoEntry: false })?.mtimeMs ?? now) < now - this.#bounds.maxAgeMs) this.#remove(age)
    if (!this.#ready()) return
    // With one part of the time in each file the oldest goes when it is due, and no file waits for the next for long.
    if (this.#size > 0 && now - this.#begunAt > this.#bounds.maxAgeMs / (this.#bounds.keep + 1)) this.#rotate()
  }

  /** Forgets all that was printed until now. */
  clear() {
    this.close()
    for (let age = 0; age <= this.#bounds.keep; age += 1) this.#remove(age)
    this.#dropped = 0
  }

  close() {
    open.delete(this)
    if (this.#log !== -1) closeSync(this.#log)
    if (this.#times !== -1) closeSync(this.#times)
    this.#log = -1
    this.#times = -1
  }

  /** Returns how many bytes are in the log now. */
  #put(bytes, length) {
    let from = 0
    try {
      this.#open()
      this.#date()
      while (from < length) from += writeSync(this.#log, bytes, from, length - from)
      this.#status.recovered(this)
    } catch (error) {
      this.#status.drop(this, length - from, error.code ?? String(error))
      this.close()
    }
    if (from > 0) this.#lineOpen = bytes[from - 1] !== 10
    this.#size += from
    this.#shared.bytes += from + RECORD
    if (this.#size + this.#timesSize >= this.#bounds.maxBytes) this.#rotate()
    if (this.#shared.bytes > this.#most()) this.#trim()
    return from
  }

  #note() {
    const line = Buffer.from(
      `${this.#lineOpen ? '\n' : ''}[regent: the disk was full, ${this.#dropped} bytes of output are missing here]\n`,
    )
    if (this.#put(line, line.length) === line.length) this.#dropped = 0
  }

  #ready() {
    try {
      if (statSync(this.#path('log', 0), { throwIfNoEntry: false })) this.#open()
    } catch {
      // Tried again with the next output.
    }
    return this.#log !== -1
  }

  #open() {
    // In the order of use.
    if (open.delete(this)) return void open.add(this)
    this.#log = openSync(this.#path('log', 0), APPEND, 0o600)
    const { size, ino, birthtimeMs } = fstatSync(this.#log, { bigint: false })
    this.#size = size
    this.#begunAt = birthtimeMs
    this.#times = openSync(this.#path('times', 0), APPEND, 0o600)
    this.#timesSize = fstatSync(this.#times).size
    if (this.#timesSize < RECORD || headOf(this.#times) !== BigInt(ino)) {
      ftruncateSync(this.#times, 0)
      this.#timesSize = 0
      this.#record(BigInt(ino), 0)
    }
    this.#lastAt = 0
    open.add(this)
    if (open.size > OPEN_LOGS) for (const first of open) return first.close()
  }

  /** When the next byte was read; what comes within the same millisecond shares it. */
  #date() {
    const at = performance.timeOrigin + performance.now()
    if (at >= this.#lastAt && at - this.#lastAt < 1) return
    this.#lastAt = at
    this.#record(BigInt(this.#size), at)
  }

  /** A time that cannot be written is no reason to drop output. */
  #record(place, at) {
    const record = Buffer.allocUnsafe(RECORD)
    record.writeBigUInt64LE(place, 0)
    record.writeDoubleLE(at, 8)
    try {
      const written = writeSync(this.#times, record)
      if (written < RECORD) ftruncateSync(this.#times, this.#timesSize)
      else this.#timesSize += RECORD
    } catch {}
  }

  #rotate() {
    this.close()
    const { keep } = this.#bounds
    this.#remove(keep)
    for (let age = keep; age > 0; age -= 1)
      for (const kind of ['times', 'log'])
        try {
          renameSync(this.#path(kind, age - 1), this.#path(kind, age))
        } catch {
          // There is none of that age.
        }
    this.#size = 0
    this.#timesSize = 0
    this.#lineOpen = false
    this.#trim()
  }

  /** What is promised for both streams of one run together; a file may be one read longer than the bound. */
  #most() {
    return (this.#bounds.keep + 1) * (this.#bounds.maxBytes + SLACK)
  }

  /** The oldest files go first, of whichever stream. */
  #trim() {
    const files = readdirSync(this.#place('.'))
      .filter((name) => /^(output|error)\.(log|times)(\.\d+)?$/.test(name))
      .map((name) => ({ name, ...sizeOf(this.#place(name)) }))
      .sort((one, other) => one.at - other.at)
    let total = files.reduce((sum, { size }) => sum + size, 0)
    for (const { name, size } of files) {
      if (total <= this.#most()) break
      if (!/\.\d+$/.test(name)) continue
      rmSync(this.#place(name), { force: true })
      total -= size
    }
    this.#shared.bytes = total
  }

  #remove(age) {
    for (const kind of ['log', 'times']) rmSync(this.#path(kind, age), { force: true })
  }

  #path(kind, age) {
    return this.#place(age === 0 ? `${this.#name}.${kind}` : `${this.#name}.${kind}.${age}`)
  }
}

function headOf(times) {
  const head = Buffer.alloc(8)
  return readSync(times, head, 0, 8, 0) === 8 ? head.readBigUInt64LE(0) : undefined
}

function sizeOf(path) {
  const stat = statSync(path, { throwIfNoEntry: false })
  return { size: stat?.size ?? 0, at: stat?.mtimeMs ?? 0 }
}
