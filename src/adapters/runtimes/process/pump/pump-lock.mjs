import { execFileSync } from 'node:child_process'
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

const TAKEOVER_MS = 5000
const onLinux = process.platform === 'linux'

/** The file `lock`: one line `PID STARTTIME BOOT_ID STAMP` of the pump that reads. */
export class PumpLock {
  #file
  #own

  constructor(file, own) {
    this.#file = file
    this.#own = own
  }

  /** Undefined when a pump of the same stamp has it; one of another is told to go. */
  static async take(dir, stamp) {
    mkdirSync(dir, { recursive: true, mode: 0o700 })
    const file = join(dir, 'lock')
    const own = `${process.pid} ${startTimeOf(process.pid)} ${bootId()} ${stamp}\n`
    const draft = join(dir, `lock.${process.pid}`)
    writeFileSync(draft, own, { mode: 0o600 })
    try {
      const until = performance.now() + TAKEOVER_MS
      for (;;) {
        if (link(draft, file)) return new PumpLock(file, own)
        const held = read(file)
        const [pid, start, boot, other] = held.trim().split(' ')
        if (boot !== bootId() || startTimeOf(pid) !== start) removeStale(file, held)
        else if (other === stamp) return undefined
        else process.kill(Number(pid), performance.now() < until ? 'SIGTERM' : 'SIGKILL')
        await pause(10)
      }
    } finally {
      rmSync(draft, { force: true })
    }
  }

  isOurs() {
    return read(this.#file) === this.#own
  }

  release() {
    if (this.isOurs()) rmSync(this.#file, { force: true })
  }
}

/** Moved away first: what is not the stale one, because somebody was faster, goes back. */
function removeStale(file, held) {
  const aside = `${file}.${process.pid}.old`
  try {
    renameSync(file, aside)
    if (read(aside) !== held) link(aside, file)
  } catch {
    // Somebody else removed it.
  }
  rmSync(aside, { force: true })
}

function link(from, to) {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if (error.code === 'EEXIST') return false
    throw error
  }
}

function read(file) {
  try {
    return readFileSync(file, 'latin1')
  } catch {
    return ''
  }
}

function bootId() {
  return onLinux ? read('/proc/sys/kernel/random/boot_id').trim() : ask('/usr/sbin/sysctl', ['-n', 'kern.bootsessionuuid'])
}

/** As Regent reads it: field 22, in clock ticks, or where there is no /proc the date that `ps` shows. Undefined for a zombie, and when there is none. */
function startTimeOf(pid) {
  if (!onLinux) return ask('/bin/ps', ['-o', 'lstart=', '-p', String(pid)])?.replaceAll(/\s+/g, '_')
  const text = read(`/proc/${pid}/stat`)
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return text === '' || fields[0] === 'Z' ? undefined : fields[19]
}

function ask(file, args) {
  try {
    return execFileSync(file, args, { encoding: 'utf8', env: { LC_ALL: 'C' }, stdio: ['ignore', 'pipe', 'ignore'] }).trim() || undefined
  } catch {
    return undefined
  }
}
