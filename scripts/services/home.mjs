// Where the test servers keep what they write: `.services/` of the checkout for the state file, logs and jars; their data
// there too, unless another user cannot reach it or its path is too long for a socket, in which case a folder for temporary files.
import { createHash } from 'node:crypto'
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { alive, startTime } from './identity.mjs'

const longestSocketFolder = 70

/** The folder of the state file; another one can be named, for servers beside those of the checkout. */
export const home = resolve(process.env.REGENT_TEST_SERVICES_DIR ?? join(import.meta.dirname, '../../.services'))

export const data =
  reachable(home) && home.length <= longestSocketFolder ? join(home, 'data') : join(tmpdir(), `regent-services-${shortHash(home)}`)

const file = join(home, 'state.json')
const lock = join(home, 'lock')

function shortHash(text) {
  return createHash('sha256').update(text).digest('hex').slice(0, 8)
}

/** Whether every user may pass through the folder and all above it; one that is not there yet will be made so. */
function reachable(folder) {
  const passable = !existsSync(folder) || (statSync(folder).mode & 0o001) !== 0
  return passable && (dirname(folder) === folder || reachable(dirname(folder)))
}

/** A new, empty folder for one server, which belongs to the given user. */
export function freshFolder(name, user) {
  mkdirSync(data, { recursive: true })
  chmodSync(data, 0o711)
  const folder = join(data, name)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { mode: 0o700 })
  if (user !== undefined) chownSync(folder, user.uid, user.gid)
  return folder
}

/** What runs, by name, as `npm run services` left it. */
export function load() {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).services : {}
}

export function save(services) {
  mkdirSync(home, { recursive: true })
  writeFileSync(`${file}.new`, `${JSON.stringify({ version: 1, services }, null, 2)}\n`)
  renameSync(`${file}.new`, file)
}

export function forget() {
  rmSync(file, { force: true })
  rmSync(data, { recursive: true, force: true })
}

/** One caller at a time changes what runs; another is told who does. */
export async function alone(work) {
  mkdirSync(home, { recursive: true })
  const holder = take()
  if (holder !== undefined) throw new Error(`process ${holder.pid} is changing the services of this checkout: wait for it`)
  try {
    return await work()
  } finally {
    rmSync(lock, { force: true })
  }
}

function take() {
  for (;;)
    try {
      writeFileSync(lock, JSON.stringify({ pid: process.pid, startTime: startTime(process.pid) }), { flag: 'wx' })
      return undefined
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
      const holder = parsed(lock)
      if (holder !== undefined && alive(holder)) return holder
      rmSync(lock, { force: true })
    }
}

function parsed(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return undefined
  }
}
