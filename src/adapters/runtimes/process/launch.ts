import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, constants, openSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { runnerVariables } from '../../../contract/link.ts'
import { RegentError, reasonOf, systemCode } from '../../../kernel/errors.ts'
import type { RunSpec } from '../../../ports/runtime.ts'
import { handoverOf } from './environment.ts'
import type { RunWatch } from './exits.ts'
import { bootId } from './identity.ts'
import { type Settings, WRAPPER_PATH } from './options.ts'
import { onLinux } from './proc.ts'
import type { RunDirectory } from './run-directory.ts'

/** `ended`: the wrapper is gone again; what it recorded tells the rest. */
export interface Launched {
  readonly wrapper: ChildProcess
  readonly ended: { readonly code: number | null } | null
}

/** Exit codes of a wrapper that started nothing. */
export const wrapperCodes = { noSpace: 122, noDirectory: 123, claimed: 124 } as const

const DEADLINE_MS = 30_000

/** Starts the wrapper of a prepared run; resolves once the pid is on record, or the wrapper is gone. Throws START_FAILED when it never was. */
export async function launch(
  settings: Settings,
  watch: RunWatch,
  directory: RunDirectory,
  spec: RunSpec,
  setsid: string,
): Promise<Launched> {
  const outcome = Promise.withResolvers<Launched>()
  const wrapper = spawnWrapper(settings, watch, directory, spec, setsid)
  const look = () => directory.pid() && outcome.resolve({ wrapper, ended: null })
  wrapper.on('error', (error) => outcome.reject(startFailed(error)))
  wrapper.once('exit', (code) => outcome.resolve({ wrapper, ended: { code } }))
  watch.add(spec.runId, look)
  const cancel = lookMeanwhile(settings, watch, look, () => wrapper.kill('SIGKILL'))
  try {
    return await outcome.promise
  } finally {
    wrapper.unref()
    cancel()
    watch.remove(spec.runId, look)
  }
}

/** Pokes can be missed, so this looks too, and gives up at the deadline. */
function lookMeanwhile({ clock }: Settings, watch: RunWatch, look: () => unknown, giveUp: () => void): () => void {
  const begun = clock.elapsed()
  const again = (): (() => void) =>
    clock.after(watch.live ? 250 : 10, () => {
      look()
      if (clock.elapsed() - begun > DEADLINE_MS) giveUp()
      else cancel = again()
    })
  let cancel = again()
  return () => cancel()
}

function spawnWrapper(settings: Settings, watch: RunWatch, directory: RunDirectory, spec: RunSpec, setsid: string): ChildProcess {
  const { form, content } = handoverOf({
    ...spec.env,
    [runnerVariables.runId]: spec.runId,
    ...(spec.link && { [runnerVariables.runDir]: directory.path }),
  })
  const library = import.meta.dirname
  const helper = form === 'file' ? [process.execPath, '--disable-warning=ExperimentalWarning', join(library, 'exec-agent.mjs')] : []
  const session = setsid === '' ? [] : [setsid, '--']
  try {
    const environment = unnamedFile(directory, content)
    try {
      const { maxBytes, keep } = settings.logs
      const numbers = [maxBytes, keep, spec.limits.open_files ?? 'any', spec.reapOnExit ? 1 : 0].map(String)
      const own = [
        join(library, 'run-wrapper.sh'),
        directory.path,
        watch.pokeFile(spec.runId),
        bootId(),
        library,
        ...numbers,
        form,
        spec.cwd,
      ]
      return spawn(settings.shell, [...own, ...session, ...helper, ...spec.argv], {
        cwd: directory.path,
        env: { PATH: WRAPPER_PATH },
        detached: true,
        stdio: ['ignore', 'ignore', 'ignore', environment],
      })
    } finally {
      closeSync(environment)
    }
  } catch (error) {
    throw startFailed(error)
  }
}

/** Linux: a file that never has a name. */
const O_TMPFILE = 0o20000000

/** A file without a name, to be read from its start; it goes when the last process closes it. */
function unnamedFile(directory: RunDirectory, content: string): number {
  const bytes = Buffer.from(content)
  const file = onLinux ? openTemporary(directory.path) : openThenUnlink(directory.file(`env-${process.pid}`))
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at, bytes.length - at, at)
  return file
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

const hints: Readonly<Record<string, string>> = {
  ENOSPC: 'Free some space on the disk of the run directories.',
  EACCES: 'Make the run directories writable for the user that runs Regent.',
  E2BIG: 'Make the arguments shorter.',
}

export function startFailed(error: unknown): RegentError {
  if (error instanceof RegentError) return error
  return new RegentError('START_FAILED', `no process could be started: ${reasonOf(error)}`, {
    hint: hints[systemCode(error) ?? ''] ?? 'Stop some agents, or raise the limits on processes and open files (ulimit -u, ulimit -n).',
    cause: error,
  })
}
