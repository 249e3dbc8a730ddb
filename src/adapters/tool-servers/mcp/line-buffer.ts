const newline = 0x0a

/** Cuts a stream of bytes into lines without copying what it waits for more than once. */
export class LineBuffer {
  readonly #longest: number
  #waiting: Buffer[] = []
  #size = 0

  constructor(longest: number) {
    this.#longest = longest
  }

  /** The lines that the chunk completes; undefined when one is longer than allowed: nothing that follows can be understood. */
  add(chunk: Buffer): string[] | undefined {
    const lines: string[] = []
    let from = 0
    for (let at = chunk.indexOf(newline); at !== -1; at = chunk.indexOf(newline, from)) {
      lines.push(Buffer.concat([...this.#waiting, chunk.subarray(from, at)]).toString('utf8'))
      this.#waiting = []
      this.#size = 0
      from = at + 1
    }
    this.#waiting.push(chunk.subarray(from))
    this.#size += chunk.length - from
    return this.#size > this.#longest ? undefined : lines
  }
}
