import type { Clock } from '../../../kernel/clock.ts'
import type { LogLine, LogQuery } from '../../../ports/runtime.ts'
import type { AgentRun, AgentRuns } from './agent-runs.ts'
import { Changes } from './log-changes.ts'
import { RunReader } from './run-reader.ts'

/** How long the output of a run is waited for after the next run began: somebody may hold its pipes for ever. */
const LATE_MS = 1000

/** An agent's output, its runs in order; see `Runtime.logs`. */
export async function* readLogs(
  runs: AgentRuns,
  agentId: string,
  query: LogQuery,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<LogLine> {
  if (!query.follow) await outputOf(runs, agentId, clock)
  const readerOf = (run: AgentRun) => new RunReader(run.runId, () => runs.logDir(run), query)
  const all = runs.of(agentId).filter(({ runId }) => query.run === undefined || query.run === runId)
  let run = query.tail === undefined ? all[0] : all.at(-1)
  if (!run) return
  const changes = query.follow ? new Changes((listener) => runs.listen(agentId, listener), clock, signal) : undefined
  let reader = readerOf(run)
  try {
    if (query.tail !== undefined) for (const line of await tailOf(runs, all, reader, readerOf, query)) if (!signal.aborted) yield line
    while (run && !signal.aborted) {
      for await (const line of linesOf(reader, new Follow(runs, agentId, run, query.run !== undefined, changes, clock))) {
        if (signal.aborted) return
        yield line
      }
      run = query.run === undefined ? after(runs, agentId, run) : undefined
      reader.close()
      if (run) reader = readerOf(run)
    }
  } finally {
    reader.close()
    changes?.close()
  }
}

/** A start that came to nothing leaves its number to the next run. */
const after = (runs: AgentRuns, agentId: string, { runId, number }: AgentRun) =>
  runs.of(agentId).find((run) => run.number >= number && run.runId !== runId)

/** The last lines of all runs; `newest` reads on behind them. */
async function tailOf(
  runs: AgentRuns,
  all: readonly AgentRun[],
  newest: RunReader,
  readerOf: (run: AgentRun) => RunReader,
  { tail = 0, follow }: LogQuery,
): Promise<LogLine[]> {
  const parts: LogLine[][] = []
  let missing = tail
  for (const run of all.toReversed()) {
    const isNewest = run === all.at(-1)
    const reader = isNewest ? newest : readerOf(run)
    try {
      const lines = await reader.last(missing, !isNewest || !follow || runs.outputEnded(run))
      parts.unshift(lines)
      missing -= lines.length
    } finally {
      if (!isNewest) reader.close()
    }
    if (missing <= 0) break
  }
  return parts.flat()
}

/** What a reader has yet to read of one run, until that is over. */
async function* linesOf(reader: RunReader, follow: Follow): AsyncGenerator<LogLine> {
  for (;;) {
    const [last, ended] = [follow.last(), follow.ended()]
    for await (const lines of reader.next()) yield* lines
    if (ended || last) yield* reader.rest()
    if (last) return
    await follow.more()
  }
}

/** Lets the newest run's pump bring in what was printed right before an end that is already on record. */
async function outputOf(runs: AgentRuns, agentId: string, clock: Clock): Promise<void> {
  const run = runs.of(agentId).at(-1)
  const fresh = () => run !== undefined && clock.now() - (runs.endOf(run)?.at ?? 0) < LATE_MS && !runs.outputEnded(run)
  const begun = clock.elapsed()
  while (fresh() && clock.elapsed() - begun < LATE_MS) await clock.sleep(5)
}

/** Where one run's output is, and when more of it is to be expected. */
class Follow {
  readonly #runs: AgentRuns
  readonly #agentId: string
  readonly #run: AgentRun
  readonly #alone: boolean
  readonly #changes: Changes | undefined
  readonly #clock: Clock
  #succeededAt: number | undefined

  constructor(runs: AgentRuns, agentId: string, run: AgentRun, alone: boolean, changes: Changes | undefined, clock: Clock) {
    this.#runs = runs
    this.#agentId = agentId
    this.#run = run
    this.#alone = alone
    this.#changes = changes
    this.#clock = clock
    changes?.lookAt(runs.logDir(run))
  }

  ended(): boolean {
    return this.#runs.outputEnded(this.#run)
  }

  /** Whether what is read next is the last there is; asked before reading. */
  last(): boolean {
    if (!this.#changes) return true
    if (this.#changes.aborted) return true
    if (this.#alone) return this.ended()
    if (!after(this.#runs, this.#agentId, this.#run)) return false
    this.#succeededAt ??= this.#clock.elapsed()
    return this.ended() || this.#clock.elapsed() - this.#succeededAt >= LATE_MS
  }

  async more(): Promise<void> {
    await this.#changes?.next(this.#succeededAt === undefined ? undefined : LATE_MS)
  }
}
