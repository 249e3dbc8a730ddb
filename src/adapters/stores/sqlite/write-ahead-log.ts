import { statSync } from 'node:fs'
import type { Clock } from '../../../kernel/clock.ts'
import { reasonOf, systemCode } from '../../../kernel/errors.ts'
import type { Logger } from '../../../kernel/logger.ts'
import { LOG_LIMIT, type NodeSqlite } from './node-sqlite.ts'

const LOOK_MS = 1000

/**
 * Keeps the write-ahead log small. SQLite folds it in by itself, but not past what another program still reads, and such a reader
 * may be followed by the next without a gap.
 */
export class WriteAheadLog {
  readonly #writer: NodeSqlite
  readonly #file: string
  readonly #clock: Clock
  readonly #logger: Logger
  #lookedAt = Number.NEGATIVE_INFINITY
  #told = false

  constructor(writer: NodeSqlite, { file, clock, logger }: { readonly file: string; readonly clock: Clock; readonly logger: Logger }) {
    this.#writer = writer
    this.#file = `${file}-wal`
    this.#clock = clock
    this.#logger = logger
  }

  /** To be called after commits, outside of a transaction. */
  keepSmall(): void {
    if (this.#clock.elapsed() - this.#lookedAt < LOOK_MS) return
    this.#lookedAt = this.#clock.elapsed()
    const bytes = this.#bytes()
    if (bytes <= LOG_LIMIT) return
    const folded = this.#checkpoint('truncate')
    if (!folded && !this.#told) this.#logger.warn({ bytes }, 'the write-ahead log of the database grows: another program keeps reading it')
    this.#told = !folded
  }

  /** Folds it in so that the next commits overwrite it from its start; true when they will. */
  reuse(): boolean {
    return this.#checkpoint('restart')
  }

  /** Folds all of it into the database, which waits for the disk; true when that was done. */
  foldIn(): boolean {
    return this.#checkpoint('truncate')
  }

  /** Folds it in and closes the connection. */
  close(): void {
    if (!this.#writer.raw.isOpen) return
    if (!this.#checkpoint('truncate')) this.#logger.warn({}, 'the write-ahead log was not folded in at the end; the next start does it')
    this.#writer.close()
  }

  #checkpoint(how: 'restart' | 'truncate'): boolean {
    try {
      return this.#writer.raw.prepare(`pragma wal_checkpoint(${how})`).get()?.busy === 0
    } catch (error) {
      this.#logger.warn({ reason: reasonOf(error) }, 'the write-ahead log could not be folded in')
      return false
    }
  }

  #bytes(): number {
    try {
      return statSync(this.#file).size
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') this.#logger.warn({ reason: reasonOf(error) }, 'the write-ahead log cannot be seen')
      return 0
    }
  }
}
