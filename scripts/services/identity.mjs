// Which process is which: a pid alone may be reused, a pid and its start time are never.
import { readFileSync } from 'node:fs'

/** When a process began, in ticks since boot. Nothing when it is gone or a zombie. */
export function startTime(pid) {
  const fields = contents(`/proc/${pid}/stat`).split(') ').at(-1)?.split(' ') ?? []
  return fields[0] === 'Z' ? undefined : fields[19]
}

export const parentOf = (pid) => Number(contents(`/proc/${pid}/stat`).split(') ').at(-1)?.split(' ')[1])

export const alive = ({ pid, startTime: since }) => since !== undefined && startTime(pid) === since

/** What a file says, or nothing where it is gone or not ours to read. */
export function contents(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
