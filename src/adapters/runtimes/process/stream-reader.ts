import { fstatSync } from 'node:fs'
import { join } from 'node:path'
import { type Line, Lines } from './lines.ts'
import { closeAll, inodeOf, type LogFile, type LogNames, lastLines, openLog, readAt } from './log-files.ts'

const PIECE = 64 * 1024

/** Reads the lines of one stream of one run, over rotations, as far as they are there. */
export class StreamReader {
  readonly #dir: () => string
  readonly #names: LogNames
  readonly #lines: Lines
  readonly #piece = Buffer.allocUnsafe(PIECE)
  readonly #files: LogFile[]
  #offset = 0
  #skipLine = false

  constructor(dir: () => string, names: LogNames, lineBytes?: number) {
    this.#dir = dir
    this.#lines = new Lines(lineBytes)
    this.#names = names
    this.#files = openLog(dir(), names)
  }

  /** Begins `count` lines before the end. */
  async toLast(count: number): Promise<void> {
    if (this.#files.length === 0) return
    const start = await lastLines(this.#files, count)
    closeAll(this.#files.splice(0, start.file))
    this.#offset = start.offset
  }

  /** Begins with a line that was printed at this moment or before it. */
  toMoment(since: number): void {
    const fresh = this.#files.findIndex(({ descriptor }) => fstatSync(descriptor).mtimeMs >= since)
    closeAll(this.#files.splice(0, fresh === -1 ? this.#files.length - 1 : fresh))
    const offset = this.#files[0]?.times?.offsetBefore(since) ?? 0
    // One byte earlier, to know whether a line begins there; of that one only the end would be seen.
    this.#offset = Math.max(0, offset - 1)
    this.#skipLine = offset > 0
  }

  /** The next lines; none when all that is there was read. */
  async next(): Promise<Line[]> {
    for (;;) {
      const [file] = this.#files
      const bytes = file ? await readAt(file, this.#piece, PIECE, this.#offset) : 0
      if (file && bytes > 0) {
        const lines = this.#take(file, bytes)
        if (lines.length > 0) return lines
      } else if (this.#files.length > 1) {
        closeAll(this.#files.splice(0, 1))
        this.#offset = 0
      } else {
        const { newer, gap } = this.#newer(file)
        if (newer.length === 0) return []
        // The present one is complete now, and is read to its end before the next.
        this.#files.push(...newer)
        if (gap) {
          const lines = this.#lines.flush()
          if (lines.length > 0) return lines
        }
      }
    }
  }

  /** The last line, when it has no newline and none will come. */
  rest(): Line[] {
    return this.#lines.flush()
  }

  close(): void {
    closeAll(this.#files.splice(0))
  }

  #take(file: LogFile, bytes: number): Line[] {
    const start = this.#offset
    this.#offset += bytes
    const lines = this.#lines.take(this.#piece.subarray(0, bytes), (offset) => file.times?.at(start + offset) ?? null)
    if (this.#skipLine && lines.length > 0) {
      this.#skipLine = false
      lines.shift()
    }
    return lines
  }

  /** The files that were begun after this one; all that are kept, after a gap, when it is no longer among them. */
  #newer(file: LogFile | undefined): { newer: LogFile[]; gap: boolean } {
    const newest = inodeOf(join(this.#dir(), this.#names.log))
    if (newest === undefined || newest === file?.inode) return { newer: [], gap: false }
    const all = openLog(this.#dir(), this.#names)
    const at = all.findIndex(({ inode }) => inode === file?.inode)
    closeAll(all.slice(0, at + 1))
    return { newer: all.slice(at + 1), gap: at === -1 && file !== undefined }
  }
}
