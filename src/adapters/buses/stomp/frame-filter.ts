import { RegentError } from '../../../kernel/errors.ts'
import { MOST_BODY } from '../../../ports/bus.ts'

/** How many bytes a body had that was cut; it stands before whatever else a frame says. */
export const CUT = 'regent-cut'
/** Over what a publisher here may send: a body that is a little too large is still seen whole. */
const LONGEST_BODY = 2 * MOST_BODY
/** 64 KiB of headers as they are sent at most, each sign escaped, and those of the broker and of a dead letter. */
const LONGEST_HEAD = 256 * 1024

const [NUL, LF, CR] = [0, 10, 13]
const LENGTH = /^\r*(?:\xEF\xBB\xBF)?content-length:/

/**
 * Follows the frames of a STOMP stream as stompjs does, which gathers a frame in an array of numbers, and cuts a body that is too large to
 * nothing: its bytes are skipped, the frame says their number in the header `regent-cut`. All else goes on as it came.
 */
export class FrameFilter {
  readonly #mostBody: number
  readonly #mostHead: number
  #step: (chunk: Buffer, at: number) => number = this.#between
  /** What is passed on of the chunk that is looked at, in order. */
  #out: Buffer[] = []
  /** Where, in this chunk, that begins which is neither passed on nor held; -1: what is looked at is skipped. */
  #from = 0
  /** Where, in this chunk, the frame that is looked at begins or goes on. */
  #frame = 0
  /** Of a frame of which it is not known yet whether it is cut. */
  #held: Buffer[] = []
  #size = 0
  #blank = false
  #left = 0
  #head = ''

  /** In bytes. */
  constructor(mostBody = LONGEST_BODY, mostHead = LONGEST_HEAD) {
    this.#mostBody = mostBody
    this.#mostHead = mostHead
  }

  /**
   * What of it is to be passed on, and of earlier chunks that were held: views, not copies. Throws TOO_LARGE for a head over the limit and
   * INVALID for one that is none; the stream cannot be followed any further then.
   */
  push(chunk: Buffer): readonly Buffer[] {
    this.#out = []
    this.#from = this.#isSkipping ? -1 : 0
    this.#frame = 0
    for (let at = 0; at < chunk.length; ) at = this.#step(chunk, at)
    const undecided = this.#step === this.#inHead || this.#step === this.#inOpenBody
    if (this.#from >= 0 && undecided) this.#hold(chunk)
    else if (this.#from >= 0) this.#pass(chunk, chunk.length)
    return this.#out
  }

  get #isSkipping(): boolean {
    return this.#step === this.#skipLength || this.#step === this.#skipOpen
  }

  #between(chunk: Buffer, at: number): number {
    const byte = chunk[at]
    if (byte === NUL || byte === LF || byte === CR) return at + 1
    this.#frame = at
    this.#size = 0
    this.#blank = false
    this.#step = this.#inHead
    return at
  }

  #inHead(chunk: Buffer, begin: number): number {
    const end = Math.min(chunk.length, begin + this.#mostHead - this.#size + 1)
    for (let at = begin; at < end; at++) {
      const byte = chunk[at]
      if (byte === LF && this.#blank) return this.#endHead(chunk, at + 1)
      if (byte === LF) this.#blank = true
      else if (byte !== CR) this.#blank = false
    }
    this.#size += end - begin
    if (this.#size > this.#mostHead) throw new RegentError('TOO_LARGE', `a frame of the broker has headers of over ${this.#mostHead} bytes`)
    return end
  }

  #endHead(chunk: Buffer, end: number): number {
    const here = chunk.subarray(this.#frame, end)
    this.#head = (this.#held.length > 0 ? Buffer.concat([...this.#held, here]) : here).toString('latin1')
    const length = lengthOf(this.#head)
    this.#size = 0
    if (length === undefined) {
      this.#step = this.#inOpenBody
      return end
    }
    this.#left = length + 1
    if (length > this.#mostBody) {
      this.#step = this.#skipLength
      this.#skip(chunk)
      this.#tellCut(length)
    } else {
      this.#step = this.#inBody
      this.#release()
    }
    return end
  }

  /** With a content-length: as long as that, and a NUL. */
  #inBody(chunk: Buffer, begin: number): number {
    const end = Math.min(chunk.length, begin + this.#left)
    this.#left -= end - begin
    if (this.#left === 0) this.#step = this.#between
    return end
  }

  #skipLength(chunk: Buffer, begin: number): number {
    const end = this.#inBody(chunk, begin)
    if (this.#left === 0) this.#from = end
    return end
  }

  /** Without one: up to the first NUL, and until then nobody knows how long it is. */
  #inOpenBody(chunk: Buffer, begin: number): number {
    const nul = chunk.indexOf(NUL, begin)
    const end = nul < 0 ? chunk.length : nul
    if (this.#size + end - begin > this.#mostBody) {
      this.#step = this.#skipOpen
      this.#skip(chunk)
      return begin
    }
    this.#size += end - begin
    if (nul < 0) return end
    this.#step = this.#between
    this.#release()
    return nul + 1
  }

  #skipOpen(chunk: Buffer, begin: number): number {
    const nul = chunk.indexOf(NUL, begin)
    const end = nul < 0 ? chunk.length : nul
    this.#size += end - begin
    if (nul < 0) return end
    this.#tellCut(this.#size)
    this.#step = this.#between
    this.#from = nul + 1
    return nul + 1
  }

  #tellCut(bytes: number): void {
    const [command, ...lines] = linesOf(this.#head)
    const kept = lines.filter((line) => !LENGTH.test(line))
    this.#out.push(Buffer.from([command, `${CUT}:${bytes}`, ...kept, 'content-length:0', '', '\0'].join('\n'), 'latin1'))
    this.#head = ''
  }

  #hold(chunk: Buffer): void {
    this.#pass(chunk, this.#frame)
    this.#held.push(chunk.subarray(this.#frame))
  }

  #release(): void {
    this.#out.push(...this.#held)
    this.#held = []
    this.#head = ''
  }

  #skip(chunk: Buffer): void {
    this.#held = []
    this.#pass(chunk, this.#frame)
    this.#from = -1
  }

  #pass(chunk: Buffer, end: number): void {
    if (this.#from < end) this.#out.push(chunk.subarray(this.#from, end))
    this.#from = end
  }
}

const linesOf = (head: string): readonly string[] => head.replace(/\n\r*\n$/, '').split('\n')

/** The first content-length of a head, as bytes; undefined: there is none. */
function lengthOf(head: string): number | undefined {
  let length: number | undefined
  const [, ...lines] = linesOf(head)
  for (const line of lines) {
    if (!line.includes(':')) throw new RegentError('INVALID', 'a frame of the broker has a header without a colon')
    if (length !== undefined || !LENGTH.test(line)) continue
    const text = line.replace(LENGTH, '').replaceAll('\r', '').trim()
    if (!/^\d{1,15}$/.test(text)) throw new RegentError('INVALID', 'a frame of the broker has a content-length that is no number')
    length = Number(text)
  }
  return length
}
