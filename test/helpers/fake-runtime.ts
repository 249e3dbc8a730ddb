import type { LinkInfo } from '../../src/contract/link.ts'
import type { Clock } from '../../src/kernel/clock.ts'
import type { ExecOutcome, Exit, Run, RunHandle, RunSpec, Runtime, RunUsage, StopOutcome } from '../../src/ports/runtime.ts'

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

  constructor(spec: RunSpec, pid: number, startedAt: number) {
    this.spec = spec
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

  async signal(): Promise<boolean> {
    return this.over === undefined
  }

  async stop(): Promise<StopOutcome> {
    this.stops++
    if (!this.holdStop) this.end({ kind: 'signalled', signal: 'SIGTERM', code: 143, at: this.startedAt })
    return { exit: await this.exited, survivors: [] }
  }

  async usage() {
    return { memoryBytes: null, cpuSeconds: null, processes: null, openFiles: null }
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
    const run = new FakeRun(spec, 1000 + this.runs.length, this.#clock.now())
    this.runs.push(run)
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

  async clearLogs(): Promise<void> {}

  async *logs() {}

  logFile(): null {
    return null
  }

  async forget(): Promise<void> {}
  async close(): Promise<void> {}

  get last(): FakeRun {
    const run = this.runs.at(-1)
    if (!run) throw new Error('no run was started')
    return run
  }

  get alive(): readonly FakeRun[] {
    return this.runs.filter((run) => run.over === undefined)
  }
}
