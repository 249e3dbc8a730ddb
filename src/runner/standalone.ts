import { createInterface, type Interface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import type { OutBody, OutRow } from '../contract/link.ts'
import type { Ids } from '../kernel/ids.ts'
import { shorten } from './bounds.ts'
import type { PendingApproval } from './journal-state.ts'
import type { Runner } from './runner.ts'

export interface TerminalOptions {
  readonly runner: Runner
  readonly ids: Ids
  readonly input: Readable
  readonly output: Writable
  readonly errors: Writable
  /** Whether a person sits there; else the lines come from a pipe or a file. */
  readonly interactive: boolean
}

const SHOWN_CHARS = 300
/** Lines that wait to be worked on before the input is read no further. */
const MOST_LINES = 100

/** An agent file run by itself: lines in are messages, answers go out, and what is asked is asked here. */
export class Terminal {
  readonly #options: TerminalOptions
  readonly #lines: string[] = []
  #reader: Interface | null = null
  readonly #told = new Set<string>()
  #printed = 0
  #streamed = ''
  #ended = false
  #wake: (() => void) | null = null

  constructor(options: TerminalOptions) {
    this.#options = options
    const { journal } = options.runner
    options.runner.onText = (_id, text) => this.#stream(text)
    options.runner.conditions.onChange(() => this.#tellConditions())
    journal.onDurable(() => this.#print())
    this.#tellConditions()
    this.#print()
  }

  /** Begins to read, so that what is asked can be answered from here on. */
  open(): void {
    this.#reader = createInterface({ input: this.#options.input, crlfDelay: Number.POSITIVE_INFINITY })
    this.#reader.on('line', (line) => this.#line(line))
    this.#reader.on('close', () => {
      this.#ended = true
      this.#answerFromPipe()
      this.#wake?.()
    })
  }

  /** Takes the lines for messages until the input ends and each has its answer. */
  async serve(): Promise<void> {
    void this.#options.runner.work()
    for (let line = await this.#next(); line !== undefined; line = await this.#next()) {
      const id = this.#options.ids.next()
      await this.#options.runner.take({ id, conversation: 'main', sender: 'user', content: line, metadata: {} })
      await this.#options.runner.ended(id)
    }
  }

  close(): void {
    this.#reader?.close()
  }

  #line(line: string): void {
    const asked = this.#options.runner.approvals.pending[0]
    if (asked && this.#options.interactive) this.#answer(asked, /^\s*y(es)?\s*$/i.test(line))
    else if (line.trim() !== '') this.#lines.push(line)
    if (!this.#ended && this.#lines.length >= MOST_LINES) this.#reader?.pause()
    this.#answerFromPipe()
    this.#wake?.()
  }

  async #next(): Promise<string | undefined> {
    while (this.#lines.length === 0 && !this.#ended) {
      await new Promise<void>((wake) => {
        this.#wake = wake
      })
    }
    if (!this.#ended && this.#lines.length < MOST_LINES) this.#reader?.resume()
    return this.#lines.shift()
  }

  #answer(approval: PendingApproval, confirmed: boolean): void {
    void this.#options.runner.approvals.answer(approval.id, confirmed, 'user', 'terminal')
  }

  /** In a pipe the line after a message may be the y or n to what it asks; any other line, or the end, leaves the default. */
  #answerFromPipe(): void {
    const asked = this.#options.runner.approvals.pending[0]
    const next = this.#lines[0]
    if (asked === undefined || this.#options.interactive || (next === undefined && !this.#ended)) return
    const given = next === undefined ? null : /^\s*(y|yes|n|no)\s*$/i.exec(next)
    if (given) this.#lines.shift()
    this.#answer(asked, given ? /^\s*y/i.test(next ?? '') : asked.default === 'confirm')
  }

  #print(): void {
    const { journal } = this.#options.runner
    const rows = journal.state.out.filter((row) => row.seq > this.#printed && row.seq <= journal.durableSeq)
    const last = rows.at(-1)
    if (last === undefined) return
    this.#printed = last.seq
    for (const row of rows) this.#show(row)
    journal.note({ e: 'confirmed', cursor: last.seq })
  }

  #show({ body }: OutRow): void {
    if (body.kind === 'say') this.#said(body)
    if (body.kind === 'approval_requested') {
      const { subagent, tool, arguments: args, default: otherwise, expires_at, requested_at } = body.approval
      const seconds = Math.round((expires_at - requested_at) / 1_000)
      this.#tell(`${subagent} asks to call ${tool} ${JSON.stringify(args)}\n  allow it? y or n (in ${seconds} s: ${otherwise})`)
      this.#answerFromPipe()
    }
    if (body.kind === 'approval_closed' && body.by === 'timeout')
      this.#tell(`no answer in time: ${body.confirmed ? 'confirmed' : 'rejected'}`)
  }

  #said(body: Extract<OutBody, { kind: 'say' }>): void {
    const text = typeof body.content === 'string' ? body.content : JSON.stringify(body.content)
    if (body.final) this.#final(text)
    else if (body.type !== 'user') this.#tell(`${body.author} ${body.type}: ${shorten(text, SHOWN_CHARS)}`)
  }

  #stream(text: string): void {
    if (!this.#options.interactive) return
    this.#streamed += text
    this.#options.output.write(text)
  }

  /** What was not streamed of it; all of it where something else was streamed. */
  #final(text: string): void {
    const rest = text.startsWith(this.#streamed) ? text.slice(this.#streamed.length) : `\n${text}`
    this.#streamed = ''
    this.#options.output.write(`${rest}\n`)
  }

  #tellConditions(): void {
    for (const { type, subject, message } of this.#options.runner.conditions.list()) {
      const line = `${type} ${subject}: ${message}`
      if (!this.#told.has(line)) this.#tell(line)
      this.#told.add(line)
    }
    if (this.#told.size > 1_000) this.#told.clear()
  }

  #tell(line: string): void {
    this.#options.errors.write(`${line}\n`)
  }
}
