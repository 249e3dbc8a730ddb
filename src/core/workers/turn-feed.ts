import type { EventType } from '../../contract/events.ts'
import type { Clock } from '../../kernel/clock.ts'
import { reasonOf } from '../../kernel/errors.ts'
import type { JsonObject } from '../../kernel/json.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Output, TokenCount, TurnReader } from '../../ports/coding-agents.ts'
import type { Runtime } from '../../ports/runtime.ts'
import type { Store, Tables } from '../../ports/store.ts'
import type { WorkerRow } from '../../ports/worker-store.ts'
import { storable, workerEvent } from './worker-moves.ts'

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
/** So much of one run is told; what a program says beyond it is in its output alone, and does not push others' events out of the journal. */
const MOST_TOLD = 5000
/** How long the output of an ended run is waited for: a process that escaped may hold it. */
const DRAIN_MS = 2000

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
  /** How much was told, by this Regent or one before it. */
  #count = 0
  /** Nothing is read while the store is behind. */
  #room: PromiseWithResolvers<void> | undefined
  #isSettled = false
  /** Resolves when all that was printed is read, or it was stopped. */
  readonly done: Promise<void>

  constructor(options: FeedOptions) {
    this.#o = options
    this.#toldLine = options.row.lines
    this.done = this.#read()
  }

  /** Its CLI has spoken of a session. */
  get hasSession(): boolean {
    return this.#sessionId !== null
  }

  /** Tokens that were counted in this run. */
  get tokens(): TokenCount {
    return this.#tokens
  }

  /** To be called once the run is over: resolves when all that it printed is read, or nothing more has come for a while. */
  async drain(): Promise<void> {
    let isRead = false
    void this.done.then(() => {
      isRead = true
    })
    for (let before = -1; !isRead && (before !== this.#lines || this.#room); ) {
      before = this.#lines
      await Promise.race([this.done, this.#o.clock.sleep(DRAIN_MS)])
    }
    this.#stop.abort()
    await this.done
  }

  /** Reads no more. */
  stop(): void {
    this.#stop.abort()
    this.#room?.resolve()
    this.#cancel?.()
  }

  /** Writes what is left within the transaction that ends the turn. To be called once nothing is read any more; again where that failed. */
  async settle(): Promise<{ readonly write: (tables: Tables) => Promise<void>; readonly columns: { readonly lines: number } }> {
    this.#isSettled = true
    this.#cancel?.()
    await this.#writing
    const told = [...this.#told]
    return { write: (tables) => this.#append(tables, told), columns: { lines: this.#lines } }
  }

  async #read(): Promise<void> {
    const { runtime, row, runId, reader, clock, logger } = this.#o
    const query = { run: runId, follow: true, stream: 'stdout', lineBytes: LINE_BYTES } as const
    try {
      for await (const { text } of runtime.logs(row.id, query, this.#stop.signal)) {
        this.#lines += 1
        for (const output of reader.line(text, clock.now())) this.#take(output)
        if (this.#told.length >= MOST_WAITING) await this.#makeRoom()
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
    if (output.kind === 'session') this.#sessionId = storable(output.sessionId)
    const told = this.#next(output)
    // A Regent before this one has told of it.
    if (!told || this.#lines <= this.#o.row.lines) return
    this.#told.push(told)
    this.#toldLine = this.#lines
    this.#cancel ??= this.#o.clock.after(GATHER_MS, () => this.#flush())
  }

  #next(output: Output): Told | undefined {
    const told = toldOf(output)
    if (!told || this.#count > MOST_TOLD) return undefined
    this.#count += 1
    if (this.#count <= MOST_TOLD) return told
    return { type: 'worker.said', data: { text: 'What it says from here on is in its output alone.', truncated: true } }
  }

  /** Resolves when the store has taken some of what waits, or nothing is to be read any more. */
  async #makeRoom(): Promise<void> {
    if (this.#stop.signal.aborted) return
    this.#room = Promise.withResolvers()
    await this.#room.promise
    this.#room = undefined
  }

  #flush(): void {
    this.#cancel = undefined
    if (!this.#isSettled) this.#writing = this.#writing.then(() => this.#write())
  }

  async #write(): Promise<void> {
    // More may be said while these are written.
    const told = [...this.#told]
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
      this.#room?.resolve()
    } catch (error) {
      logger.warn({ worker: row.id, reason: reasonOf(error) }, 'what a worker says could not be put on record; tried again')
      if (!this.#isSettled) this.#cancel ??= clock.after(1000, () => this.#flush())
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
