import { mkdirSync, readdirSync, realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Check } from '../../../contract/system.ts'
import { RegentError, reasonOf } from '../../../kernel/errors.ts'
import type { JsonObject } from '../../../kernel/json.ts'
import type { LogLine, LogQuery, Run, RunHandle, RunSpec, Runtime, RunUsage } from '../../../ports/runtime.ts'
import { AgentRuns } from './agent-runs.ts'
import { checkHost, findSetsid } from './check.ts'
import type { Confinement } from './confinement.ts'
import { type Confiner, openConfiner } from './confiner.ts'
import { DefaultCpus } from './default-cpus.ts'
import { Enclosure } from './enclosure.ts'
import { RunWatch } from './exits.ts'
import { checkId, handleOf, isSafeId, runIdOf } from './handle.ts'
import { isAlive } from './identity.ts'
import type { Kept } from './kept.ts'
import { Later } from './later.ts'
import { Launcher, LaunchRefused, startFailed } from './launch.ts'
import { clearLogs } from './log-clearing.ts'
import { logNames } from './log-files.ts'
import { LogPump, type PartListener } from './log-pump.ts'
import { readLogs } from './log-reader.ts'
import { type ProcessRuntimeOptions, type Settings, settingsOf } from './options.ts'
import { ProcessRun } from './process-run.ts'
import { ProcessTree } from './process-tree.ts'
import { awaitPid, outputHandedOver } from './recovery.ts'
import { type PidRecord, RunDirectory, type RunFacts } from './run-directory.ts'
import { Turns } from './turns.ts'

/** More at the same time would only wait for each other, and hold a descriptor each. */
const STARTS_AT_ONCE = 64
/** Between two turns of the event loop, which stays responsive so. */
const USAGES_AT_ONCE = 32

/** Runs as processes of this machine that outlive Regent, each in a session of its own beside a small shell wrapper. */
export async function createProcessRuntime(options: ProcessRuntimeOptions): Promise<Runtime> {
  const settings = settingsOf(options)
  for (const dir of [settings.dir, settings.agentsDir]) mkdirSync(dir, { recursive: true, mode: 0o700 })
  // Records are compared with what the kernel calls these directories.
  const dir = realpathSync(settings.dir)
  const confiner = await openConfiner({ ...options, dir, shell: settings.shell })
  return new ProcessRuntime(settingsOf({ confine: confiner.confine, ...options, dir }), confiner)
}

class ProcessRuntime implements Runtime {
  readonly kind = 'process'
  readonly can: Runtime['can']
  readonly #confiner: Confiner
  readonly #settings: Settings
  readonly #watch: RunWatch
  readonly #runs: AgentRuns
  readonly #tree = new ProcessTree()
  readonly #later: Later
  readonly #defaultCpus: DefaultCpus
  readonly #live = new Map<string, ProcessRun>()
  readonly #opening = new Map<string, Promise<Run>>()
  readonly #closed = new AbortController()
  readonly #launcher: Launcher
  readonly #pump: LogPump
  readonly #turns: Turns
  #onPart: PartListener = () => {}

  constructor(settings: Settings, confiner: Confiner) {
    this.can = { survivesRestart: true, ...confiner.can }
    this.#confiner = confiner
    this.#settings = settings
    this.#watch = new RunWatch(settings)
    this.#later = new Later(settings.clock)
    this.#defaultCpus = new DefaultCpus({
      clock: settings.clock,
      logger: settings.logger,
      cpus: settings.limits.cpus,
      busy: () => this.#opening.size > 0,
    })
    this.#runs = new AgentRuns(settings)
    this.#turns = new Turns(STARTS_AT_ONCE, () => settings.clock.elapsed())
    this.#launcher = new Launcher(settings, this.#watch)
    this.#pump = new LogPump(
      settings,
      this.#watch,
      () => this.#live.size + this.#opening.size > 0,
      (part) => this.#onPart(part),
    )
  }

  async check(): Promise<void> {
    checkHost(this.#settings)
  }

  async checks(): Promise<readonly Check[]> {
    return [...this.#confiner.checks(), this.#pump.check()]
  }

  onPart(listener: PartListener): void {
    this.#onPart = listener
  }

  async recordOf(handle: RunHandle): Promise<JsonObject | undefined> {
    return this.#directory(runIdOf(handle)).facts()?.record
  }

  async usages(): Promise<ReadonlyMap<string, RunUsage>> {
    const usages = new Map<string, RunUsage>()
    const runs = [...this.#live]
    for (let at = 0; at < runs.length; at += USAGES_AT_ONCE) {
      const some = runs.slice(at, at + USAGES_AT_ONCE).map(async ([runId, run]) => usages.set(runId, await run.usage()))
      await Promise.all([...some, nextTurn()])
    }
    return usages
  }

  async clearLogs(agentId: string): Promise<void> {
    await clearLogs(this.#settings, this.#runs, agentId, (runId) => this.#watch.poke(runId))
  }

  handleOf(runId: string): RunHandle {
    return handleOf(runId)
  }

  async start(spec: RunSpec, signal?: AbortSignal): Promise<Run> {
    signal?.throwIfAborted()
    this.#refuseWhenClosed()
    checkId('run id', spec.runId)
    const { cpus: _givenLater, ...defaults } = this.#settings.limits
    const limited = { ...spec, limits: { ...defaults, ...spec.limits } }
    return this.#once(spec.runId, (directory) => (directory.claimed() ? this.#adopt(directory) : this.#launch(directory, limited)))
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

  logFile(agentId: string, stream: LogLine['stream'] = 'stdout'): string | null {
    const run = this.#runs.of(agentId).at(-1)
    return run ? join(this.#runs.logDir(run), logNames[stream].log) : null
  }

  async forget(agentId: string): Promise<void> {
    const runs = this.#runs.of(agentId)
    for (const { runId } of runs)
      if (this.#isLive(runId))
        throw new RegentError('ILLEGAL_STATE', `run ${runId} of this agent is still alive`, { hint: 'Stop the agent first.' })
    for (const { runId } of runs) {
      const directory = this.#directory(runId)
      await outputHandedOver(this.#settings.clock, directory, directory.pid() ?? null)
      directory.remove()
    }
    this.#runs.forget(agentId)
  }

  async close(): Promise<void> {
    this.#closed.abort()
    this.#launcher.close()
    this.#pump.close()
    this.#watch.close()
    this.#later.close()
    this.#defaultCpus.close()
    this.#confiner.close()
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
    if (findSetsid() === undefined) checkHost(this.#settings)
    if (spec.argv.length === 0 || spec.argv.some((arg) => arg.includes('\0')))
      throw new RegentError('INVALID', 'the command must name a program, and hold no NUL', {
        fields: [{ path: 'command', message: 'is not usable' }],
      })
    if (!isDirectory(spec.cwd))
      throw new RegentError('START_FAILED', `the working directory ${spec.cwd} is not there`, {
        hint: 'Create it, or choose another with cwd.',
      })
    this.#pump.ensure()
    const { record, kept } = await this.#turns.run(() => this.#spawn(directory, spec))
    const run = await this.#adopt(directory, factsOf(spec, kept), record)
    setImmediate(() => this.#prune(spec.agentId))
    return run
  }

  /** No record when another wrapper, left by a Regent before this one, was faster. */
  async #spawn(directory: RunDirectory, spec: RunSpec): Promise<{ readonly record: PidRecord | null; readonly kept?: Kept }> {
    let confinement: Confinement | undefined
    try {
      confinement = this.#settings.confine(spec)
      directory.prepare({ ...factsOf(spec, confinement.kept), number: this.#runs.add(spec.agentId, spec.runId) })
      const { account } = confinement.kept
      if (spec.link) directory.offerLink(spec.link, account)
      if (spec.link && account) this.#confiner.admit(account, directory.file('link.json'))
      return { record: await this.#launcher.launch(directory, spec, confinement), kept: confinement.kept }
    } catch (error) {
      if (!directory.discard(error instanceof LaunchRefused && error.refused)) return { record: null }
      confinement?.release()
      this.#runs.drop(spec.agentId, spec.runId)
      throw startFailed(error)
    }
  }

  async #adopt(directory: RunDirectory, facts = directory.facts(), known: PidRecord | null = null): Promise<ProcessRun> {
    if (facts) this.#runs.note(directory.runId, facts)
    const record = known ?? (await awaitPid(this.#settings, this.#watch, this.#tree, directory))
    const kept = facts?.kept
    const enclosure = new Enclosure({ runId: directory.runId, record, kept, tree: this.#tree, logger: this.#settings.logger })
    const run = new ProcessRun({
      directory,
      record,
      enclosure,
      watch: this.#watch,
      tree: this.#tree,
      clock: this.#settings.clock,
      logger: this.#settings.logger,
      reapOnExit: facts?.reapOnExit ?? false,
      ended: () => this.#ended(directory.runId, enclosure),
      stopped: () => this.#later.do(() => this.#confiner.release({})),
      remove: () => this.#remove(directory, facts?.agentId, record),
    })
    if (!run.finished) {
      this.#live.set(directory.runId, run)
      if (kept) this.#defaultCpus.add(kept.groups)
      this.#pump.ensure()
    }
    return run
  }

  #ended(runId: string, { kept }: Enclosure): void {
    this.#live.delete(runId)
    this.#later.do(() => {
      this.#watch.forget(runId)
      this.#confiner.release(kept.groups)
    })
  }

  async #remove(directory: RunDirectory, agentId: string | undefined, record: PidRecord | null): Promise<void> {
    await outputHandedOver(this.#settings.clock, directory, record)
    if (agentId !== undefined) {
      this.#runs.keepLog(agentId, directory)
      this.#runs.keepEarlierLogs(agentId, directory.runId)
    }
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

const factsOf = ({ agentId, label, reapOnExit, record }: RunSpec, kept?: Kept): RunFacts => ({ agentId, label, reapOnExit, record, kept })
