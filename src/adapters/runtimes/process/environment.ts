import { join } from 'node:path'
import { runnerVariables } from '../../../contract/link.ts'
import { RegentError } from '../../../kernel/errors.ts'
import type { RunSpec } from '../../../ports/runtime.ts'
import type { Confinement } from './confinement.ts'
import { bootId } from './identity.ts'
import type { Setting } from './run-groups.ts'

const identifier = /^[A-Za-z_][A-Za-z0-9_]*$/
/** Names that one shell or another gives a meaning of its own, or refuses to set. */
const shellsOwn =
  /^(_|PPID|E?UID|GROUPS|OPTIND|OPTERR|OPTARG|LINENO|S?RANDOM|SECONDS|EPOCH.*|HIST.*|DIRSTACK|FUNCNAME|PIPESTATUS|SHELLOPTS|BASH.*|COMP_.*)$/

/** What the wrapper gets by an open file, so that no value of the environment is seen in arguments or stays on disk. */
export interface Handover {
  /** Shell text that sets what the wrapper needs and returns; skipped when the environment is read. */
  readonly setup: string
  /** Shell text that sets exactly these variables, or, in the last line, JSON for names that a shell cannot carry. */
  readonly environment: string
}

/** Around the agent's own command. */
export interface Surroundings extends Pick<Confinement, 'settings' | 'enter' | 'before' | 'environment' | 'env'> {
  readonly run: string
  readonly poke: string
  /** The shell that reads the environment where that is to be set after the programs before the agent. */
  readonly shell: string
}

/** Becomes its arguments with the environment of fd 3. */
const READ_IN = 'part=environment; unset PATH PWD OLDPWD SHLVL; . /dev/fd/3; exec "$@" 3<&-'

/** What Linux lets one argument or variable have, and about what all of them may. */
const MOST_BYTES = { each: 128 * 1024, all: 2 * 1024 * 1024 - 64 * 1024 }

/** Throws INVALID for what no process can have, START_FAILED for what is too much for one. */
export function handoverOf(spec: RunSpec, around: Surroundings): Handover {
  const env: Record<string, string> = {
    ...spec.env,
    [runnerVariables.runId]: spec.runId,
    ...(spec.link && { [runnerVariables.runDir]: around.run }),
    ...around.env,
  }
  const entries = Object.entries(env)
  refuse(entries, spec.argv)
  const byFile = entries.some(([name]) => !identifier.test(name) || shellsOwn.test(name))
  const after = around.environment === 'after' ? [around.shell, '-c', READ_IN, 'sh'] : []
  const helper = byFile ? [process.execPath, '--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'exec-agent.mjs')] : after
  const handover = helper.length > 0 ? 'file' : 'text'
  return {
    setup: setupOf(spec, around, handover, [...around.before, ...helper, ...spec.argv]),
    environment: byFile ? JSON.stringify(env) : entries.map(([name, value]) => `export ${name}=${quoted(value)}\n`).join(''),
  }
}

function setupOf(spec: RunSpec, { run, poke, settings, enter }: Surroundings, handover: string, argv: readonly string[]): string {
  const values = {
    run,
    poke,
    boot: bootId(),
    cwd: spec.cwd,
    files: String(spec.limits.open_files ?? 'any'),
    reap: spec.reapOnExit ? '1' : '0',
    handover,
  }
  return [
    '[ "$part" = environment ] || {',
    ...Object.entries(values).map(([name, value]) => `${name}=${quoted(value)}`),
    `limit() { ${settings.map(settingText).join('')}:; }`,
    `enter() { ${enter.map((file) => `echo 0 > ${quoted(file)} && `).join('')}:; }`,
    `set -- ${argv.map(quoted).join(' ')}`,
    'return 0',
    '}\n',
  ].join('\n')
}

/** What a wrapper exits with that could not set a limit. */
export const limitCodes = { memory_bytes: 117, cpus: 118, pids: 119 } as const

const settingText = ({ limit, file, value, optional }: Setting): string =>
  `echo ${quoted(value)} > ${quoted(file)} || ${optional ? ':' : `exit ${limitCodes[limit]}`}; `

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

function refuse(entries: readonly (readonly [string, string])[], argv: readonly string[]): void {
  for (const [name, value] of entries)
    if (name === '' || name.includes('=') || name.includes('\0') || value.includes('\0'))
      throw new RegentError('INVALID', 'the environment holds a name or value that no process can have', {
        fields: [{ path: `env.${name.replaceAll('\0', '\\0')}`, message: 'must not be empty, hold = in its name, or NUL' }],
      })
  const sizes = [...argv.map((text) => Buffer.byteLength(text) + 1), ...entries.map(([name, value]) => Buffer.byteLength(name + value) + 2)]
  if (sizes.some((size) => size > MOST_BYTES.each) || sizes.reduce((sum, size) => sum + size, 0) > MOST_BYTES.all)
    throw new RegentError('START_FAILED', 'the arguments and the environment are longer than a process can have', {
      hint: `Make them shorter: ${MOST_BYTES.each} bytes for each at most, and ${MOST_BYTES.all} for all.`,
    })
}
