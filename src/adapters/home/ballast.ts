import { randomFillSync } from 'node:crypto'
import { rmSync, type StatsFs, statfsSync, statSync } from 'node:fs'
import { constants, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Check } from '../../contract/system.ts'
import type { Clock } from '../../kernel/clock.ts'
import { RegentError, reasonOf } from '../../kernel/errors.ts'
import type { Logger } from '../../kernel/logger.ts'

const MIB = 1024 * 1024
/** What is held back at most, in bytes; on a small disk one part in SMALL of it. */
const BALLAST = 16 * MIB
/** Below this no new work is taken; on a small disk below one part in SMALL of it. */
const LEAST_FREE = 256 * MIB
const SMALL = 20

const LOOK_MS = 2000
const FRESH_MS = 250
const PIECE = MIB

export interface BallastOptions {
  /** The home. */
  readonly dir: string
  readonly clock: Clock
  readonly logger: Logger
}

interface Room {
  readonly free: number
  readonly least: number
  readonly ballast: number
}

const ballastPath = (dir: string): string => join(dir, 'ballast')

/** Gives the space back without a look at anything else; true when there was some. */
export function dropBallast(dir: string): boolean {
  try {
    const there = statSync(ballastPath(dir), { throwIfNoEntry: false }) !== undefined
    rmSync(ballastPath(dir), { force: true })
    return there
  } catch {
    return false
  }
}

/**
 * A file that only takes up space. When the disk is full it is given up, so that supervision can still be recorded: ends of runs,
 * stops. Until there is room to make it again, new work is refused.
 */
export class Ballast {
  readonly #options: BallastOptions
  #room: Room | undefined
  #seenAt = Number.NEGATIVE_INFINITY
  #released = false
  #closed = false
  #making: Promise<void> = Promise.resolve()
  #cancel: () => void

  constructor(options: BallastOptions) {
    this.#options = options
    const { free, least, ballast } = this.#look()
    this.#released = this.#size() === 0 && free < least + ballast
    this.#cancel = options.clock.after(LOOK_MS, () => this.#again())
  }

  /** Why no new work can be taken. */
  shortage(): RegentError | undefined {
    const { free, least } = this.#look()
    if (free >= least && !this.#released) return undefined
    return new RegentError('NO_SPACE', `the disk of the home is full: ${told(free)} free in ${this.#options.dir}`, {
      hint: `Free ${told(this.#wanted())} there; running agents go on, and Regent takes new work again by itself.`,
      retryAfter: 10,
    })
  }

  check(): Check {
    const shortage = this.shortage()
    const { free } = this.#look()
    const message = shortage ? `${shortage.message}: no new work is taken. ${shortage.hint}` : `${told(free)} free where home is`
    return { name: 'disk', ok: shortage === undefined, message, required: shortage !== undefined }
  }

  /** The disk is full. True when there was something to give up. */
  release(): boolean {
    if (!dropBallast(this.#options.dir)) return false
    if (!this.#released) this.#options.logger.error({ dir: this.#options.dir }, 'the disk of the home is full: no new work is taken')
    this.#released = true
    this.#seenAt = Number.NEGATIVE_INFINITY
    return true
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#cancel()
    await this.#making
  }

  #again(): void {
    this.#making = this.#make()
      .catch((error: unknown) =>
        this.#options.logger.warn({ reason: reasonOf(error) }, 'no space could be held back on the disk of the home'),
      )
      .finally(() => {
        if (!this.#closed) this.#cancel = this.#options.clock.after(LOOK_MS, () => this.#again())
      })
  }

  async #make(): Promise<void> {
    this.#seenAt = Number.NEGATIVE_INFINITY
    const { free, least, ballast } = this.#look()
    const size = this.#size()
    if (size < ballast) {
      if (free < least + ballast - size) return
      await write(ballastPath(this.#options.dir), ballast, () => this.#closed)
    }
    if (this.#released) this.#options.logger.info({ free }, 'there is room again on the disk of the home')
    this.#released = false
  }

  #wanted(): number {
    const { free, least, ballast } = this.#look()
    return Math.max(least + ballast - this.#size() - free, 4096)
  }

  #size(): number {
    return statSync(ballastPath(this.#options.dir), { throwIfNoEntry: false })?.size ?? 0
  }

  /** Looked at anew four times a second at most. */
  #look(): Room {
    const now = this.#options.clock.elapsed()
    if (this.#room && now - this.#seenAt < FRESH_MS) return this.#room
    const { bavail, blocks, bsize } = diskOf(this.#options.dir)
    const part = Math.floor((blocks * bsize) / SMALL)
    this.#seenAt = now
    this.#room = { free: bavail * bsize, least: Math.min(LEAST_FREE, part), ballast: Math.min(BALLAST, part) }
    return this.#room
  }
}

function diskOf(dir: string): StatsFs {
  try {
    return statfsSync(dir)
  } catch (error) {
    throw new RegentError('UNAVAILABLE', `the home is out of reach: ${dir}`, {
      hint: 'Is its disk still mounted?',
      retryAfter: 5,
      cause: error,
    })
  }
}

const told = (bytes: number): string => (bytes >= MIB ? `${Math.round(bytes / MIB)} MiB` : `${Math.ceil(bytes / 1024)} KiB`)

/** Of bytes that no file system can fold together; nothing is left of it when it does not fit. */
async function write(path: string, bytes: number, given: () => boolean): Promise<void> {
  const file = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW, 0o600)
  try {
    const piece = Buffer.alloc(Math.min(PIECE, bytes))
    for (let at = 0; at < bytes && !given(); at += PIECE) await file.write(randomFillSync(piece), 0, Math.min(PIECE, bytes - at))
    await file.sync()
  } catch (error) {
    await rm(path, { force: true })
    throw error
  } finally {
    await file.close()
  }
}
