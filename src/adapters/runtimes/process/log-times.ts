import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { systemCode } from '../../../kernel/errors.ts'

const RECORD = 16
const BLOCK_RECORDS = 256
const STEPS = 4

/** When the bytes of one log file were printed, as the pump noted beside it; see pump/stream-log.mjs. */
export class Times {
  readonly #descriptor: number
  readonly #block = Buffer.alloc(BLOCK_RECORDS * RECORD)
  #loaded = -1
  #loadedRecords = 0
  #count = 0
  #cursor = 1

  /** Undefined when there is no such file, or it is that of another log. */
  static open(path: string, inode: bigint): Times | undefined {
    let descriptor: number
    try {
      descriptor = openSync(path, 'r')
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined
      throw error
    }
    const head = Buffer.alloc(RECORD)
    if (readSync(descriptor, head, 0, RECORD, 0) === RECORD && head.readBigUInt64LE(0) === inode) return new Times(descriptor)
    closeSync(descriptor)
    return undefined
  }

  private constructor(descriptor: number) {
    this.#descriptor = descriptor
  }

  /** Epoch ms of the byte at this offset; quick for offsets that grow. */
  at(offset: number): number | null {
    let at = this.#cursor
    for (let step = 0; ; step += 1) {
      if (at >= this.#count && at >= this.#recount()) break
      if (this.#offset(at) > offset || step > STEPS) break
      if (at + 1 >= this.#count && at + 1 >= this.#recount()) return this.#found(at)
      if (this.#offset(at + 1) > offset) return this.#found(at)
      at += 1
    }
    const found = this.#last((record) => this.#offset(record) <= offset)
    return found === 0 ? null : this.#found(found)
  }

  /** Where to begin to read what was printed at this moment or later: not after it. */
  offsetBefore(moment: number): number {
    const found = this.#last((record) => this.#moment(record) <= moment)
    return found === 0 ? 0 : this.#offset(found)
  }

  close(): void {
    closeSync(this.#descriptor)
  }

  #found(record: number): number {
    this.#cursor = record
    return this.#moment(record)
  }

  /** The last record for which this holds; the first is number 1. */
  #last(holds: (record: number) => boolean): number {
    let low = 0
    for (let high = this.#recount() - 1; low < high; ) {
      const middle = Math.ceil((low + high) / 2)
      if (holds(middle)) low = middle
      else high = middle - 1
    }
    return low
  }

  #recount(): number {
    this.#count = Math.floor(fstatSync(this.#descriptor).size / RECORD)
    return this.#count
  }

  #offset(record: number): number {
    return Number(this.#block.readBigUInt64LE(this.#place(record)))
  }

  #moment(record: number): number {
    return this.#block.readDoubleLE(this.#place(record) + 8)
  }

  #place(record: number): number {
    const block = Math.floor(record / BLOCK_RECORDS)
    if (block !== this.#loaded || record - block * BLOCK_RECORDS >= this.#loadedRecords) {
      this.#loaded = block
      const start = block * this.#block.length
      this.#loadedRecords = Math.floor(readSync(this.#descriptor, this.#block, 0, this.#block.length, start) / RECORD)
    }
    return (record - block * BLOCK_RECORDS) * RECORD
  }
}
