import type { LinkInfo } from '../../src/contract/link.ts'
import type { Clock } from '../../src/kernel/clock.ts'
import type {
  ExecOutcome,
  Exit,
  LogLine,
  LogQuery,
  Run,
  RunHandle,
  RunSpec,
  Runtime,
  RunUsage,
  StopOutcome,
} from '../../src/ports/runtime.ts'

/** A run that ends when the test says so. */
export class FakeRun implements Run {
  readonly handle: RunHandle
  readonly pid: number
  readonly startedAt: number
  readonly spec: RunSpec
  readonly exited: Promise<Exit>
  readonly links: LinkInfo[] = []
  stops = 0
  #exit: ((exit: Exit) => void) | undefined
  over: Exit | undefined
  /** undefined: it ends at once when it is stopped. */
  holdStop = false
  /** It ignores the stop signal: its stop takes the whole grace. */
  fights = false
  /** When it was told to stop, elapsed ms of the clock. */
  stoppedAt: number | undefined
  readonly #clock: Clock

  constructor(spec: RunSpec, pid: number, clock: Clock) {
    this.spec = spec
    this.#clock = clock
    const startedAt = clock.now()
    this.pid = pid
    this.startedAt = startedAt
    this.handle = { runtime: 'process', runId: spec.runId, version: 1, state: {} }
    this.exited = new Promise((resolve) => {
      this.#exit = resolve
    })
  }

  end(exit: Exit): void {
    this.over ??= exit
    this.#exit?.(this.over)
  }

  async offerLink(link: LinkInfo): Promise<void> {
    this.links.push(link)
  }

  /** What it was sent, and whether it is still the process on record. */
  readonly signals: NodeJS.Signals[] = []
  isOnRecord = true

  async signal(name: NodeJS.Signals): Promise<boolean> {
    if (this.over !== undefined || !this.isOnRecord) return false
    this.signals.push(name)
    return true
  }

  async stop({ graceMs }: { graceMs: number }): Promise<StopOutcome> {
    this.stops++
    this.stoppedAt ??= this.#clock.elapsed()
    const killed = { kind: 'signalled', signal: 'SIGKILL', code: 137, at: this.startedAt } as const
    if (this.fights) this.#clock.after(graceMs, () => this.end(killed))
    else if (!this.holdStop) this.end({ kind: 'signalled', signal: 'SIGTERM', code: 143, at: this.startedAt })
    return { exit: await this.exited, survivors: [] }
  }

  async usage() {
    return { memoryBytes: null, cpuSeconds: null, processes: null, openFiles: null }
  }

  /** Epoch ms. */
  outputAt: number | null = null

  async lastOutputAt() {
    return this.outputAt
  }

  /** What a program beside it will answer. */
  execAnswers: ExecOutcome = { code: 0, output: '' }

  async exec(): Promise<ExecOutcome> {
    return this.execAnswers
  }

  async remove(): Promise<void> {}
}

/** A runtime without processes: keeps every run it was asked for, over restarts of whoever holds it. */
export class FakeRuntime implements Runtime {
  readonly kind = 'process'
  readonly can = {
    survivesRestart: true,
    limits: { memory_bytes: false, cpus: false, pids: false, open_files: false },
    stopLevel: 'D',
  } as const
  #onPart: Parameters<Runtime['onPart']>[0] | undefined
  readonly runs: FakeRun[] = []
  readonly #clock: Clock
  /** Thrown by the next starts. */
  failure: Error | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  async check(): Promise<void> {}

  handleOf(runId: string): RunHandle {
    return { runtime: 'process', runId, version: 1, state: {} }
  }

  async start(spec: RunSpec): Promise<Run> {
    if (this.failure) throw this.failure
    const known = this.runs.find((run) => run.handle.runId === spec.runId)
    if (known) return known
    const run = new FakeRun(spec, 1000 + this.runs.length, this.#clock)
    this.runs.push(run)
    this.removed.delete(spec.agentId)
    // What follows its output alone ends with it.
    void run.exited.then(() => {
      for (const wake of [...this.#printing]) wake()
    })
    return run
  }

  async reattach(handle: RunHandle): Promise<Run | undefined> {
    return this.runs.find((run) => run.handle.runId === handle.runId)
  }

  async list(): Promise<RunHandle[]> {
    return this.runs.map((run) => run.handle)
  }

  async checks() {
    return []
  }

  onPart(listener: Parameters<Runtime['onPart']>[0]): void {
    this.#onPart = listener
  }

  /** As when a part of it is lost or comes back. */
  tellPart(part: Parameters<Parameters<Runtime['onPart']>[0]>[0]): void {
    this.#onPart?.(part)
  }

  async recordOf(handle: RunHandle) {
    return this.runs.find((run) => run.handle.runId === handle.runId)?.spec.record
  }

  readonly taken = new Map<string, RunUsage>()

  async usages(): Promise<ReadonlyMap<string, RunUsage>> {
    return this.taken
  }

  /** What agents printed, by agent id; in order. */
  readonly printed = new Map<string, LogLine[]>()
  #printing = new Set<() => void>()
  /** Readers of logs that are open now, and lines that were read. */
  readers = 0
  linesRead = 0

  /** As when an agent prints; `at` defaults to now. */
  print(agentId: string, text: string, line: Partial<LogLine> = {}): void {
    const lines = this.printed.get(agentId) ?? []
    this.printed.set(agentId, [...lines, { runId: 'run', stream: 'stdout', at: this.#clock.now(), text, ...line }])
    for (const wake of [...this.#printing]) wake()
  }

  async clearLogs(agentId: string): Promise<void> {
    this.printed.set(agentId, [])
  }

  async *logs(agentId: string, { tail, follow, since, stream, contains, run }: LogQuery, signal?: AbortSignal): AsyncGenerator<LogLine> {
    const wanted = (line: LogLine) =>
      (since === undefined || line.at === null || line.at >= since) &&
      (stream === undefined || line.stream === stream) &&
      (run === undefined || line.runId === run) &&
      (contains === undefined || line.text.includes(contains))
    const isOver = () => run !== undefined && this.runs.find(({ handle }) => handle.runId === run)?.over !== undefined
    const now = this.printed.get(agentId) ?? []
    if (!this.printed.has(agentId) && run === undefined) return
    let at = now.length
    this.readers++
    try {
      const kept = now.filter(wanted)
      for (const line of tail === undefined ? kept : kept.slice(Math.max(0, kept.length - tail))) {
        if (signal?.aborted) return
        this.linesRead++
        yield line
      }
      while (follow && !signal?.aborted) {
        const lines = this.printed.get(agentId) ?? []
        const line = lines[at]
        if (!line && isOver()) return
        if (!line) await this.#nextPrint(signal)
        else {
          at++
          if (!wanted(line)) continue
          this.linesRead++
          yield line
        }
      }
    } finally {
      this.readers--
    }
  }

  #nextPrint(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#printing.delete(done)
        signal?.removeEventListener('abort', done)
        resolve()
      }
      this.#printing.add(done)
      signal?.addEventListener('abort', done, { once: true })
      if (signal?.aborted) done()
    })
  }

  logFile(): null {
    return null
  }

  /** Agents whose logs and runs were forgotten. */
  readonly removed = new Set<string>()

  async forget(agentId: string): Promise<void> {
    this.removed.add(agentId)
    this.printed.delete(agentId)
  }
  async close(): Promise<void> {}

  /** The live run of an agent. */
  of(agentId: string): FakeRun {
    const run = this.runs.findLast(({ spec, over }) => spec.agentId === agentId && over === undefined)
    if (!run) throw new Error('it has no live run')
    return run
  }

  get last(): FakeRun {
    const run = this.runs.at(-1)
    if (!run) throw new Error('no run was started')
    return run
  }

  get alive(): readonly FakeRun[] {
    return this.runs.filter((run) => run.over === undefined)
  }
}
