import { RegentError } from '../../../kernel/errors.ts'
import type { RunHandle } from '../../../ports/runtime.ts'

const VERSION = 1
const safe = /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/

/** The run id is the directory's name, so nothing else needs to be stored. */
export function handleOf(runId: string): RunHandle {
  return { runtime: 'process', runId: checkId('run id', runId), version: VERSION, state: null }
}

/** Throws ILLEGAL_STATE for a handle of another runtime or of a later version. */
export function runIdOf(handle: RunHandle): string {
  if (handle.runtime !== 'process' || handle.version !== VERSION)
    throw new RegentError('ILLEGAL_STATE', `a ${handle.runtime} handle of version ${handle.version} is not one of this process runtime`)
  return checkId('run id', handle.runId)
}

export const isSafeId = (id: string): boolean => safe.test(id)

/** Ids become names of directories. */
export function checkId(what: string, id: string): string {
  if (!isSafeId(id)) throw new RegentError('INVALID', `${what} may hold letters, digits, _ and - only, and at most 128 of them`)
  return id
}
