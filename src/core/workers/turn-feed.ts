import type { EventType } from '../../contract/events.ts'
import type { Clock } from '../../kernel/clock.ts'
import { reasonOf } from '../../kernel/errors.ts'
import type { JsonObject } from '../../kernel/json.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Output, TokenCount, TurnReader } from '../../ports/coding-agents.ts'
import type { Runtime } from '../../ports/runtime.ts'
import type { Store, Tables } from '../../ports/store.ts'
import type { WorkerRow } from '../../ports/worker-store.ts'
import { workerEvent } from './worker-moves.ts'

export interface FeedOptions {
  readonly store: Store
  readonly runtime: Runtime
  readonly clock: Clock
  readonly logger: Logger
  readonly row: WorkerRow
  readonly runId: string
  readonly reader: TurnReader
  /** Called when tokens were counted. */
  readonly counted: (tokens: TokenCount) => void
}

/** A line of a stream of JSON may carry a file. */
export const LINE_BYTES = 16 * 2 ** 20
/** What is told of a text in the journal; all of it is in the worker's output. */
const TOLD_CHARACTERS = 2000
/** Told together, so that a program that says much in a moment costs one commit. */
const GATHER_MS = 50
/** More waits for the store, and its program's output stays in its file meanwhile. */
const MOST_WAITING = 500

interface Told {
  readonly type: EventType
  readonly data: JsonObject
}

/** Reads what one run prints, as it comes, and has the journal tell of it: each line once, over restarts of Regent. */
export class TurnFeed {
  readonly #o: FeedOptions
  readonly #stop = new AbortController()
  /** Lines that were read, and those that the store knows of. */
  #lines = 0
  #told: Told[] = []
  /** Of the last line whose meaning is in `#told`. */
  #toldLine: number
  #sessionId: string | null = null
  #tokens = { input: 0, output: 0 }
  #writing: Promise<void> = Promise.resolve()
  #cancel: (() => void) | undefined
  /** Resolves when all that was printed is read, or it was stopped. */
  readonly done: Promise<void>

  constructor(options: FeedOptions) {
    this.#o = options
    this.#toldLine = options.row.lines
    this.done = this.#read()
  }

  /** Tokens that were counted in this run. */
  get tokens(): TokenCount {
    return this.#tokens
  }

  /** Reads no more. */
  stop(): void {
    this.#stop.abort()
  }

  /** Writes what is left within the transaction that ends the turn. To be called once nothing is read any more. */
  async settle(): Promise<{ readonly write: (tables: Tables) => Promise<void>; readonly columns: { readonly lines: number } }> {
    this.#cancel?.()
    await this.#writing
    const told = this.#told
    return { write: (tables) => this.#append(tables, told), columns: { lines: this.#lines } }
  }

  async #read(): Promise<void> {
    const { runtime, row, runId, reader, clock, logger } = this.#o
    const query = { run: runId, follow: true, stream: 'stdout', lineBytes: LINE_BYTES } as const
    try {
      for await (const { text } of runtime.logs(row.id, query, this.#stop.signal)) {
        this.#lines += 1
        for (const output of reader.line(text, clock.now())) this.#take(output)
        if (this.#told.length >= MOST_WAITING) await this.#writing
      }
    } catch (error) {
      logger.warn({ worker: row.id, run: runId, reason: reasonOf(error) }, 'what a worker printed could not be read')
    }
  }

  #take(output: Output): void {
    if (output.kind === 'usage') {
      this.#tokens = { input: this.#tokens.input + output.tokens.input, output: this.#tokens.output + output.tokens.output }
      this.#o.counted(this.#tokens)
    }
    if (output.kind === 'session') this.#sessionId = output.sessionId
    const told = toldOf(output)
    // A Regent before this one has told of it.
    if (!told || this.#lines <= this.#o.row.lines) return
    this.#told.push(told)
    this.#toldLine = this.#lines
    this.#cancel ??= this.#o.clock.after(GATHER_MS, () => this.#flush())
  }

  #flush(): void {
    this.#cancel = undefined
    this.#writing = this.#writing.then(() => this.#write())
  }

  async #write(): Promise<void> {
    const told = this.#told
    if (told.length === 0) return
    const line = this.#toldLine
    const { store, row, logger, clock } = this.#o
    try {
      await store.transaction(async (tables) => {
        const now = await tables.workers.get(row.id)
        if (now?.runId !== this.#o.runId || now.state !== 'running') return
        await this.#append(tables, told)
        await tables.workers.update(row.id, { lines: line, ...(this.#sessionId !== null && { sessionId: this.#sessionId, begun: true }) })
      })
      this.#told = this.#told.slice(told.length)
    } catch (error) {
      logger.warn({ worker: row.id, reason: reasonOf(error) }, 'what a worker says could not be put on record; tried again')
      this.#cancel ??= clock.after(1000, () => this.#flush())
    }
  }

  async #append(tables: Tables, told: readonly Told[]): Promise<void> {
    if (told.length === 0) return
    const { row, clock } = this.#o
    const at = clock.now()
    await tables.events.appendAll(told.map(({ type, data }) => workerEvent(row, type, at, 'worker', data)))
  }
}

/** What the journal tells of it; what a tool answered and raw lines are in the output alone. */
function toldOf(output: Output): Told | undefined {
  switch (output.kind) {
    case 'session':
      return { type: 'worker.session', data: { session_id: output.sessionId } }
    case 'text':
      return { type: 'worker.said', data: shortened(output.text) }
    case 'tool_call': {
      const input = JSON.stringify(output.input)
      return { type: 'worker.tool_called', data: { tool: output.tool, ...shortened(input) } }
    }
    case 'usage':
      return { type: 'worker.usage', data: { input_tokens: output.tokens.input, output_tokens: output.tokens.output } }
    default:
      return undefined
  }
}

const shortened = (text: string): JsonObject => ({
  text: text.slice(0, TOLD_CHARACTERS).toWellFormed(),
  ...(text.length > TOLD_CHARACTERS && { truncated: true }),
})
