import { closeSync, fstatSync, openSync, read, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { systemCode } from '../../../kernel/errors.ts'
import type { LogLine } from '../../../ports/runtime.ts'
import { Times } from './log-times.ts'

/** How the files of each stream are called; rotated, with `.1` and so on. */
export const logNames = {
  stdout: { log: 'output.log', times: 'output.times' },
  stderr: { log: 'error.log', times: 'error.times' },
} as const satisfies Record<LogLine['stream'], { log: string; times: string }>
export type LogNames = (typeof logNames)[LogLine['stream']]

/** One open log file; its inode stays its own while it is open, whatever rotation calls it. */
export interface LogFile {
  readonly inode: bigint
  readonly descriptor: number
  /** Undefined where nothing is known of when. */
  readonly times: Times | undefined
}

/** A place in the files of one run, and how many lines follow it. */
export interface Position {
  readonly file: number
  readonly offset: number
  readonly lines: number
}

const BLOCK = 64 * 1024
const NEWLINE = 10
/** A flood of very small files may outrun us; then one may be missed. */
const ATTEMPTS = 100

/** The kept files of one stream of a run, oldest first, none missed and none twice although they may be rotated meanwhile. */
export function openLog(dir: string, names: LogNames): LogFile[] {
  for (let attempt = 1; ; attempt += 1) {
    const before = inodeOf(join(dir, names.log))
    const files = openAll(dir, names)
    // While the newest kept its name the others moved up by one at most, which `openAll` bears.
    if (inodeOf(join(dir, names.log)) === before || attempt === ATTEMPTS) return files.reverse()
    closeAll(files)
  }
}

/** Newest first. Upwards in age a rotation can hide none, and shows one twice at worst. */
function openAll(dir: string, names: LogNames): LogFile[] {
  const files: LogFile[] = []
  const take = (age: number) => {
    const file = openFile(dir, names, age)
    if (file && files.some(({ inode }) => inode === file.inode)) closeAll([file])
    else if (file) files.push(file)
  }
  const oldest = oldestIn(dir, names)
  for (let age = 0; age <= oldest + 1; age += 1) take(age)
  return files
}

/** The inode of the file of this name, undefined while there is none. */
export function inodeOf(path: string): bigint | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false })?.ino
}

export function closeAll(files: readonly LogFile[]): void {
  for (const { descriptor, times } of files) {
    closeSync(descriptor)
    times?.close()
  }
}

/** Reads up to a block; 0 bytes at the end. */
export async function readAt(file: LogFile, into: Buffer, length: number, position: number): Promise<number> {
  return (await readFrom(file.descriptor, into, 0, length, position)).bytesRead
}

const readFrom = promisify(read)

/** Where the last `lines` lines begin, read backwards; a last line without newline counts. */
export async function lastLines(files: readonly LogFile[], lines: number): Promise<Position> {
  let seen = 0
  let atEnd = true
  const block = Buffer.allocUnsafe(BLOCK)
  for (let file = files.length - 1; file >= 0; file -= 1) {
    const log = files[file]
    if (!log) continue
    const { size } = fstatSync(log.descriptor)
    if (lines === 0) return { file, offset: size, lines: 0 }
    for (let end = size; end > 0; end -= Math.min(end, BLOCK)) {
      const start = Math.max(0, end - BLOCK)
      let at = (await readAt(log, block, end - start, start)) - 1
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

function oldestIn(dir: string, { log }: LogNames): number {
  try {
    const ages = readdirSync(dir).map((name) => (name.startsWith(`${log}.`) ? Number(name.slice(log.length + 1)) : 0))
    return Math.max(0, ...ages.filter(Number.isInteger))
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return 0
    throw error
  }
}

function openFile(dir: string, names: LogNames, age: number): LogFile | undefined {
  const path = (name: string, age: number) => join(dir, age === 0 ? name : `${name}.${age}`)
  try {
    const descriptor = openSync(path(names.log, age), 'r')
    const inode = fstatSync(descriptor, { bigint: true }).ino
    // A rotation in between has moved it by one, and the one before it.
    const times = Times.open(path(names.times, age), inode) ?? Times.open(path(names.times, age + 1), inode)
    return { descriptor, inode, times }
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
}
