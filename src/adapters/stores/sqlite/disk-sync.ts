import { closeSync, fdatasync, openSync } from 'node:fs'
import { RegentError, reasonOf } from '../../../kernel/errors.ts'
import { storeError } from './errors.ts'

/**
 * Brings the write-ahead log onto the disk by a thread of the pool, so that the process goes on meanwhile: SQLite itself, with
 * `synchronous = full`, would hold it up for as long as the disk takes at each commit. What was committed before a call is on the disk when
 * it resolves; calls that come while the disk works share the next turn.
 */
export class DiskSync {
  readonly #database: string
  #descriptor: number | undefined
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined
  /** The disk refused what was committed: the system may hold it for written all the same, so that only folding the log in helps. */
  doubtful = false

  constructor(database: string) {
    this.#database = database
  }

  /** Rejects, as statements do, when the disk does not take it. */
  sync(): Promise<void> {
    if (this.#running === undefined) return this.#start()
    this.#next ??= this.#running
      .catch(() => {})
      .then(() => {
        this.#next = undefined
        return this.#start()
      })
    return this.#next
  }

  #ended(error: Error | null, resolve: () => void, reject: (error: unknown) => void): void {
    if (error === null) {
      resolve()
      return
    }
    this.doubtful = true
    reject(
      new RegentError('UNAVAILABLE', `the disk did not take what was written: ${reasonOf(error)}; the change may hold all the same`, {
        hint: 'Look whether it was made, or ask again with the same idempotency key.',
        retryAfter: 5,
        cause: error,
      }),
    )
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor)
    this.#descriptor = undefined
  }

  #start(): Promise<void> {
    const running = this.#sync().finally(() => {
      if (this.#running === running) this.#running = undefined
    })
    this.#running = running
    return running
  }

  #sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      try {
        // The log stays the same file for as long as the database is open; SQLite's locks are on others.
        this.#descriptor ??= openSync(`${this.#database}-wal`, 'r')
      } catch (error) {
        return reject(storeError(error, this.#database))
      }
      return fdatasync(this.#descriptor, (error) => this.#ended(error, resolve, reject))
    })
  }
}
