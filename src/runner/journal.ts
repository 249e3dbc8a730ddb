import type { FileHandle } from 'node:fs/promises'
import { open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { OutBody } from '../contract/link.ts'
import type { Clock } from '../kernel/clock.ts'
import { reasonOf } from '../kernel/errors.ts'
import type { Logger } from '../kernel/logger.ts'
import { cleanBody } from './clean.ts'
import { readJournal } from './journal-file.ts'
import { type Entry, JournalState } from './journal-state.ts'
import { holdFolder } from './lock.ts'

/** What a caller appends: rows for Regent get their number and time here. */
export type NewEntry = Exclude<Entry, { e: 'out' }> | { readonly e: 'say'; readonly body: OutBody }

export interface JournalOptions {
  /** null: nothing is kept on disk. */
  readonly dir: string | null
  readonly clock: Clock
  readonly logger: Logger
  /** The file is written anew from what still matters when it grew past this. */
  readonly compactBytes?: number
  /** Told when writing fails, and with null when it works again. */
  readonly onTrouble?: (reason: string | null) => void
}

const COMPACT_BYTES = 4 * 1024 * 1024
const CLOSE_MS = 1_000

/**
 * The runner's memory: a file of JSON lines, appended and synced in groups. `state` changes at once; what is said of it to anybody
 * must wait for the promise of `append`, or for `durableSeq`.
 */
export class Journal {
  readonly state: JournalState
  /** The number of the last outgoing row that is on disk. */
  durableSeq: number
  readonly #options: JournalOptions
  readonly #listeners = new Set<() => void>()
  #file: FileHandle | null
  #size: number
  #compactAt: number
  #queue: Entry[][] = []
  #waiting: (() => void)[] = []
  #flushing: Promise<void> | null = null
  #closing = new AbortController()

  #release: () => Promise<void>

  private constructor(options: JournalOptions, state: JournalState, file: FileHandle | null, size: number, release = async () => {}) {
    this.#options = options
    this.#release = release
    this.state = state
    this.durableSeq = state.seq
    this.#file = file
    this.#size = size
    this.#compactAt = options.compactBytes ?? COMPACT_BYTES
  }

  /** Reads what is there, cuts off a torn end, and compacts it when it is large. Throws ILLEGAL_STATE when another process holds the folder. */
  static async open(options: JournalOptions): Promise<Journal> {
    if (options.dir === null) return new Journal(options, new JournalState(), null, 0)
    const release = await holdFolder(options.dir, options.clock)
    const path = journalPath(options.dir)
    await rm(`${path}.new`, { force: true })
    const { state, size } = await readJournal(path, options.logger)
    const journal = new Journal(options, state, await open(path, 'a', 0o600), size, release)
    if (size === 0) await syncFolder(options.dir)
    if (size > journal.#compactAt) await journal.#compact(options.dir)
    return journal
  }

  /** Holds as a whole or not at all; resolves once it is on disk. While the disk refuses, it waits and tries again. */
  append(...entries: NewEntry[]): Promise<void> {
    this.note(...entries)
    return new Promise((done) => {
      this.#waiting.push(done)
      this.#flushing ??= this.#flush()
    })
  }

  /** As `append`, for what may be lost in a crash: it reaches the disk with the next append. */
  note(...entries: NewEntry[]): void {
    const line: Entry[] = []
    for (const entry of entries) {
      const written = entry.e === 'say' ? this.#row(entry.body) : entry
      this.state.apply(written)
      line.push(written)
    }
    if (this.#file !== null && line.length > 0) this.#queue.push(line)
  }

  /** As `append`, for who need not wait: what may be told of it waits for `durableSeq` all the same. */
  write(...entries: NewEntry[]): void {
    this.note(...entries)
    this.#flushing ??= this.#flush()
  }

  /** Appended and not yet on their way to the disk. */
  get backlog(): number {
    return this.#queue.length
  }

  /** Called after rows became durable. */
  onDurable(listener: () => void): void {
    this.#listeners.add(listener)
  }

  /** Writes what is queued. A disk that still refuses is given up: what waits for it then waits for ever, since nothing was kept. */
  async close(): Promise<void> {
    const cancel = this.#options.clock.after(CLOSE_MS, () => this.#closing.abort())
    const givenUp = new Promise<void>((over) => this.#closing.signal.addEventListener('abort', () => over(), { once: true }))
    await Promise.race([this.append(), givenUp])
    cancel()
    await this.#file?.close()
    this.#file = null
    await this.#release()
    this.#release = async () => {}
  }

  #row(body: OutBody): Entry {
    return { e: 'out', row: { seq: this.state.seq + 1, at: this.#options.clock.now(), body: cleanBody(body) } }
  }

  async #flush(): Promise<void> {
    await Promise.resolve()
    while (this.#waiting.length > 0 || this.#queue.length > 0 || this.durableSeq < this.state.seq) {
      const lines = this.#queue
      const waiting = this.#waiting
      const seq = this.state.seq
      this.#queue = []
      this.#waiting = []
      if (!(await this.#write(lines))) return
      this.durableSeq = seq
      for (const done of waiting) done()
      for (const listener of this.#listeners) listener()
      const dir = this.#options.dir
      if (dir !== null && this.#size > this.#compactAt && this.#queue.length === 0) await this.#compact(dir)
    }
    this.#flushing = null
  }

  /** False when it was given up. */
  async #write(lines: readonly Entry[][]): Promise<boolean> {
    if (lines.length === 0) return true
    const bytes = Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
    for (let attempt = 0; this.#file; attempt++) {
      try {
        await this.#file.appendFile(bytes)
        await this.#file.datasync()
        this.#size += bytes.length
        if (attempt > 0) this.#options.onTrouble?.(null)
        return true
      } catch (error) {
        await this.#refused(error, attempt)
        if (this.#closing.signal.aborted) return false
      }
    }
    return true
  }

  /** Cuts off what was half written, so that the next try does not stand behind a torn line. */
  async #refused(error: unknown, attempt: number): Promise<void> {
    const reason = reasonOf(error)
    this.#options.logger.error({ reason, attempt }, 'the journal cannot be written; work waits for it')
    this.#options.onTrouble?.(reason)
    await this.#file?.truncate(this.#size).catch((cause: unknown) => {
      this.#options.logger.error({ reason: reasonOf(cause) }, 'the journal cannot be cut back either')
    })
    await this.#options.clock.sleep(Math.min(5_000, 250 * 2 ** attempt), this.#closing.signal).catch(() => undefined)
  }

  /** Writes the state to a new file and puts it in the old one's place; a crash leaves one or the other whole. */
  async #compact(dir: string): Promise<void> {
    const path = journalPath(dir)
    const bytes = Buffer.from(
      `${this.state
        .snapshot()
        .map((entry) => JSON.stringify([entry]))
        .join('\n')}\n`,
    )
    try {
      await rm(`${path}.new`, { force: true })
      const file = await open(`${path}.new`, 'ax', 0o600)
      try {
        await file.appendFile(bytes)
        await file.datasync()
        await rename(`${path}.new`, path)
      } catch (error) {
        await file.close()
        throw error
      }
      const old = this.#file
      this.#file = file
      this.#size = bytes.length
      await old?.close()
      await syncFolder(dir)
    } catch (error) {
      this.#options.logger.warn({ reason: reasonOf(error) }, 'the journal could not be compacted well; it goes on as it is')
    }
    this.#compactAt = Math.max(this.#options.compactBytes ?? COMPACT_BYTES, this.#size * 2)
  }
}

function journalPath(dir: string): string {
  return join(dir, 'journal.jsonl')
}

async function syncFolder(dir: string): Promise<void> {
  const folder = await open(dir, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
