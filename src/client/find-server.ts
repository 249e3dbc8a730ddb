import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { RegentError, systemCode } from '../kernel/errors.ts'
import { isObject, tryParse } from '../kernel/json.ts'
import type { Endpoint } from './http.ts'

/** `server.json` in home, written by `regent serve` while it runs. */
const SERVER_FILE = 'server.json'
const TOKEN_FILE = 'token'

export interface ServerQuery {
  readonly home: string
  /** An address given by the caller; otherwise the one that `serve` left in home. */
  readonly url?: string | undefined
  readonly token?: string | undefined
}

/**
 * The server to talk with. The token in home goes only to the address in home, and only while the process that wrote it lives:
 * whoever takes its port over later must not get it. Throws UNAVAILABLE with `details.what` = `server` where none runs.
 */
export function findServer({ home, url, token }: ServerQuery): Endpoint {
  const local = readServerFile(home)
  const running = local !== undefined && isAlive(local.pid)
  if (url !== undefined && url !== '') {
    if (!/^https?:\/\//.test(url)) throw new RegentError('BAD_REQUEST', `${url} is not an http:// or https:// address`)
    const ours = running && URL.canParse(url) && new URL(url).origin === new URL(local.url).origin
    return { url, token: token || (ours ? readToken(home) : undefined) }
  }
  if (running) return { url: local.url, token: token || readToken(home) }
  const last = local === undefined ? '' : ` (it last was at ${local.url})`
  throw new RegentError('UNAVAILABLE', `no Regent is running for ${home}${last}`, {
    hint: 'start one with `regent serve` (in a checkout also `npm start`), or name one with --url',
    details: { what: 'server' },
  })
}

export interface ServerFile {
  readonly url: string
  readonly pid: number
  readonly startedAt: number
}

export function readServerFile(home: string): ServerFile | undefined {
  const value = tryParse(readOrEmpty(join(home, SERVER_FILE)))
  if (!isObject(value) || typeof value.url !== 'string' || typeof value.pid !== 'number' || !URL.canParse(value.url)) return undefined
  return { url: value.url, pid: value.pid, startedAt: Number(value.startedAt ?? 0) }
}

const readToken = (home: string): string | undefined => readOrEmpty(join(home, TOKEN_FILE)).trim() || undefined

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const code = systemCode(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') return ''
    throw new RegentError('FORBIDDEN', `cannot read ${path} (${code ?? 'unknown reason'})`, {
      hint: 'run the command as the user whose Regent it is',
      cause: error,
    })
  }
}

/** False also for a process of another user: it is not ours. */
function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
