import { RegentError } from '../../../kernel/errors.ts'
import { MOST_BODY } from '../../../ports/bus.ts'
import { type Frame, readHead } from './frames.ts'

/** How many bytes a body had that was cut. */
export const CUT = 'regent-cut'
/** Over what a publisher here may send: a body that is a little too large is still seen whole. */
const LONGEST_BODY = 2 * MOST_BODY
/** 64 KiB of headers as they are sent at most, each sign escaped, and those of the broker and of a dead letter. */
const LONGEST_HEAD = 256 * 1024

const [NUL, LF, CR] = [0, 10, 13]

/**
 * Reads the frames of a STOMP stream and cuts a body that is too large to nothing: its bytes are skipped as they come, the frame says
 * their number in the header `regent-cut`.
 */
export class FrameReader {
  readonly #onFrame: (frame: Frame) => void
  readonly #mostBody: number
  readonly #mostHead: number
  #step: (chunk: Buffer, at: number) => number = this.#between
  /** Of the part of a frame that is looked at, what came in chunks before. */
  #pieces: Buffer[] = []
  /** Bytes of them; of a body that is skipped, all that came. */
  #size = 0
  #blank = false
  #left = 0
  #head: Omit<Frame, 'body'> = { command: '', headers: {} }

  /** In bytes. */
  constructor(onFrame: (frame: Frame) => void, mostBody = LONGEST_BODY, mostHead = LONGEST_HEAD) {
    this.#onFrame = onFrame
    this.#mostBody = mostBody
    this.#mostHead = mostHead
  }

  /** Throws TOO_LARGE for a head over the limit and INVALID for one that is none; the stream cannot be followed any further then. */
  push(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) at = this.#step(chunk, at)
  }

  /** Line ends between frames are heart-beats. */
  #between(chunk: Buffer, at: number): number {
    const byte = chunk[at]
    if (byte === NUL || byte === LF || byte === CR) return at + 1
    this.#blank = false
    this.#step = this.#inHead
    return at
  }

  #inHead(chunk: Buffer, begin: number): number {
    const end = Math.min(chunk.length, begin + this.#mostHead - this.#size + 1)
    let blank = this.#blank
    for (let at = begin; at < end; at++) {
      const byte = chunk[at]
      if (byte === LF && blank) {
        this.#endHead(this.#whole(chunk.subarray(begin, at)))
        return at + 1
      }
      if (byte === LF) blank = true
      else if (byte !== CR) blank = false
    }
    this.#blank = blank
    this.#keep(chunk.subarray(begin, end))
    if (this.#size > this.#mostHead) throw new RegentError('TOO_LARGE', `a frame of the broker has headers of over ${this.#mostHead} bytes`)
    return end
  }

  #endHead(head: Buffer): void {
    this.#head = readHead(head.toString())
    const length = lengthOf(this.#head)
    this.#left = length ?? 0
    if (length === undefined) this.#step = this.#inOpenBody
    else this.#step = length > this.#mostBody ? this.#skipLength : this.#inBody
  }

  /** With a content-length: as long as that, and a NUL. */
  #inBody(chunk: Buffer, begin: number): number {
    const end = begin + this.#left
    if (end >= chunk.length) {
      this.#keep(chunk.subarray(begin))
      this.#left -= chunk.length - begin
      return chunk.length
    }
    this.#tell(this.#whole(chunk.subarray(begin, end)).toString())
    return end + 1
  }

  #skipLength(chunk: Buffer, begin: number): number {
    const end = begin + this.#left
    this.#size += Math.min(end, chunk.length) - begin
    if (end >= chunk.length) {
      this.#left -= chunk.length - begin
      return chunk.length
    }
    this.#tellCut()
    return end + 1
  }

  /** Without one: up to the first NUL, and until then nobody knows how long it is. */
  #inOpenBody(chunk: Buffer, begin: number): number {
    const nul = chunk.indexOf(NUL, begin)
    const end = nul < 0 ? chunk.length : nul
    if (this.#size + end - begin > this.#mostBody) {
      this.#pieces = []
      this.#step = this.#skipOpen
      return begin
    }
    if (nul < 0) {
      this.#keep(chunk.subarray(begin))
      return end
    }
    this.#tell(this.#whole(chunk.subarray(begin, nul)).toString())
    return nul + 1
  }

  #skipOpen(chunk: Buffer, begin: number): number {
    const nul = chunk.indexOf(NUL, begin)
    const end = nul < 0 ? chunk.length : nul
    this.#size += end - begin
    if (nul < 0) return end
    this.#tellCut()
    return nul + 1
  }

  #keep(piece: Buffer): void {
    if (piece.length === 0) return
    this.#pieces.push(piece)
    this.#size += piece.length
  }

  /** What was kept and this. */
  #whole(last: Buffer): Buffer {
    const whole = this.#pieces.length > 0 ? Buffer.concat([...this.#pieces, last]) : last
    this.#pieces = []
    this.#size = 0
    return whole
  }

  #tell(body: string): void {
    this.#step = this.#between
    this.#onFrame({ ...this.#head, body })
  }

  #tellCut(): void {
    const { command, headers } = this.#head
    this.#head = { command, headers: { ...headers, [CUT]: `${this.#size}` } }
    this.#size = 0
    this.#tell('')
  }
}

/** In bytes; undefined: it has none. */
function lengthOf({ headers }: Pick<Frame, 'headers'>): number | undefined {
  const text = headers['content-length']
  if (text === undefined) return undefined
  if (!/^\d{1,15}$/.test(text)) throw new RegentError('INVALID', 'a frame of the broker has a content-length that is no number')
  return Number(text)
}
