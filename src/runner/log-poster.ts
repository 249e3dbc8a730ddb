import { reasonOf } from '../kernel/errors.ts'
import { isObject } from '../kernel/json.ts'
import type { LogLine } from './log-line.ts'

const QUEUE_LINES = 1_000
const BATCH_LINES = 100
const POST_MS = 5_000
const EVERY_MS = 2_000

/** Posts log lines in batches, as JSON arrays and best effort: what cannot be got rid of is dropped, and that is said. */
export class LogPoster {
  readonly #url: string
  readonly #headers: Record<string, string>
  readonly #redact: (text: string) => string
  readonly #complain: (line: LogLine) => void
  readonly #queue: LogLine[] = []
  #dropped = 0
  #planned = false

  constructor(url: string, headers: unknown, redact: (text: string) => string, complain: (line: LogLine) => void) {
    this.#url = url
    this.#headers = Object.fromEntries(Object.entries(isObject(headers) ? headers : {}).map(([name, value]) => [name, String(value)]))
    this.#redact = redact
    this.#complain = complain
  }

  add(line: LogLine): void {
    this.#queue.push(line)
    if (this.#queue.length > QUEUE_LINES) {
      this.#queue.shift()
      this.#dropped++
    }
    this.#plan()
  }

  #plan(): void {
    if (this.#planned) return
    this.#planned = true
    setTimeout(() => void this.#post(), EVERY_MS).unref()
  }

  async #post(): Promise<void> {
    const lines = this.#queue.splice(0, BATCH_LINES)
    const problem = await this.#send(lines)
    this.#planned = false
    if (this.#queue.length > 0) this.#plan()
    const [first] = lines
    if (problem === null || first === undefined) return
    this.#dropped += lines.length
    const data = { reason: problem, dropped: this.#dropped }
    this.#complain({ ...first, type: 'error', message: 'log lines could not be posted', data })
  }

  async #send(lines: readonly LogLine[]): Promise<string | null> {
    try {
      const response = await fetch(this.#url, {
        method: 'POST',
        headers: { ...this.#headers, 'content-type': 'application/json' },
        body: this.#redact(JSON.stringify(lines)),
        signal: AbortSignal.timeout(POST_MS),
      })
      await response.body?.cancel()
      return response.ok ? null : `status ${response.status}`
    } catch (error) {
      return reasonOf(error)
    }
  }
}
