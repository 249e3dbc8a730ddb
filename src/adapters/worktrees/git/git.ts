import { execFile } from 'node:child_process'
import { RegentError } from '../../../kernel/errors.ts'

/** How a git command ended; texts without the newline at their end. */
export interface GitAnswer {
  readonly ok: boolean
  readonly out: string
  /** What it complained about, without `fatal:`. */
  readonly said: string
}

/** Runs git; throws UNAVAILABLE where there is none, or where it does not end. */
export type Git = (...args: readonly string[]) => Promise<GitAnswer>

/** A checkout of a large repository takes its time. */
const PATIENCE_MS = 600_000
const MOST_OUTPUT = 16 * 1024 * 1024
const NOT_FOUND = 127

/** What `git rev-parse --local-env-vars` names: in Regent's own environment they would lead to another repository than the one asked for. */
const misleading = [
  'GIT_DIR',
  'GIT_COMMON_DIR',
  'GIT_WORK_TREE',
  'GIT_INDEX_FILE',
  'GIT_PREFIX',
  'GIT_OBJECT_DIRECTORY',
  'GIT_ALTERNATE_OBJECT_DIRECTORIES',
  'GIT_CONFIG',
  'GIT_CONFIG_PARAMETERS',
  'GIT_CONFIG_COUNT',
  'GIT_IMPLICIT_WORK_TREE',
  'GIT_GRAFT_FILE',
  'GIT_NO_REPLACE_OBJECTS',
  'GIT_REPLACE_REF_BASE',
  'GIT_SHALLOW_FILE',
]

/** No hook, monitor, submodule or housekeeping of a repository is run; the filters that its files need (git-lfs) are. */
const settings = ['core.hooksPath=/dev/null', 'core.fsmonitor=false', 'submodule.recurse=false', 'gc.auto=0', 'maintenance.auto=false']

export function createGit(program: string): Git {
  const before = [
    ...misleading.flatMap((name) => ['-u', name]),
    'LC_ALL=C',
    'GIT_TERMINAL_PROMPT=0',
    'GIT_OPTIONAL_LOCKS=0',
    program,
    '--no-pager',
    ...settings.flatMap((setting) => ['-c', setting]),
  ]
  return (...args) => {
    const { promise, resolve, reject } = Promise.withResolvers<GitAnswer>()
    execFile('env', [...before, ...args], { cwd: '/', timeout: PATIENCE_MS, maxBuffer: MOST_OUTPUT }, (error, stdout, stderr) => {
      if (error?.code === NOT_FOUND || typeof error?.code === 'string') reject(noGit(error))
      else if (error?.killed)
        reject(new RegentError('UNAVAILABLE', `git ${args.join(' ')} did not end within ${PATIENCE_MS / 60_000} minutes`))
      else resolve({ ok: error === null, out: stdout.replace(/\n$/, ''), said: stderr.trim().replaceAll(/^(fatal|error): /gm, '') })
    })
    return promise
  }
}

const noGit = (cause: unknown): RegentError =>
  new RegentError('UNAVAILABLE', 'git cannot be run here', {
    hint: 'install git on the machine of Regent, in its PATH, or do without a worktree',
    details: { what: 'git' },
    cause,
  })
