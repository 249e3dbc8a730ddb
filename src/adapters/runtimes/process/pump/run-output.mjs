import { closeSync, constants, existsSync, openSync, readFileSync, readlinkSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { StreamLog } from './stream-log.mjs'

const READ = constants.O_RDONLY | constants.O_NONBLOCK
const onLinux = process.platform === 'linux'
/** Where a wrapper holds its pipes; see run-wrapper.sh. Elsewhere they have names. */
const pipes = onLinux ? { output: 4, error: 6, go: 8 } : { output: 'out', error: 'err', go: 'go' }
/** Everybody reads into this: what was read is written before anything else happens. */
const buffer = Buffer.allocUnsafeSlow(64 * 1024)

/** What one run prints. */
export class RunOutput {
  #path
  #wrapper
  #dir
  #parts
  #open = 0
  #released = false
  #held = false
  /** What it has to do could not be done yet. */
  #due = false
  /** Another pump reads on. */
  #left = false
  #sockets = []
  #logs = []

  /** `over`: nothing of it can come any more. Undefined: not yet, or not now. */
  static open(path, parts) {
    const wrapper = /^\d+ \S+ \S+ (\d+) *\n/.exec(read(join(path, 'pid')))?.[1]
    if (wrapper === undefined) return undefined
    if (!stands(wrapper, path)) return existsSync(join(path, 'exit')) && !stands(wrapper, path) ? endOf(path) : undefined
    const descriptors = []
    const take = (file, flags) => descriptors[descriptors.push(openSync(file, flags)) - 1]
    try {
      const dir = take(path, constants.O_RDONLY | constants.O_DIRECTORY)
      const ends = { output: take(pipeOf(wrapper, path, 'output'), READ), error: take(pipeOf(wrapper, path, 'error'), READ) }
      return new RunOutput(path, wrapper, dir, ends, parts)
    } catch {
      // Gone meanwhile, or no descriptors left: the next sweep tries again.
      for (const descriptor of descriptors) closeSync(descriptor)
      return undefined
    }
  }

  constructor(path, wrapper, dir, ends, parts) {
    this.#path = path
    this.#wrapper = wrapper
    this.#dir = dir
    this.#parts = { ...parts, shared: { bytes: 0 } }
    for (const [name, descriptor] of Object.entries(ends)) this.#read(name, descriptor)
    this.look()
  }

  /** After a poke: the run may have ended, or its logs are to be cleared. */
  look() {
    if (!this.#held) this.#hold()
    if (existsSync(this.#file('clear'))) setImmediate(() => this.#clear())
    const over = !this.#released && /^\d+ *\n/.test(read(this.#file('exit')))
    if (over) this.#released = this.dismiss()
    this.#due = !this.#held || (over && !this.#released)
  }

  /** `full`: looks without a reason, too. */
  sweep(full, aged) {
    if (full || this.#due) this.look()
    for (const log of this.#logs) log.sweep(aged)
  }

  /** Stops reading, so that another pump can. False where no wrapper keeps the rest for it. */
  letGo() {
    if (this.#released || !stands(this.#wrapper, this.#path)) return false
    this.#left = true
    for (const socket of this.#sockets) socket.destroy()
    for (const log of this.#logs) log.close()
    closeSync(this.#dir)
    return true
  }

  /** In the run's directory, wherever that is now. */
  #file(name) {
    return onLinux ? `/proc/self/fd/${this.#dir}/${name}` : join(this.#path, name)
  }

  #read(name, fd) {
    const log = new StreamLog(name, (file) => this.#file(file), this.#parts)
    const callback = (length) => {
      log.append(buffer, length)
      return true
    }
    const socket = new Socket({ fd, readable: true, writable: false, onread: { buffer, callback } })
    socket.on('error', () => {})
    socket.once('close', () => this.#closed(log))
    socket.once('end', () => socket.destroy())
    this.#open += 1
    this.#logs.push(log)
    this.#sockets.push(socket)
  }

  #closed(log) {
    if (this.#left) return
    log.close()
    this.#parts.status.recovered(log)
    this.#open -= 1
    if (this.#open > 0) return
    rmSync(this.#file('output.held'), { force: true })
    endOf(this.#file('.'))
    closeSync(this.#dir)
    this.#parts.ended()
  }

  /** Both pipes are held here, or by nobody: the wrapper may go when it is through. */
  dismiss() {
    try {
      const go = openSync(pipeOf(this.#wrapper, this.#path, 'go'), constants.O_WRONLY | constants.O_NONBLOCK)
      writeSync(go, '\n')
      closeSync(go)
    } catch {
      // The wrapper is gone already, or no descriptor is left.
      return !stands(this.#wrapper, this.#path)
    }
    return true
  }

  /** Tells the wrapper that it is waited for, and for later by which names those are found who still print then. */
  #hold() {
    try {
      const names = onLinux ? ['output', 'error'].map((name) => readlinkSync(pipeOf(this.#wrapper, this.#path, name))) : []
      writeFileSync(this.#file('output.held'), `${names.join('\n')}\n`, { mode: 0o600 })
      this.#held = true
    } catch {
      // The wrapper is gone already, or the disk is full: then with the next sweep.
    }
  }

  #clear() {
    for (const log of this.#logs) log.clear()
    rmSync(this.#file('clear'), { force: true })
  }
}

/** Whether the wrapper of this run lives; nobody else stands in its directory. */
function stands(wrapper, path) {
  if (!onLinux) return existsSync(join(path, 'out')) && alive(Number(wrapper))
  try {
    return readlinkSync(`/proc/${wrapper}/cwd`) === path
  } catch {
    return false
  }
}

function alive(pid) {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const pipeOf = (wrapper, path, name) => (onLinux ? `/proc/${wrapper}/fd/${pipes[name]}` : join(path, pipes[name]))

/** Says that all of its output is in the log. */
function endOf(path) {
  try {
    writeFileSync(join(path, 'output.end'), '', { mode: 0o600 })
  } catch {
    // The directory is gone, or the disk is full: whoever waits for the end waits a moment in vain.
  }
  return 'over'
}

function read(file) {
  try {
    return readFileSync(file, 'latin1')
  } catch {
    return ''
  }
}
