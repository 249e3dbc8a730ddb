import { type FSWatcher, watch } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../../../kernel/clock.ts'
import type { LogLine, LogQuery } from '../../../ports/runtime.ts'
import type { AgentRun, AgentRuns } from './agent-runs.ts'
import { Lines } from './lines.ts'
import { closeAll, inodeOf, type LogFile, lastLines, openLog, readAt } from './log-files.ts'

const PIECE = 64 * 1024
/** How long the output of a run is waited for after the next run began: somebody may hold its pipe for ever. */
const LATE_MS = 1000
/** How often to look where the directories cannot be watched. */
const BLIND_MS = 500

/** An agent's output, its runs in order; see `Runtime.logs`. */
export async function* readLogs(
  runs: AgentRuns,
  agentId: string,
  query: LogQuery,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<LogLine> {
  if (!query.follow) await outputOf(runs, agentId, clock)
  const first = await firstRun(runs, agentId, query.tail)
  if (!first) return
  const changes = query.follow ? new Changes(runs.dirOf(agentId), clock, signal) : undefined
  try {
    let tail = first.tail
    for (let run: AgentRun | undefined = first.run; run && !signal.aborted; run = after(runs, agentId, run)) {
      const lines = new Lines()
      const { runId } = run
      for await (const piece of piecesOf(new Follow(runs, agentId, run, changes, clock), tail))
        for (const text of piece === 'end' ? lines.flush() : lines.take(piece)) {
          if (signal.aborted) return
          yield { runId, stream: 'stdout', at: null, text }
        }
      if (!signal.aborted) for (const text of lines.flush()) yield { runId, stream: 'stdout', at: null, text }
      tail = undefined
    }
  } finally {
    changes?.close()
  }
}

const after = (runs: AgentRuns, agentId: string, run: AgentRun) => runs.of(agentId).find(({ number }) => number > run.number)

/** Lets the newest run's pump bring in what was printed right before an end that is already on record. */
async function outputOf(runs: AgentRuns, agentId: string, clock: Clock): Promise<void> {
  const run = runs.of(agentId).at(-1)
  const fresh = () => run !== undefined && clock.now() - (runs.endOf(run)?.at ?? 0) < LATE_MS && !runs.outputEnded(run)
  const begun = clock.elapsed()
  while (fresh() && clock.elapsed() - begun < LATE_MS) await clock.sleep(5)
}

/** The run where the last `tail` lines of all runs begin, and how many of them it has. */
async function firstRun(
  runs: AgentRuns,
  agentId: string,
  tail: number | undefined,
): Promise<{ run: AgentRun; tail: number | undefined } | undefined> {
  const all = runs.of(agentId)
  const [oldest] = all
  if (tail === undefined) return oldest && { run: oldest, tail }
  let missing = tail
  for (const run of all.reverse()) {
    const files = openLog(runs.logDir(run))
    const { lines } = await lastLines(files, missing).finally(() => closeAll(files))
    if (lines >= missing) return { run, tail: missing }
    missing -= lines
  }
  return oldest && { run: oldest, tail: undefined }
}

/** Where one run's output is, and when more of it is to be expected. */
class Follow {
  readonly #runs: AgentRuns
  readonly #agentId: string
  readonly #run: AgentRun
  readonly #changes: Changes | undefined
  readonly #clock: Clock
  #succeededAt: number | undefined

  constructor(runs: AgentRuns, agentId: string, run: AgentRun, changes: Changes | undefined, clock: Clock) {
    this.#runs = runs
    this.#agentId = agentId
    this.#run = run
    this.#changes = changes
    this.#clock = clock
    changes?.also(this.dir())
  }

  dir(): string {
    return this.#runs.logDir(this.#run)
  }

  ended(): boolean {
    return this.#runs.outputEnded(this.#run)
  }

  /** Whether what is read next is the last there is; asked before reading. */
  last(): boolean {
    if (!this.#changes) return true
    if (this.#changes.aborted) return true
    if (!after(this.#runs, this.#agentId, this.#run)) return false
    this.#succeededAt ??= this.#clock.elapsed()
    return this.ended() || this.#clock.elapsed() - this.#succeededAt >= LATE_MS
  }

  async more(): Promise<void> {
    await this.#changes?.next(this.#succeededAt === undefined ? undefined : LATE_MS)
  }
}

/** The bytes of one run from its last `tail` lines on, over rotations; `end` where a line ends although it has no newline. */
async function* piecesOf(follow: Follow, tail: number | undefined): AsyncGenerator<Buffer | 'end'> {
  const files = openLog(follow.dir())
  try {
    let offset = 0
    if (tail !== undefined && files.length > 0) {
      const start = await lastLines(files, tail)
      closeAll(files.splice(0, start.file))
      offset = start.offset
    }
    for (;;) {
      const [last, ended] = [follow.last(), follow.ended()]
      for (;;) {
        const [file] = files
        if (file) offset = yield* toEnd(file, offset)
        if (files.length <= 1) {
          const { newer, gap } = filesAfter(follow.dir(), file)
          if (newer.length === 0) break
          files.push(...newer)
          // What was written before the rotation is complete now.
          if (file) yield* toEnd(file, offset)
          if (gap) yield 'end'
        }
        if (file) closeAll(files.splice(0, 1))
        offset = 0
      }
      if (ended) yield 'end'
      if (last) return
      await follow.more()
    }
  } finally {
    closeAll(files)
  }
}

/** Returns where the file ends now. */
async function* toEnd(file: LogFile, offset: number): AsyncGenerator<Buffer, number> {
  const piece = Buffer.allocUnsafe(PIECE)
  for (let at = offset; ; ) {
    const bytesRead = await readAt(file, piece, PIECE, at)
    if (bytesRead === 0) return at
    at += bytesRead
    yield piece.subarray(0, bytesRead)
  }
}

/** The files that were begun after this one; all that are kept, after a gap, when it is no longer among them. */
function filesAfter(dir: string, file: LogFile | undefined): { newer: LogFile[]; gap: boolean } {
  const newest = inodeOf(join(dir, 'output.log'))
  if (newest === undefined || newest === file?.inode) return { newer: [], gap: false }
  const all = openLog(dir)
  const at = all.findIndex(({ inode }) => inode === file?.inode)
  closeAll(all.slice(0, at + 1))
  return { newer: all.slice(at + 1), gap: at === -1 && file !== undefined }
}

/** Wakes a reader when something changed in the directories it looks at. */
class Changes {
  readonly #clock: Clock
  readonly #signal: AbortSignal
  readonly #watchers: (FSWatcher | undefined)[] = []
  #changed = false
  #wake = () => {}

  constructor(dir: string, clock: Clock, signal: AbortSignal) {
    this.#clock = clock
    this.#signal = signal
    this.#watchers.push(this.#watch(dir))
    signal.addEventListener('abort', this.#note)
  }

  get aborted(): boolean {
    return this.#signal.aborted
  }

  /** Looks at this directory instead of the one named before. */
  also(dir: string): void {
    this.#watchers[1]?.close()
    this.#watchers[1] = this.#watch(dir)
  }

  /** Returns when something happened since the last call, or after `withinMs`. */
  async next(withinMs?: number): Promise<void> {
    const blind = this.#watchers.includes(undefined) ? BLIND_MS : undefined
    const limit = Math.min(withinMs ?? Number.POSITIVE_INFINITY, blind ?? Number.POSITIVE_INFINITY)
    if (!this.#changed && !this.aborted) {
      await new Promise<void>((resolve) => {
        const cancel = Number.isFinite(limit) ? this.#clock.after(limit, resolve) : () => {}
        this.#wake = () => {
          cancel()
          resolve()
        }
      })
    }
    this.#changed = false
  }

  close(): void {
    this.#signal.removeEventListener('abort', this.#note)
    for (const watcher of this.#watchers) watcher?.close()
  }

  readonly #note = (): void => {
    this.#changed = true
    this.#wake()
  }

  #watch(dir: string): FSWatcher | undefined {
    try {
      const watcher = watch(dir, { persistent: false }, this.#note)
      watcher.on('error', this.#note)
      return watcher
    } catch {
      return undefined
    }
  }
}
