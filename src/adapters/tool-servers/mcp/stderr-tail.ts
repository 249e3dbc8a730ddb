import { StringDecoder } from 'node:string_decoder'

const longestLine = 2_000
const linesPerSecond = 50
const keptLines = 40
const shownLines = 3
// Of a stack trace the telling line is not the last one.
const telling = /error|exception|fail|cannot|could not|not found|no such|denied|refused|invalid|missing|required/i

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

  /** Its last words: the lines that seem to say what went wrong, else simply the last. */
  get text(): string {
    const lines = [...this.#last, this.#rest].map((line) => line.trim()).filter((line) => line !== '')
    const found = lines.filter((line) => telling.test(line) && !line.startsWith('at '))
    return (found.length > 0 ? found : lines).slice(-shownLines).join(' | ').slice(0, longestLine)
  }

  add(chunk: Buffer): void {
    const lines = (this.#rest + this.#decoder.write(chunk)).split('\n')
    this.#rest = (lines.pop() ?? '').slice(0, longestLine)
    for (const line of lines) this.#line(line.slice(0, longestLine))
  }

  #line(line: string): void {
    this.#last.push(line)
    if (this.#last.length > keptLines) this.#last.shift()
    const second = Math.floor(performance.now() / 1000)
    if (second !== this.#second) {
      this.#second = second
      this.#told = 0
    }
    if (this.#told++ < linesPerSecond) this.#tell(line)
  }
}
