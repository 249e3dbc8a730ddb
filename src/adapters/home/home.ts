import { randomBytes } from 'node:crypto'
import { isAbsolute, join } from 'node:path'
import { RegentError } from '../../kernel/errors.ts'
import { newSecret } from '../../kernel/ids.ts'
import { type Address, removeAddress, writeAddress } from './address.ts'
import { dropBallast } from './ballast.ts'
import { takeLock } from './lock.ts'
import { ownFolder, readPrivate, writePrivate } from './private-files.ts'

const KEY_BYTES = 32
const knownFiles = ['regent.db', 'lock', 'lock.json', 'token', 'key', 'server.json', 'runs', 'agents', 'secrets', 'ballast']

/** The folder where all of a Regent's data is; held by this process alone until it is closed. */
export interface Home {
  readonly dir: string
  readonly paths: {
    readonly database: string
    readonly runs: string
    /** One folder per agent, by id: the journals of their runners. */
    readonly agents: string
    readonly secrets: string
    readonly socket: string
    readonly tokenFile: string
  }
  /** The admin's token, made at the first start. */
  readonly token: string
  /** For what Regent signs; made at the first start. */
  readonly key: Buffer
  /** Tells clients of this home where the server is. */
  writeAddress(address: Address): Promise<void>
  removeAddress(): Promise<void>
  /** Takes the address back and lets the next Regent in. May be called again. */
  close(): Promise<void>
}

export type { Address } from './address.ts'

/**
 * Makes the home when it is not there and locks it. Throws FORBIDDEN for a symbolic link in its place, another owner or no right to
 * write, NO_SPACE, and ILLEGAL_STATE when another Regent holds it, with `details.pid` and `details.url`.
 */
export async function openHome({ dir }: { readonly dir: string }): Promise<Home> {
  if (!isAbsolute(dir)) throw new RegentError('INVALID', `the home must be an absolute path: ${dir}`)
  ownFolder(dir, knownFiles, true)
  const lock = lockWithRoom(dir)
  try {
    const paths = {
      database: join(dir, 'regent.db'),
      runs: join(dir, 'runs'),
      agents: join(dir, 'agents'),
      secrets: join(dir, 'secrets'),
      socket: join(dir, 'supervisor.sock'),
      tokenFile: join(dir, 'token'),
    }
    for (const folder of [paths.runs, paths.agents]) ownFolder(folder, [], true)
    ownFolder(paths.secrets)
    const token = readToken(paths.tokenFile)
    const key = readKey(join(dir, 'key'))
    // What a Regent that was killed left behind must not lead a client, and its token, to a stranger.
    removeAddress(dir)
    return handle(dir, paths, token, key, lock)
  } catch (error) {
    lock.release()
    throw error
  }
}

/** On a full disk what is held back makes room for it. */
function lockWithRoom(dir: string): { release(): void } {
  try {
    return takeLock(dir)
  } catch (error) {
    if (!(error instanceof RegentError) || error.code !== 'NO_SPACE' || !dropBallast(dir)) throw error
    return takeLock(dir)
  }
}

function handle(dir: string, paths: Home['paths'], token: string, key: Buffer, lock: { release(): void }): Home {
  let open = true
  return {
    dir,
    paths,
    token,
    key,
    async writeAddress(address) {
      if (!open) throw new RegentError('ILLEGAL_STATE', 'the home is closed')
      writeAddress(dir, address)
    },
    async removeAddress() {
      if (open) removeAddress(dir)
    },
    async close() {
      if (!open) return
      removeAddress(dir)
      open = false
      lock.release()
    },
  }
}

function readToken(path: string): string {
  const kept = readPrivate(path)?.toString('utf8').trim()
  if (kept === undefined) {
    const token = newSecret()
    writePrivate(path, `${token}\n`)
    return token
  }
  if (!/^[A-Za-z0-9_-]{43,256}$/.test(kept)) throw damaged(path)
  return kept
}

function readKey(path: string): Buffer {
  const kept = readPrivate(path)
  if (kept === undefined) {
    const key = randomBytes(KEY_BYTES)
    writePrivate(path, key)
    return key
  }
  if (kept.length !== KEY_BYTES) throw damaged(path)
  return kept
}

function damaged(path: string): RegentError {
  return new RegentError('UNAVAILABLE', `${path} is damaged`, { hint: 'Remove it and start Regent again: a new one is made.' })
}
