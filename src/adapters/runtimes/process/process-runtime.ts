import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Check } from '../../../contract/system.ts'
import { RegentError, reasonOf } from '../../../kernel/errors.ts'
import type { JsonObject } from '../../../kernel/json.ts'
import type { LogLine, LogQuery, Run, RunHandle, RunSpec, Runtime, RunUsage } from '../../../ports/runtime.ts'
import { AgentRuns } from './agent-runs.ts'
import { checkHost, findSetsid } from './check.ts'
import { RunWatch } from './exits.ts'
import { checkId, handleOf, isSafeId, runIdOf } from './handle.ts'
import { isAlive } from './identity.ts'
import { type Launched, launch, startFailed, wrapperCodes } from './launch.ts'
import { readLogs } from './log-reader.ts'
import { type ProcessRuntimeOptions, type Settings, settingsOf } from './options.ts'
import { ProcessRun } from './process-run.ts'
import { ProcessTree } from './process-tree.ts'
import { awaitPid } from './recovery.ts'
import { RunDirectory, type RunFacts } from './run-directory.ts'

/** Runs as processes of this machine that outlive Regent, each in a session of its own beside a small shell wrapper. */
export async function createProcessRuntime(options: ProcessRuntimeOptions): Promise<Runtime> {
  const settings = settingsOf(options)
  for (const dir of [settings.dir, settings.agentsDir]) mkdirSync(dir, { recursive: true, mode: 0o700 })
  return new ProcessRuntime(settings)
}

class ProcessRuntime implements Runtime {
  readonly kind = 'process'
  readonly can = {
    survivesRestart: true,
    limits: { memory_bytes: false, cpus: false, pids: false, open_files: true },
    stopLevel: process.platform === 'linux' ? 'C' : 'D',
  } as const
  readonly #settings: Settings
  readonly #watch: RunWatch
  readonly #runs: AgentRuns
  readonly #tree = new ProcessTree()
  readonly #live = new Map<string, ProcessRun>()
  readonly #opening = new Map<string, Promise<Run>>()
  readonly #closed = new AbortController()

  constructor(settings: Settings) {
    this.#settings = settings
    this.#watch = new RunWatch(settings)
    this.#runs = new AgentRuns(settings)
  }

  async check(): Promise<void> {
    checkHost(this.#settings)
  }

  async checks(): Promise<readonly Check[]> {
    return []
  }

  onPart(): void {}

  async recordOf(handle: RunHandle): Promise<JsonObject | undefined> {
    return this.#directory(runIdOf(handle)).facts()?.record
  }

  async usages(): Promise<ReadonlyMap<string, RunUsage>> {
    const runs = [...this.#live]
    return new Map(await Promise.all(runs.map(async ([runId, run]) => [runId, await run.usage()] as const)))
  }

  async clearLogs(): Promise<void> {
    throw new RegentError('NOT_YET', 'clearing logs is not there yet')
  }

  handleOf(runId: string): RunHandle {
    return handleOf(runId)
  }

  async start(spec: RunSpec, signal?: AbortSignal): Promise<Run> {
    signal?.throwIfAborted()
    this.#refuseWhenClosed()
    checkId('run id', spec.runId)
    return this.#once(spec.runId, (directory) => (directory.claimed() ? this.#adopt(directory) : this.#launch(directory, spec)))
  }

  async reattach(handle: RunHandle): Promise<Run | undefined> {
    this.#refuseWhenClosed()
    const directory = this.#directory(runIdOf(handle))
    if (!directory.claimed() && !this.#opening.has(directory.runId)) return undefined
    return this.#once(directory.runId, () => this.#adopt(directory))
  }

  async list(): Promise<RunHandle[]> {
    return readdirSync(this.#settings.dir)
      .filter((name) => isSafeId(name) && this.#directory(name).claimed())
      .map(handleOf)
  }

  logs(agentId: string, query: LogQuery, signal?: AbortSignal): AsyncIterable<LogLine> {
    const ends = signal ? AbortSignal.any([signal, this.#closed.signal]) : this.#closed.signal
    return readLogs(this.#runs, agentId, query, this.#settings.clock, ends)
  }

  logFile(agentId: string): string | null {
    const run = this.#runs.of(agentId).at(-1)
    return run ? join(this.#runs.logDir(run), 'output.log') : null
  }

  async forget(agentId: string): Promise<void> {
    const runs = this.#runs.of(agentId)
    for (const { runId } of runs)
      if (this.#isLive(runId))
        throw new RegentError('ILLEGAL_STATE', `run ${runId} of this agent is still alive`, { hint: 'Stop the agent first.' })
    for (const { runId } of runs) this.#directory(runId).remove()
    rmSync(this.#runs.dirOf(agentId), { recursive: true, force: true })
  }

  async close(): Promise<void> {
    this.#closed.abort()
    this.#watch.close()
  }

  /** One start or adoption of a run at a time; later callers get the same run. */
  #once(runId: string, open: (directory: RunDirectory) => Promise<Run>): Promise<Run> {
    const live = this.#live.get(runId)
    if (live) return Promise.resolve(live)
    const opening = this.#opening.get(runId) ?? open(this.#directory(runId)).finally(() => this.#opening.delete(runId))
    this.#opening.set(runId, opening)
    return opening
  }

  async #launch(directory: RunDirectory, spec: RunSpec): Promise<ProcessRun> {
    const setsid = findSetsid()
    if (setsid === undefined) checkHost(this.#settings)
    if (spec.argv.length === 0 || spec.argv.some((arg) => arg.includes('\0')))
      throw new RegentError('INVALID', 'the command must name a program, and hold no NUL', {
        fields: [{ path: 'command', message: 'is not usable' }],
      })
    if (!isDirectory(spec.cwd))
      throw new RegentError('START_FAILED', `the working directory ${spec.cwd} is not there`, {
        hint: 'Create it, or choose another with cwd.',
      })
    const launched = await this.#spawn(directory, spec, setsid ?? '')
    const run = await this.#adopt(directory, factsOf(spec))
    launched?.wrapper.once('exit', () => run.look())
    run.look()
    setImmediate(() => this.#prune(spec.agentId))
    return run
  }

  /** Undefined when another wrapper, left by a Regent before this one, was faster. */
  async #spawn(directory: RunDirectory, spec: RunSpec, setsid: string): Promise<Launched | undefined> {
    let place: string | undefined
    let refused = false
    try {
      directory.prepare(factsOf(spec))
      place = this.#runs.add(spec.agentId, spec.runId)
      if (spec.link) directory.offerLink(spec.link)
      const launched = await launch(this.#settings, this.#watch, directory, spec, setsid)
      refused = launched.ended?.code === wrapperCodes.noSpace
      if (refused || launched.ended?.code === wrapperCodes.noDirectory)
        throw new RegentError('START_FAILED', 'the run could not be put on record', {
          hint: `Is there space on the disk of ${this.#settings.dir}?`,
        })
      if (launched.ended && !directory.claimed()) throw new RegentError('START_FAILED', 'the wrapper was killed before it started anything')
      return launched
    } catch (error) {
      if (!directory.discard(refused)) return undefined
      if (place !== undefined) this.#runs.drop(place)
      throw startFailed(error)
    }
  }

  async #adopt(directory: RunDirectory, facts = directory.facts()): Promise<ProcessRun> {
    const record = await awaitPid(this.#settings, this.#watch, this.#tree, directory)
    const run = new ProcessRun({
      directory,
      record,
      watch: this.#watch,
      tree: this.#tree,
      clock: this.#settings.clock,
      logger: this.#settings.logger,
      reapOnExit: facts?.reapOnExit ?? false,
      ended: () => this.#live.delete(directory.runId),
      remove: () => this.#remove(directory, facts?.agentId),
    })
    if (!run.finished) this.#live.set(directory.runId, run)
    return run
  }

  #remove(directory: RunDirectory, agentId: string | undefined): void {
    if (agentId !== undefined) this.#runs.keepLog(agentId, directory)
    directory.remove()
    if (agentId !== undefined) this.#prune(agentId)
  }

  #prune(agentId: string): void {
    try {
      this.#runs.prune(agentId, (runId) => this.#isLive(runId))
    } catch (error) {
      this.#settings.logger.warn({ agentId, reason: reasonOf(error) }, 'old logs could not be tidied up')
    }
  }

  /** Also of runs that nobody has adopted yet. */
  #isLive(runId: string): boolean {
    if (this.#live.has(runId) || this.#opening.has(runId)) return true
    const record = this.#directory(runId).pid()
    return record !== undefined && isAlive(record)
  }

  #directory(runId: string): RunDirectory {
    return new RunDirectory(join(this.#settings.dir, runId))
  }

  #refuseWhenClosed(): void {
    if (this.#closed.signal.aborted) throw new RegentError('UNAVAILABLE', 'the process runtime is closed')
  }
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}

const factsOf = ({ agentId, label, reapOnExit, record }: RunSpec): RunFacts => ({ agentId, label, reapOnExit, record })
