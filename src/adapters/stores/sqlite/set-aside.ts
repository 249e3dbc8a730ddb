import { lstatSync, renameSync } from 'node:fs'
import type { Clock } from '../../../kernel/clock.ts'
import { RegentError, systemCode } from '../../../kernel/errors.ts'
import { inspect } from './inspect.ts'
import { migrations } from './migrations.ts'

/** Throws, with a hint, for what is not a sound database of this Regent or an older one. */
export function checkDatabase(file: string): void {
  if (inspect(file, migrations.length) === undefined) throw new RegentError('NOT_FOUND', `there is no database: ${file}`)
}

/** What became of a database's file that was looked at for `regent recover`. */
export type Found =
  | { readonly state: 'sound' }
  | { readonly state: 'missing' }
  | { readonly state: 'damaged'; readonly aside: string; readonly problem: string }

/** Gives a damaged database another name, its logs too, so that a new one can take its place. Throws for a sound one of a newer Regent. */
export function setAside(file: string, clock: Clock): Found {
  try {
    return { state: inspect(file, migrations.length) === undefined ? 'missing' : 'sound' }
  } catch (error) {
    if (!(error instanceof RegentError) || error.details.what !== 'damaged') throw error
    const aside = `${file}.damaged-${new Date(clock.now()).toISOString().replace(/[-:.]/g, '')}`
    for (const end of ['-wal', '-shm', '-journal', '']) move(file + end, aside + end)
    return { state: 'damaged', aside, problem: error.message }
  }
}

function move(from: string, to: string): void {
  if (isThere(to)) throw new RegentError('ALREADY_EXISTS', `${to} is there already`, { hint: 'Move it away.' })
  if (isThere(from)) renameSync(from, to)
}

function isThere(path: string): boolean {
  try {
    lstatSync(path)
    return true
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false
    throw error
  }
}
