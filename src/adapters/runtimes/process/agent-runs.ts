import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { systemCode } from '../../../kernel/errors.ts'
import { checkId } from './handle.ts'
import { KEPT_RUNS, type Settings } from './options.ts'
import { RunDirectory } from './run-directory.ts'

/** One run in the order of its agent's runs; its log is in its run directory, or here once that was removed. */
export interface AgentRun {
  readonly runId: string
  readonly number: number
  readonly path: string
}

/** A log or the times of one. */
const logName = /^(?:output|error)\.(?:log|times)(\.\d+)?$/

/** Which runs an agent had, in order: directories `{agentsDir}/{agentId}/runs/{number}-{runId}`. */
export class AgentRuns {
  readonly #settings: Settings

  constructor(settings: Settings) {
    this.#settings = settings
  }

  #directory(runId: string): RunDirectory {
    return new RunDirectory(join(this.#settings.dir, runId))
  }

  dirOf(agentId: string): string {
    return join(this.#settings.agentsDir, checkId('agent id', agentId), 'runs')
  }

  /** Oldest first. */
  of(agentId: string): AgentRun[] {
    const dir = this.dirOf(agentId)
    if (!existsSync(dir)) return []
    return readdirSync(dir)
      .flatMap((name) => {
        const match = /^(\d+)-(.+)$/.exec(name)
        return match ? [{ number: Number(match[1]), runId: match[2] ?? '', path: join(dir, name) }] : []
      })
      .sort((one, other) => one.number - other.number)
  }

  /** Puts a run at the end of its agent's runs and returns its place there; one that is there already keeps its own. */
  add(agentId: string, runId: string): string {
    const runs = this.of(agentId)
    const known = runs.find((run) => run.runId === runId)
    if (known) return known.path
    const number = (runs.at(-1)?.number ?? 0) + 1
    const path = join(this.dirOf(agentId), `${String(number).padStart(8, '0')}-${runId}`)
    mkdirSync(path, { recursive: true, mode: 0o700 })
    return path
  }

  /** Takes back a place that `add` gave, unless a log is kept there. */
  drop(path: string): void {
    try {
      rmdirSync(path)
    } catch (error) {
      if (systemCode(error) !== 'ENOTEMPTY' && systemCode(error) !== 'ENOENT') throw error
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
    directory.forgetRecords()
    rmSync(run.path, { recursive: true, force: true })
    try {
      renameSync(directory.path, run.path)
    } catch (error) {
      if (systemCode(error) !== 'EXDEV') throw error
      cpSync(directory.path, run.path, { recursive: true })
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
