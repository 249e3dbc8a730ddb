import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { RegentError, reasonOf } from '../../kernel/errors.ts'
import { isObject, tryParse } from '../../kernel/json.ts'
import { readAddress } from './address.ts'
import { ensurePrivate, readPrivate, writePrivate } from './private-files.ts'
import { identityOf, isAlive, type ProcessIdentity } from './process-identity.ts'

const HOLDER_FILE = 'lock.json'
/** An empty database, whose lock the kernel lets go of when the process dies; Node has no flock of its own. */
const GUARD_FILE = 'lock'
/** How long a start waits for one that is just ending, in ms. */
const GUARD_MS = 200

/**
 * One process per home. The kernel's lock decides between two that come at once, so that taking over what a dead process left is
 * free of races; the holder's file names it, and guards where such locks do not work. Throws ILLEGAL_STATE naming the holder.
 */
export function takeLock(dir: string): { release(): void } {
  const guard = openGuard(dir)
  const path = join(dir, HOLDER_FILE)
  try {
    const holder = readHolder(path)
    if (holder && holder.pid !== process.pid && isAlive(holder)) throw taken(dir, holder)
    const self = identityOf(process.pid)
    if (!self) throw new RegentError('UNAVAILABLE', 'this process cannot be found by its own pid', { hint: 'Is /proc mounted?' })
    writePrivate(path, `${JSON.stringify(self)}\n`)
  } catch (error) {
    guard.close()
    throw error
  }
  return {
    release() {
      if (!guard.isOpen) return
      rmSync(path, { force: true })
      guard.close()
    },
  }
}

function openGuard(dir: string): DatabaseSync {
  const path = join(dir, GUARD_FILE)
  ensurePrivate(path)
  const guard = new DatabaseSync(path, { timeout: GUARD_MS })
  try {
    guard.exec('pragma journal_mode = memory; begin exclusive')
    return guard
  } catch (error) {
    guard.close()
    const code = (error as { errcode?: number }).errcode
    if (code === undefined || (code & 0xff) !== 5) {
      throw new RegentError('UNAVAILABLE', `${path} cannot be locked: ${reasonOf(error)}`, {
        hint: 'Put the home on a local disk; network and some shared file systems do not work.',
        cause: error,
      })
    }
    throw taken(dir, readHolder(join(dir, HOLDER_FILE)))
  }
}

/** undefined also for one that cannot be understood: it names nobody. */
function readHolder(path: string): ProcessIdentity | undefined {
  const holder = tryParse(readPrivate(path)?.toString('utf8') ?? '')
  if (!isObject(holder)) return undefined
  const { pid, startTime, bootId } = holder
  if (typeof pid !== 'number' || typeof startTime !== 'string' || typeof bootId !== 'string') return undefined
  return { pid, startTime, bootId }
}

function taken(dir: string, holder: ProcessIdentity | undefined): RegentError {
  const address = readAddress(dir)
  const url = address !== undefined && address.pid === holder?.pid ? address.url : undefined
  const who = holder ? `pid ${holder.pid}${url === undefined ? '' : `, ${url}`}` : 'it has not said its pid yet'
  return new RegentError('ILLEGAL_STATE', `another Regent runs in ${dir} (${who})`, {
    hint: 'Use that one, stop it first, or name another home with --home.',
    details: { what: 'home', pid: holder?.pid ?? null, url: url ?? null },
  })
}
