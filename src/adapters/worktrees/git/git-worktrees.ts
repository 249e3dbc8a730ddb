import { mkdir, rm, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { type ErrorCode, RegentError, reasonOf, systemCode } from '../../../kernel/errors.ts'
import { isUuid } from '../../../kernel/ids.ts'
import type { Logger } from '../../../kernel/logger.ts'
import type { Worktree, Worktrees } from '../../../ports/worktrees.ts'
import { createGit, type Git } from './git.ts'
import { readRecord, type WorktreeRecord, writeRecord } from './record.ts'

export interface GitWorktreesOptions {
  /** Made where it is missing; its parent is there. */
  readonly dir: string
  readonly logger: Logger
  /** Default: `git` of the PATH. */
  readonly git?: string
}

/** Worktrees at `{dir}/{worker id}`, made and removed with the git of this machine. Only this process may work there. */
export function createGitWorktrees({ dir, logger, git = 'git' }: GitWorktreesOptions): Worktrees {
  return new GitWorktrees(dir, logger, createGit(git))
}

interface Repository {
  /** The common git folder; absolute. */
  readonly common: string
  /** Where in the tree the folder is that was asked for. */
  readonly prefix: string
}

/** How much of an id names a branch, until one is free: ids that begin with their time share the first characters. */
const branchLengths = [8, 13, 18, 36]

class GitWorktrees implements Worktrees {
  readonly #dir: string
  readonly #logger: Logger
  readonly #git: Git
  readonly #turns = new Map<string, Promise<unknown>>()

  constructor(dir: string, logger: Logger, git: Git) {
    this.#dir = dir
    this.#logger = logger
    this.#git = git
  }

  async isRepository(cwd: string): Promise<boolean> {
    const head = await this.#git('-C', cwd, 'rev-parse', '--verify', '--quiet', 'HEAD^{commit}').catch(() => undefined)
    return head?.ok === true && (await this.#repositoryOf(cwd).catch(() => undefined)) !== undefined
  }

  make(workerId: string, { cwd, base }: { readonly cwd: string; readonly base: string }): Promise<Worktree> {
    return this.#inTurn(workerId, async (path) => {
      const known = await readRecord(recordOf(path))
      if (known?.isMade && (await isFolder(known.cwd))) return { cwd: known.cwd, branch: known.branch }
      const repository = await this.#repositoryOf(cwd)
      const commit = await this.#commitOf(cwd, base)
      await this.#clear(path)
      await mkdir(this.#dir, { recursive: true, mode: 0o700 })
      const record = await this.#takeBranch(workerId, path, repository, commit)
      const added = await this.#git('--git-dir', repository.common, 'worktree', 'add', '--quiet', path, record.branch)
      if (!added.ok) {
        await this.#clear(path)
        throw new RegentError('UNAVAILABLE', `git could not make a worktree of ${cwd}: ${added.said}`, { details: { what: 'worktree' } })
      }
      await mkdir(record.cwd, { recursive: true })
      await writeRecord(recordOf(path), { ...record, isMade: true })
      return { cwd: record.cwd, branch: record.branch }
    })
  }

  remove(workerId: string): Promise<void> {
    return this.#inTurn(workerId, (path) => this.#clear(path))
  }

  async #repositoryOf(cwd: string): Promise<Repository> {
    const asked = await this.#git('-C', cwd, 'rev-parse', '--is-inside-work-tree', '--git-common-dir', '--show-prefix')
    const [isInside, common, prefix] = asked.out.split('\n')
    if (asked.ok && isInside === 'true' && common !== undefined) return { common: resolve(cwd, common), prefix: prefix ?? '' }
    const said = asked.said.split('\n')[0] ?? ''
    if (!asked.ok && !/not a git repository|cannot change to/.test(said))
      throw invalid('cwd', `git does not take the repository of ${cwd}: ${said}`, {
        hint: `try \`git -C ${cwd} status\` as the user of Regent; for one of somebody else: git config --global --add safe.directory ${cwd}`,
      })
    throw invalid('cwd', `${cwd} is in no git repository${asked.ok ? ' with files' : ''}`, {
      hint: 'make it one with `git init` and a first commit, name another cwd, or do without a worktree',
    })
  }

  async #commitOf(cwd: string, base: string): Promise<string> {
    const found = await this.#git('-C', cwd, 'rev-parse', '--verify', '--quiet', '--end-of-options', `${base}^{commit}`)
    if (found.ok && found.out !== '') return found.out
    throw invalid(
      'worktree',
      base === 'HEAD' ? `the repository of ${cwd} has no commit yet` : `'${base}' names no commit in the repository of ${cwd}`,
      {
        hint: base === 'HEAD' ? 'commit something first' : '`git log --oneline --all` in it shows which there are',
      },
    )
  }

  /** Remembers the branch before it makes it, and makes it only where there is none of that name. */
  async #takeBranch(workerId: string, path: string, { common, prefix }: Repository, base: string): Promise<WorktreeRecord> {
    let said = ''
    for (const length of branchLengths) {
      const branch = `regent/${workerId.slice(0, length)}`
      const record = { repository: common, branch, base, cwd: resolve(path, prefix), isMade: false }
      const ref = `refs/heads/${branch}`
      if ((await this.#git('--git-dir', common, 'show-ref', '--verify', '--quiet', ref)).ok) continue
      await writeRecord(recordOf(path), record)
      const made = await this.#git('--git-dir', common, 'update-ref', '-m', 'branch: of a worker', ref, base, '0'.repeat(base.length))
      if (made.ok) return record
      said = made.said
    }
    await rm(recordOf(path), { force: true })
    throw new RegentError('UNAVAILABLE', `git could not make a branch for worker ${workerId}${said === '' ? '' : `: ${said}`}`, {
      hint: 'is there a branch named regent, which leaves no room for regent/…?',
    })
  }

  /** Everything that may be there, whatever step it was left at. */
  async #clear(path: string): Promise<void> {
    const record = await readRecord(recordOf(path))
    if (record && (await isFolder(record.repository))) {
      const drop = () => this.#git('--git-dir', record.repository, 'worktree', 'remove', '--force', '--force', path)
      // What is half made can be dropped once its folder is gone.
      if (!(await drop()).ok) {
        await removeFolder(path)
        await drop()
      }
      await this.#dropBranch(record)
    }
    await removeFolder(path)
    await rm(recordOf(path), { force: true })
  }

  /** Unless it holds commits that would be lost with it, or somebody has it checked out. */
  async #dropBranch({ repository, branch, base }: WorktreeRecord): Promise<void> {
    const ref = `refs/heads/${branch}`
    if (!(await this.#git('--git-dir', repository, 'show-ref', '--verify', '--quiet', ref)).ok) return
    const others = ['--not', base, `--exclude=${branch}`, '--branches', '--remotes', '--tags']
    const own = await this.#git('--git-dir', repository, 'rev-list', '--max-count=1', ref, ...others)
    if (!own.ok || own.out !== '') return
    const dropped = await this.#git('--git-dir', repository, 'branch', '--quiet', '-D', '--', branch)
    if (!dropped.ok) this.#logger.warn({ repository, branch, reason: dropped.said }, 'the branch of a worker stays')
  }

  /** One after the other for each worker; system errors in words. */
  #inTurn<T>(workerId: string, work: (path: string) => Promise<T>): Promise<T> {
    if (!isUuid(workerId)) return Promise.reject(new RegentError('BAD_REQUEST', `'${workerId}' is no id of a worker`))
    const path = join(this.#dir, workerId)
    const turn = (this.#turns.get(workerId) ?? Promise.resolve())
      .then(() => work(path))
      .catch((error: unknown) => Promise.reject(explain(path, error)))
    const settled = turn.then(
      () => {},
      () => {},
    )
    this.#turns.set(workerId, settled)
    settled.then(() => this.#turns.get(workerId) === settled && this.#turns.delete(workerId))
    return turn
  }
}

const recordOf = (path: string): string => `${path}.json`

const removeFolder = (path: string): Promise<void> => rm(path, { recursive: true, force: true, maxRetries: 3 })

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory()
  } catch {
    return false
  }
}

function invalid(path: 'cwd' | 'worktree', message: string, options: { readonly hint: string }): RegentError {
  return new RegentError('INVALID', message, { ...options, fields: [{ path, message }] })
}

function explain(path: string, error: unknown): RegentError {
  if (error instanceof RegentError) return error
  const code: ErrorCode = ['ENOSPC', 'EDQUOT'].includes(systemCode(error) ?? '') ? 'NO_SPACE' : 'UNAVAILABLE'
  return new RegentError(code, `${path} cannot be used: ${reasonOf(error)}`, { cause: error })
}
