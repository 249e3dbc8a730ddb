import { spawn } from 'node:child_process'
import { closeSync, constants, fchmodSync, openSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { RegentError, reasonOf, systemCode } from '../../../kernel/errors.ts'
import type { RunSpec } from '../../../ports/runtime.ts'
import type { Confinement } from './confinement.ts'
import { type Handover, handoverOf, limitCodes } from './environment.ts'
import type { RunWatch } from './exits.ts'
import { type Settings, WRAPPER_PATH } from './options.ts'
import { onLinux } from './proc.ts'
import type { PidRecord, RunDirectory } from './run-directory.ts'
import { type Setback, Spawner } from './spawner.ts'

/** Without a record: a wrapper, this one or another, has claimed the run and may still bring it there. */
export type Launched = PidRecord | null

/** Said by a wrapper that started nothing; see run-wrapper.sh. */
const codes = { noProcess: 2, noHandover: 120, notConfined: 121, noSpace: 122, noDirectory: 123, claimed: 124 } as const

const DEADLINE_MS = 30_000
/** After so long without a claim the wrapper is taken for lost and asked for again: at most one of them gets the run. */
const AGAIN_MS = 3000
const ATTEMPTS = 5

/** A start that came to nothing. `refused`: by the wrapper that had claimed the run, so nobody else has. */
export class LaunchRefused extends RegentError {
  readonly refused: boolean

  constructor(message: string, hint: string, refused: boolean) {
    super('START_FAILED', message, { hint })
    this.refused = refused
  }
}

/** Brings prepared runs on record. */
export class Launcher {
  readonly #settings: Settings
  readonly #watch: RunWatch
  readonly #spawner: Spawner
  /** By a program start for each wrapper, where none can be forked: no /proc, or none that shows our descriptors. */
  #direct = !onLinux

  constructor(settings: Settings, watch: RunWatch) {
    this.#settings = settings
    this.#watch = watch
    this.#spawner = new Spawner(settings)
  }

  close(): void {
    this.#spawner.close()
  }

  /** Resolves once the pid is on record, or somebody else has claimed the run. Throws START_FAILED when neither is so. */
  async launch(directory: RunDirectory, spec: RunSpec, confinement: Confinement): Promise<Launched> {
    const handover = handoverOf(spec, { ...this.#parts(directory, spec), ...confinement })
    const outcome = Promise.withResolvers<Launched>()
    const files: number[] = []
    const close = () => {
      for (const file of files.splice(0)) closeSync(file)
    }
    const look = () => {
      // Who has claimed it has read the handover: there is a descriptor free to look with.
      if (directory.claimed()) close()
      const record = recordIn(directory)
      if (record) outcome.resolve(record)
      else if (directory.exitCode()) outcome.resolve(null)
    }
    const attempt = new Attempt({ directory, look, outcome, ask: (hear) => this.#ask(directory, handover, files, hear) })
    this.#watch.add(spec.runId, look)
    const cancel = this.#lookMeanwhile(attempt)
    try {
      attempt.again()
      return await outcome.promise
    } catch (error) {
      throw startFailed(error)
    } finally {
      cancel()
      this.#watch.remove(spec.runId, look)
      this.#spawner.settle(spec.runId)
      close()
    }
  }

  #parts(directory: RunDirectory, spec: RunSpec) {
    return { run: directory.path, poke: this.#watch.pokeFile(spec.runId), shell: this.#settings.shell }
  }

  #ask(directory: RunDirectory, handover: Handover, files: number[], hear: (setback: Setback) => void): void {
    if (this.#direct) {
      this.#spawn(directory, handover, hear)
      return
    }
    const [file = keep(files, unnamedFile(directory, handover.setup + handover.environment))] = files
    this.#spawner.ask(directory.runId, file, (setback) => {
      if (setback.kind === 'refused' && setback.code === codes.noHandover) {
        this.#direct = true
        this.#spawn(directory, handover, hear)
      } else hear(setback)
    })
  }

  #spawn(directory: RunDirectory, handover: Handover, hear: (setback: Setback) => void): void {
    const files: number[] = []
    try {
      for (const text of [handover.environment, handover.setup]) keep(files, unnamedFile(directory, text))
      const script = '. "$0" && wrapper "$1" /dev/fd/4 /dev/fd/3'
      const wrapper = spawn(this.#settings.shell, ['-c', script, join(import.meta.dirname, 'run-wrapper.sh'), directory.runId], {
        cwd: directory.path,
        env: { PATH: WRAPPER_PATH },
        detached: true,
        stdio: ['ignore', 'ignore', 'ignore', ...files],
      })
      wrapper.unref()
      wrapper.once('error', (error) => hear({ kind: 'lost', error }))
      wrapper.once('exit', (code) =>
        hear(
          code === null ? { kind: 'lost', error: null } : { kind: 'refused', code, claimed: directory.claimed() && code !== codes.claimed },
        ),
      )
    } finally {
      for (const file of files) closeSync(file)
    }
  }

  /** Pokes can be missed, so this looks too, and gives up at the deadline. */
  #lookMeanwhile(attempt: Attempt): () => void {
    const { clock } = this.#settings
    const begun = clock.elapsed()
    const again = (): (() => void) =>
      clock.after(this.#watch.live ? 250 : 10, () => {
        attempt.look(clock.elapsed() - begun)
        cancel = again()
      })
    let cancel = again()
    return () => cancel()
  }
}

interface AttemptParts {
  readonly directory: RunDirectory
  readonly look: () => void
  readonly outcome: { resolve(launched: Launched): void; reject(error: unknown): void }
  ask(hear: (setback: Setback) => void): void
}

/** Asks for the wrapper of one run, again where the first was lost: the claim lets one of them in only. */
class Attempt {
  readonly #parts: AttemptParts
  #asked = 0
  #askedMs = 0

  constructor(parts: AttemptParts) {
    this.#parts = parts
  }

  again(): void {
    this.#asked += 1
    try {
      this.#parts.ask((setback) => this.#hear(setback))
    } catch (error) {
      this.#parts.outcome.reject(error)
    }
  }

  look(sinceMs: number): void {
    this.#parts.look()
    if (sinceMs > DEADLINE_MS) this.#parts.outcome.reject(new Error('its wrapper does not get on'))
    else if (sinceMs - this.#askedMs > AGAIN_MS && this.#asked < ATTEMPTS && !this.#parts.directory.claimed()) {
      this.#askedMs = sinceMs
      this.again()
    }
  }

  #hear(setback: Setback): void {
    const { directory, look, outcome } = this.#parts
    look()
    const code = setback.kind === 'refused' ? setback.code : null
    if (setback.kind === 'lost' && setback.error) outcome.reject(setback.error)
    else if (code === codes.claimed) outcome.resolve(null)
    else if (code !== null && code <= 128) outcome.reject(refusal(code, setback.kind === 'refused' && setback.claimed))
    else if (directory.claimed()) outcome.resolve(null)
    else if (this.#asked < ATTEMPTS) this.again()
    else outcome.reject(new Error('its wrapper was killed each time'))
  }
}

/** Undefined, too, while Regent itself has no descriptor to look with: it looks again. */
function recordIn(directory: RunDirectory): PidRecord | undefined {
  try {
    return directory.pid()
  } catch (error) {
    if (systemCode(error) === 'EMFILE' || systemCode(error) === 'ENFILE') return undefined
    throw error
  }
}

function refusal(code: number, claimed: boolean): LaunchRefused {
  if (code === codes.noSpace || code === codes.noDirectory)
    return new LaunchRefused('the run could not be put on record', 'Is there space on the disk of the run directories?', claimed)
  const limit = Object.entries(limitCodes).find(([, own]) => own === code)?.[0]
  if (limit !== undefined)
    return new LaunchRefused(
      `the limit ${limit} of the run cannot be set`,
      `Does this machine have as much as limits.${limit} says? Choose another value.`,
      claimed,
    )
  if (code === codes.notConfined)
    return new LaunchRefused(
      'its process could not enter the cgroup of the run',
      'Look at `regent doctor`: may Regent write its cgroups?',
      claimed,
    )
  return new LaunchRefused(`no process could be started (code ${code})`, LIMITS_HINT, claimed)
}

const keep = (files: number[], file: number): number => {
  files.push(file)
  return file
}

/** Linux: a file that never has a name. */
const O_TMPFILE = 0o20000000

/**
 * A file without a name, to be read from its start; it goes when the last process closes it. Its mode lets an agent read it that runs
 * under another account: who may not look into a process cannot reach it.
 */
function unnamedFile(directory: RunDirectory, content: string): number {
  const bytes = Buffer.from(content)
  const file = onLinux ? openTemporary(directory.path) : openThenUnlink(directory.file(`env-${process.pid}`))
  try {
    fchmodSync(file, 0o644)
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at, bytes.length - at, at)
    return file
  } catch (error) {
    closeSync(file)
    throw error
  }
}

function openTemporary(dir: string): number {
  try {
    return openSync(dir, O_TMPFILE | constants.O_DIRECTORY | constants.O_RDWR, 0o600)
  } catch (error) {
    // Not every file system has them.
    if (systemCode(error) !== 'EOPNOTSUPP' && systemCode(error) !== 'EISDIR') throw error
    return openThenUnlink(join(dir, `env-${process.pid}`))
  }
}

function openThenUnlink(path: string): number {
  const file = openSync(path, 'w+', 0o600)
  unlinkSync(path)
  return file
}

const LIMITS_HINT = 'Stop some agents, or raise the limits on processes and open files (ulimit -u, ulimit -n).'
const hints: Readonly<Record<string, string>> = {
  ENOSPC: 'Free some space on the disk of the run directories.',
  EACCES: 'Make the run directories writable for the user that runs Regent.',
  E2BIG: 'Make the arguments shorter.',
}

export function startFailed(error: unknown): RegentError {
  if (error instanceof RegentError) return error
  return new RegentError('START_FAILED', `no process could be started: ${reasonOf(error)}`, {
    hint: hints[systemCode(error) ?? ''] ?? LIMITS_HINT,
    cause: error,
  })
}
