/** What a turn printed that is no event: its beginning, so that a program that prints without end costs no more than this. */
const MOST_CHARS = 10 * 1024 * 1024
const CUT = '… (what followed was too long to keep)'

export class PlainOutput {
  readonly #lines: string[] = []
  #size = 0
  #cut = false

  add(line: string): void {
    if (this.#cut) return
    this.#size += line.length + 1
    this.#cut = this.#size > MOST_CHARS
    this.#lines.push(this.#cut ? CUT : line)
  }

  get whole(): boolean {
    return !this.#cut
  }

  text(): string {
    return this.#lines.join('\n')
  }

  clear(): void {
    this.#lines.length = 0
    this.#size = 0
    this.#cut = false
  }
}
