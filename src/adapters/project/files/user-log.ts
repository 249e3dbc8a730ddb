import { rename } from 'node:fs/promises'
import type { Clock } from '../../../kernel/clock.ts'
import { reasonOf, systemCode } from '../../../kernel/errors.ts'
import type { Logger } from '../../../kernel/logger.ts'
import type { SafeTree } from './safe-tree.ts'

const FILE = 'all.log'
/** Of one line; the rest is cut off. */
const LONGEST_LINE = 64 * 1024
/** Characters that wait for the disk, of one user and of all. */
const MOST_WAITING = 1024 * 1024
const MOST_WAITING_OF_ALL = 8 * 1024 * 1024
const CLOSING_MS = 2000

export interface UserLogsOptions {
  readonly tree: SafeTree
  readonly clock: Clock
  readonly logger: Logger
  /** When it is renamed to `all.log.1`, in bytes. */
  readonly maxBytes?: number
  /** How many renamed ones are kept. */
  readonly keep?: number
}

interface Waiting {
  lines: string[]
  size: number
  /** Lines that the disk did not take, and lines after the present ones for which there was no room. */
  lost: number
  dropped: number
  failing: boolean
  writing: Promise<void> | undefined
}

/** The `all.log` of every user: appended in order, bounded on disk and in memory. What the disk does not take is dropped and counted. */
export class UserLogFiles {
  readonly #options: Required<UserLogsOptions>
  readonly #waiting = new Map<string, Waiting>()
  #size = 0

  constructor(options: UserLogsOptions) {
    this.#options = { maxBytes: 10 * 1024 * 1024, keep: 3, ...options }
  }

  append(owner: string, name: string, text: string, at = this.#options.clock.now()): void {
    const one = this.#waiting.get(owner) ?? { lines: [], size: 0, lost: 0, dropped: 0, failing: false, writing: undefined }
    this.#waiting.set(owner, one)
    const line = lineOf(at, name, text)
    if (one.size + line.length > MOST_WAITING || this.#size + line.length > MOST_WAITING_OF_ALL) {
      one.dropped += 1
      return
    }
    one.lines.push(line)
    one.size += line.length
    this.#size += line.length
    one.writing ??= this.#write(owner, one)
  }

  /** Waits for what is on its way, for a bounded time. */
  async close(): Promise<void> {
    const late = Promise.withResolvers<void>()
    const cancel = this.#options.clock.after(CLOSING_MS, () => late.resolve())
    await Promise.race([Promise.all([...this.#waiting.values()].map((one) => one.writing)), late.promise])
    cancel()
  }

  /** Never rejects. */
  async #write(owner: string, one: Waiting): Promise<void> {
    // Lines of one turn go together.
    await undefined
    while (one.lines.length > 0 || one.dropped > 0) {
      const { lines, size, lost, dropped } = one
      one.lines = []
      one.dropped = 0
      try {
        await this.#appendAll(owner, this.#noteOf(lost) + lines.join('') + this.#noteOf(dropped))
        if (one.failing) this.#options.logger.info({ owner }, "the user's log is written again")
        one.failing = false
        one.lost = 0
      } catch (error) {
        one.lost = lost + lines.length + dropped
        if (!one.failing)
          this.#options.logger.warn({ owner, reason: reasonOf(error) }, "the user's log cannot be written; lines are dropped")
        one.failing = true
      }
      one.size -= size
      this.#size -= size
    }
    one.writing = undefined
    if (!one.failing) this.#waiting.delete(owner)
  }

  #noteOf(lines: number): string {
    return lines === 0 ? '' : lineOf(this.#options.clock.now(), 'regent', `${lines} lines were dropped`)
  }

  async #appendAll(owner: string, text: string): Promise<void> {
    const { tree, maxBytes } = this.#options
    let file = await tree.openLog('agents', owner, FILE)
    try {
      const { size } = await file.stat()
      if (size > 0 && size + Buffer.byteLength(text) > maxBytes) {
        await file.close()
        await this.#rotate(owner)
        file = await tree.openLog('agents', owner, FILE)
      }
      await file.appendFile(text)
    } finally {
      await file.close()
    }
  }

  async #rotate(owner: string): Promise<void> {
    const { tree, keep } = this.#options
    const nameOf = (number: number) => tree.pathOf('agents', owner, number === 0 ? FILE : `${FILE}.${number}`)
    if (keep === 0) return tree.remove('agents', owner, FILE)
    for (let number = keep; number > 0; number -= 1) {
      await rename(nameOf(number - 1), nameOf(number)).catch((error: unknown) => {
        if (systemCode(error) !== 'ENOENT') throw error
      })
    }
  }
}

function lineOf(at: number, name: string, text: string): string {
  const cut = text.length > LONGEST_LINE ? `${text.slice(0, LONGEST_LINE)}…` : text
  return `${new Date(at).toISOString()} [${name}] ${cut.replace(/[\r\n]+$/, '').replace(/\r\n|[\r\n]/g, '\\n')}\n`
}
