import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { systemCode } from '../../../kernel/errors.ts'
import { checkId, isSafeId } from './handle.ts'
import { KEPT_RUNS, type Settings } from './options.ts'
import { RunDirectory, type RunFacts } from './run-directory.ts'

/** One run in the order of its agent's runs; its log is in its run directory, or at `path` once that was removed. */
export interface AgentRun {
  readonly runId: string
  readonly number: number
  readonly path: string
}

/** A log or the times of one. */
const logName = /^(?:output|error)\.(?:log|times)(\.\d+)?$/

/**
 * Which runs an agent had, in order. A run has its number in its run.json, and takes it along when only its log is left, in
 * `{agentsDir}/{agentId}/runs/{number}-{runId}`. What was read once is kept in memory: nobody else changes it.
 */
export class AgentRuns {
  readonly #settings: Settings
  /** By agent and run. */
  readonly #numbers = new Map<string, Map<string, number>>()
  /** Agents whose places were read. */
  readonly #placed = new Set<string>()
  readonly #listeners = new Map<string, Set<() => void>>()
  /** Runs that were noted before all run directories were read. */
  #noted: Set<string> | undefined = new Set()

  constructor(settings: Settings) {
    this.#settings = settings
  }

  #directory(runId: string): RunDirectory {
    return new RunDirectory(join(this.#settings.dir, runId))
  }

  #dirOf(agentId: string): string {
    return join(this.#settings.agentsDir, checkId('agent id', agentId), 'runs')
  }

  #place(agentId: string, runId: string, number: number): string {
    return join(this.#dirOf(agentId), `${String(number).padStart(8, '0')}-${runId}`)
  }

  /** Oldest first. */
  of(agentId: string): AgentRun[] {
    const dir = this.#dirOf(agentId)
    this.#readDirectories()
    if (!this.#placed.has(agentId)) this.#readPlaces(agentId, dir)
    return [...(this.#numbers.get(agentId) ?? [])]
      .map(([runId, number]) => ({ runId, number, path: this.#place(agentId, runId, number) }))
      .sort((one, other) => one.number - other.number)
  }

  /** Puts a run at the end of its agent's runs and returns its number; one that is there already keeps its own. */
  add(agentId: string, runId: string): number {
    const runs = this.of(agentId)
    const known = runs.find((run) => run.runId === runId)
    if (known) return known.number
    const number = (runs.at(-1)?.number ?? 0) + 1
    this.#put(agentId, runId, number)
    this.#tell(agentId)
    return number
  }

  /** Takes back a number that `add` gave, unless a log is kept for it. */
  drop(agentId: string, runId: string): void {
    const numbers = this.#numbers.get(agentId)
    const number = numbers?.get(runId)
    if (number !== undefined && !existsSync(this.#place(agentId, runId, number))) numbers?.delete(runId)
  }

  /** What a run directory says of its run. */
  note(runId: string, { agentId, number }: Pick<RunFacts, 'agentId' | 'number'>): void {
    if (number === undefined || !isSafeId(agentId)) return
    this.#noted?.add(runId)
    this.#put(agentId, runId, number)
  }

  /** Nothing of this agent is left. */
  forget(agentId: string): void {
    rmSync(this.#dirOf(agentId), { recursive: true, force: true })
    this.#numbers.delete(agentId)
    this.#placed.delete(agentId)
    this.#tell(agentId)
  }

  /** Calls `listener` when the runs of an agent change, until the function that this returns is called. */
  listen(agentId: string, listener: () => void): () => void {
    const listeners = this.#listeners.get(agentId) ?? new Set()
    this.#listeners.set(agentId, listeners.add(listener))
    return () => {
      if (listeners.delete(listener) && listeners.size === 0) this.#listeners.delete(agentId)
    }
  }

  /** Where the log files of a run are now. */
  logDir(run: AgentRun): string {
    const directory = this.#directory(run.runId)
    return existsSync(directory.path) ? directory.path : run.path
  }

  /** When its main process ended, if that is on record. */
  endOf(run: AgentRun): { readonly at: number } | undefined {
    return new RunDirectory(this.logDir(run)).exitCode()
  }

  /** Nobody can print to it any more and all of its output is in the log. */
  outputEnded(run: AgentRun): boolean {
    return new RunDirectory(this.logDir(run)).outputEnded()
  }

  /**
   * Takes the directory of a finished run in its place here and leaves only its log. Its pump goes on there, should somebody
   * still hold its output.
   */
  keepLog(agentId: string, directory: RunDirectory): void {
    const run = this.of(agentId).find(({ runId }) => runId === directory.runId)
    if (!run || !existsSync(directory.path)) return
    mkdirSync(dirname(run.path), { recursive: true, mode: 0o700 })
    move(directory.path, run.path)
    // Only now: until then its run.json is what says whose it is.
    new RunDirectory(run.path).forgetRecords()
    this.#tell(agentId)
  }

  /** The same for its runs before this one that ended, where a Regent was killed before it came to that. */
  keepEarlierLogs(agentId: string, runId: string): void {
    const runs = this.of(agentId)
    const own = runs.find((run) => run.runId === runId)?.number ?? 0
    for (const earlier of runs.filter(({ number }) => number < own)) {
      const directory = this.#directory(earlier.runId)
      if (directory.outputEnded() && directory.exitCode()) this.keepLog(agentId, directory)
    }
  }

  /**
   * Holds the bounds over an agent's finished runs: KEPT_RUNS directories, and `maxBytes` of log in all those that are older than
   * the newest finished one. The oldest go first, and whatever is older than `maxAgeMs`.
   */
  prune(agentId: string, isLive: (runId: string) => boolean): void {
    const finished = this.of(agentId)
      .filter((run) => !isLive(run.runId))
      .reverse()
    const { maxBytes, maxAgeMs } = this.#settings.logs
    const oldest = maxAgeMs === null ? 0 : this.#settings.clock.now() - maxAgeMs
    let room = maxBytes
    for (const [at, run] of finished.slice(0, KEPT_RUNS).entries()) {
      for (const file of logFiles(this.logDir(run))) {
        const stat = statSync(file, { throwIfNoEntry: false })
        if (at > 0) room -= stat?.size ?? 0
        if (room < 0 || (stat && stat.mtimeMs < oldest)) rmSync(file, { force: true })
      }
    }
    for (const run of finished.slice(KEPT_RUNS)) {
      this.#directory(run.runId).remove()
      rmSync(run.path, { recursive: true, force: true })
      this.#numbers.get(agentId)?.delete(run.runId)
    }
  }

  #put(agentId: string, runId: string, number: number): void {
    const numbers = this.#numbers.get(agentId) ?? new Map<string, number>()
    this.#numbers.set(agentId, numbers.set(runId, number))
  }

  #tell(agentId: string): void {
    for (const listener of this.#listeners.get(agentId) ?? []) listener()
  }

  /** Once, all that an earlier Regent left. */
  #readDirectories(): void {
    const noted = this.#noted
    if (!noted) return
    for (const runId of readdirSync(this.#settings.dir)) {
      if (!isSafeId(runId) || noted.has(runId)) continue
      const facts = this.#directory(runId).facts()
      if (facts) this.note(runId, facts)
    }
    this.#noted = undefined
  }

  #readPlaces(agentId: string, dir: string): void {
    for (const name of existsSync(dir) ? readdirSync(dir) : []) {
      const [, number, runId] = /^(\d+)-(.+)$/.exec(name) ?? []
      if (number === undefined || runId === undefined) continue
      const place = new RunDirectory(join(dir, name))
      // A Regent was killed between the two steps of `keepLog`.
      if (place.facts()) place.forgetRecords()
      this.#put(agentId, runId, Number(number))
    }
    this.#placed.add(agentId)
  }
}

/** Also to another file system, and where there is something already. */
function move(from: string, to: string): void {
  try {
    renameSync(from, to)
  } catch (error) {
    if (systemCode(error) === 'EXDEV') cpSync(from, to, { recursive: true })
    else if (systemCode(error) !== 'ENOTEMPTY' && systemCode(error) !== 'EEXIST') throw error
    else {
      rmSync(to, { recursive: true })
      renameSync(from, to)
    }
  }
}

/** Logs and their times, newest first. */
export function logFiles(dir: string): string[] {
  const age = (name: string) => Number(logName.exec(name)?.[1]?.slice(1) ?? 0)
  if (!existsSync(dir)) return []
  return readdirSync(dir)
    .filter((name) => logName.test(name))
    .sort((one, other) => age(one) - age(other))
    .map((name) => join(dir, name))
}
