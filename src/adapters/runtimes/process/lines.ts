/** What a reader gets of one line at most; the rest of a longer one stays on disk only. */
const LINE_BYTES = 64 * 1024

const NEWLINE = 10

/** A line, and when its first byte was printed, where that is known. */
export interface Line {
  readonly text: string
  readonly at: number | null
}

/** Makes lines out of pieces of a byte stream. Holds at most one line of `most` bytes. */
export class Lines {
  #held: Buffer[] = []
  #size = 0
  #heldAt: number | null = null
  readonly #most: number

  constructor(most = LINE_BYTES) {
    this.#most = most
  }

  /** `at` dates a byte of the piece. */
  take(piece: Buffer, at: (offset: number) => number | null): Line[] {
    const lines: Line[] = []
    let from = 0
    for (let end = piece.indexOf(NEWLINE); end !== -1; end = piece.indexOf(NEWLINE, from)) {
      const begun = this.#size > 0 ? this.#heldAt : at(from)
      lines.push({ text: this.#finish(piece.subarray(from, end)), at: begun })
      from = end + 1
    }
    if (this.#size === 0 && from < piece.length) this.#heldAt = at(from)
    this.#hold(piece.subarray(from))
    return lines
  }

  /** The last line, when it has no newline. */
  flush(): Line[] {
    return this.#size > 0 ? [{ at: this.#heldAt, text: this.#finish(Buffer.alloc(0)) }] : []
  }

  #finish(end: Buffer): string {
    if (this.#size === 0) return textOf(end, this.#most)
    this.#hold(end)
    const line = textOf(Buffer.concat(this.#held), this.#most)
    this.#held = []
    this.#size = 0
    return line
  }

  /** Copies, because the piece is read into again. */
  #hold(piece: Buffer): void {
    const room = this.#most + 4 - this.#size
    if (piece.length === 0 || room <= 0) return
    this.#held.push(Buffer.from(piece.subarray(0, room)))
    this.#size += Math.min(room, piece.length)
  }
}

/** Cut between characters, and marked where it was cut. */
function textOf(line: Buffer, most: number): string {
  if (line.length <= most) return line.toString('utf8')
  let end = most
  while (end > 0 && ((line[end] ?? 0) & 0xc0) === 0x80) end -= 1
  return `${line.toString('utf8', 0, end)}…`
}
