import { closeSync, constants, fstatSync, ftruncateSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'

const MOST_BYTES = 10 * 1024 * 1024
const FLAGS = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW

/** Regent's own log as a file: bounded, with one file before it. What the disk does not take is dropped: the log must end nobody. */
export interface LogFile {
  write(line: string): void
  /** What the present file holds; undefined while it cannot be read. */
  read(): Buffer | undefined
  clear(): void
  /** Calls the listener with each line that is written from now on, until the answer is called. */
  watch(listener: (line: string) => void): () => void
  close(): Promise<void>
}

export function openLogFile(path: string, mostBytes = MOST_BYTES): LogFile {
  const listeners = new Set<(line: string) => void>()
  let file = tryOpen(path)
  let size = file === undefined ? 0 : fstatSync(file).size
  let closed = false

  const rotate = () => {
    if (file !== undefined) closeSync(file)
    file = undefined
    renameSync(path, `${path}.1`)
    file = tryOpen(path)
    size = 0
  }
  const append = (line: string) => {
    const bytes = Buffer.byteLength(line)
    if (file !== undefined && size > 0 && size + bytes > mostBytes) rotate()
    if (!closed) file ??= tryOpen(path)
    if (file === undefined) return
    writeSync(file, line)
    size += bytes
  }
  return {
    write(line) {
      try {
        append(line)
      } catch {
        // The same line stands on stderr.
      }
      for (const listener of listeners) listener(line)
    },
    read() {
      try {
        return readFileSync(path)
      } catch {
        return undefined
      }
    },
    clear() {
      if (file !== undefined) ftruncateSync(file)
      size = 0
    },
    watch(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    async close() {
      if (file !== undefined) closeSync(file)
      file = undefined
      closed = true
    },
  }
}

/** Undefined for one that cannot be written; a link or a device in its place is left alone. */
function tryOpen(path: string): number | undefined {
  try {
    const file = openSync(path, FLAGS | constants.O_NONBLOCK, 0o600)
    if (fstatSync(file).isFile()) return file
    closeSync(file)
    return undefined
  } catch {
    return undefined
  }
}
