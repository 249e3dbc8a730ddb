import type { Clock } from '../../kernel/clock.ts'
import type { LogLine } from '../../ports/runtime.ts'
import type { AgentRow } from '../../ports/store.ts'

/** A line of one agent may reach us so much later than a younger one of another, and still comes before it. */
const WINDOW_MS = 100
/** The first line of an agent is looked for in its files. */
const FIRST_MS = 300

export interface MergedLine {
  readonly agent: AgentRow
  readonly line: LogLine
}

interface Source {
  readonly agent: AgentRow
  readonly lines: AsyncIterator<LogLine>
  readonly stop: AbortController
  head: LogLine | undefined
  /** In the order of its agent; a line without a time goes with the one before it. */
  at: number
  /** Elapsed ms since its head is here, or since it is asked for one. */
  since: number
  patience: number
}

/**
 * The lines of several agents in the order of time. Of each agent one line is held at most, and the next is asked for when it went out:
 * a slow reader costs nothing but its own time. While lines are followed, an agent that prints nothing holds up no other.
 */
export class LogMerge {
  readonly #clock: Clock
  readonly #follow: boolean
  readonly #sources = new Map<string, Source>()
  #failure: { readonly error: unknown } | undefined
  #wake = (): void => {}

  constructor(clock: Clock, follow: boolean) {
    this.#clock = clock
    this.#follow = follow
  }

  has(agentId: string): boolean {
    return this.#sources.has(agentId)
  }

  /** `open` is given a signal that ends its lines. */
  add(agent: AgentRow, open: (signal: AbortSignal) => AsyncIterable<LogLine>): void {
    const stop = new AbortController()
    const lines = open(stop.signal)[Symbol.asyncIterator]()
    const source: Source = { agent, lines, stop, head: undefined, at: 0, since: 0, patience: FIRST_MS }
    this.#sources.set(agent.id, source)
    this.#pull(source)
  }

  /** What it printed until now is still given out. */
  end(agentId: string): void {
    this.#sources.get(agentId)?.stop.abort()
  }

  close(): void {
    for (const { stop, lines } of this.#sources.values()) {
      stop.abort()
      // One that holds a line would never see the signal, and keep its files open. Nobody is left to be told of a failure.
      lines.return?.().catch(() => {})
    }
    this.#sources.clear()
    this.#wake()
  }

  /** Until the signal aborts, or all sources have ended and `open()` says that none will come. */
  async *lines(open: () => boolean, signal: AbortSignal): AsyncGenerator<MergedLine> {
    const aborted = () => this.#wake()
    signal.addEventListener('abort', aborted)
    try {
      while (!signal.aborted) {
        if (this.#failure) throw this.#failure.error
        const next = this.#next()
        if (typeof next === 'number') {
          if (this.#sources.size === 0 && !open()) return
          await this.#woken(next, signal)
          continue
        }
        const line = next.head as LogLine
        this.#pull(next)
        yield { agent: next.agent, line }
      }
    } finally {
      signal.removeEventListener('abort', aborted)
      this.close()
    }
  }

  /** To be called after sources came or ended outside of it. */
  look(): void {
    this.#wake()
  }

  #pull(source: Source): void {
    source.head = undefined
    source.since = this.#clock.elapsed()
    const gone = () => {
      if (this.#sources.get(source.agent.id) === source) this.#sources.delete(source.agent.id)
      this.#wake()
    }
    source.lines.next().then(
      ({ done, value }) => {
        if (done) return gone()
        source.head = value
        source.at = value.at ?? source.at
        source.since = this.#clock.elapsed()
        source.patience = WINDOW_MS
        this.#wake()
      },
      (error: unknown) => {
        if (!source.stop.signal.aborted) this.#failure ??= { error }
        gone()
      },
    )
  }

  /** The source whose line goes out now, or the ms until there may be one. */
  #next(): Source | number {
    const elapsed = this.#clock.elapsed()
    let first: Source | undefined
    let wait = 0
    for (const source of this.#sources.values()) {
      if (source.head === undefined) wait = Math.max(wait, this.#follow ? source.patience - (elapsed - source.since) : FOREVER_MS)
      else if (first === undefined || source.at < first.at) first = source
    }
    if (!first) return FOREVER_MS
    if (this.#sources.size === 1) return first
    if (wait > 0) return wait
    if (!this.#follow || first.head?.at === null) return first
    const held = WINDOW_MS - Math.max(this.#clock.now() - first.at, elapsed - first.since)
    return held > 0 ? held : first
  }

  #woken(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const cancel = ms >= FOREVER_MS ? () => {} : this.#clock.after(Math.ceil(ms), resolve)
      this.#wake = () => {
        cancel()
        resolve()
      }
      if (signal.aborted || this.#failure) this.#wake()
    })
  }
}

const FOREVER_MS = 2 ** 31
