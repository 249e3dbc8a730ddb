import { type FileHandle, open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { systemCode } from '../../../kernel/errors.ts'

/** One open log file; its inode stays its own while it is open, whatever rotation calls it. */
export interface LogFile {
  readonly inode: bigint
  readonly handle: FileHandle
}

/** A place in the files of one run, and how many lines follow it. */
export interface Position {
  readonly file: number
  readonly offset: number
  readonly lines: number
}

const BLOCK = 64 * 1024
const NEWLINE = 10

/** The kept files of a run, oldest first, none missed and none twice although they may be rotated meanwhile. */
export async function openLog(dir: string): Promise<LogFile[]> {
  for (let attempt = 0; ; attempt += 1) {
    const files: LogFile[] = []
    for (const name of await logNames(dir)) {
      const file = await openFile(join(dir, name))
      // Upwards a rotation can only show the same file again.
      if (file && files.some(({ inode }) => inode === file.inode)) await file.handle.close()
      else if (file) files.push(file)
    }
    const newest = await inodeOf(join(dir, 'output.log'))
    if (newest === files[0]?.inode || attempt === 9) return files.reverse()
    await closeAll(files)
  }
}

/** The inode of the file being written, undefined while there is none. */
export async function inodeOf(path: string): Promise<bigint | undefined> {
  try {
    return (await stat(path, { bigint: true })).ino
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
}

export async function closeAll(files: readonly LogFile[]): Promise<void> {
  for (const { handle } of files) await handle.close()
}

/** Where the last `lines` lines begin, read backwards; a last line without newline counts. */
export async function lastLines(files: readonly LogFile[], lines: number): Promise<Position> {
  let seen = 0
  let atEnd = true
  const block = Buffer.allocUnsafe(BLOCK)
  for (let file = files.length - 1; file >= 0; file -= 1) {
    const handle = files[file]?.handle
    if (!handle) continue
    const { size } = await handle.stat()
    if (lines === 0) return { file, offset: size, lines: 0 }
    for (let end = size; end > 0; end -= Math.min(end, BLOCK)) {
      const start = Math.max(0, end - BLOCK)
      const { bytesRead } = await handle.read(block, 0, end - start, start)
      let at = bytesRead - 1
      if (atEnd && block[at] === NEWLINE) at -= 1
      atEnd = false
      for (at = before(block, at); at >= 0; at = before(block, at - 1)) {
        seen += 1
        if (seen === lines) return { file, offset: start + at + 1, lines }
      }
    }
  }
  return { file: 0, offset: 0, lines: atEnd ? 0 : seen + 1 }
}

/** The last newline at or before `at`; lastIndexOf would count a negative one from the end. */
const before = (block: Buffer, at: number): number => (at < 0 ? -1 : block.lastIndexOf(NEWLINE, at))

/** `output.log`, then its older ones by age. */
async function logNames(dir: string): Promise<string[]> {
  try {
    const names = (await readdir(dir)).filter((name) => /^output\.log(\.\d+)?$/.test(name))
    const age = (name: string) => Number(name.slice('output.log.'.length))
    return ['output.log', ...names.filter((name) => name !== 'output.log').sort((one, other) => age(one) - age(other))]
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return []
    throw error
  }
}

async function openFile(path: string): Promise<LogFile | undefined> {
  let handle: FileHandle
  try {
    handle = await open(path, 'r')
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
  return { inode: (await handle.stat({ bigint: true })).ino, handle }
}
