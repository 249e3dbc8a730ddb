import { StringDecoder } from 'node:string_decoder'

const longestLine = 2_000
const linesPerSecond = 50
const tailLines = 3

/** Cuts what a child writes to stderr into lines, passes on a bounded number of them, and keeps the last. */
export class StderrTail {
  readonly #decoder = new StringDecoder('utf8')
  readonly #tell: (line: string) => void
  readonly #last: string[] = []
  #rest = ''
  #second = 0
  #told = 0

  constructor(tell: (line: string) => void) {
    this.#tell = tell
  }

  get text(): string {
    return [...this.#last, this.#rest]
      .filter((line) => line.trim() !== '')
      .slice(-tailLines)
      .join(' | ')
      .slice(0, longestLine)
  }

  add(chunk: Buffer): void {
    const lines = (this.#rest + this.#decoder.write(chunk)).split('\n')
    this.#rest = (lines.pop() ?? '').slice(0, longestLine)
    for (const line of lines) this.#line(line.slice(0, longestLine))
  }

  #line(line: string): void {
    this.#last.push(line)
    if (this.#last.length > tailLines) this.#last.shift()
    const second = Math.floor(performance.now() / 1000)
    if (second !== this.#second) {
      this.#second = second
      this.#told = 0
    }
    if (this.#told++ < linesPerSecond) this.#tell(line)
  }
}
