import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { createGitWorktrees } from '../../../src/adapters/worktrees/git/git-worktrees.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import { temporaryFolder } from '../../helpers/folder.ts'

const id = '0c1e1a9e-0000-4000-8000-000000000001'
const sibling = '0c1e1a9e-0000-4000-8000-000000000002'
const branch = 'regent/0c1e1a9e'

function git(cwd: string, ...args: readonly string[]): string {
  const identity = ['-c', 'user.name=Alice', '-c', 'user.email=alice@example.org', '-c', 'init.defaultBranch=main']
  return execFileSync('git', [...identity, ...args], { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim()
}

/** A repository with one commit: `a.txt` and `sub/b.txt`. */
function repository(): string {
  const cwd = realpathSync(temporaryFolder())
  git(cwd, 'init', '--quiet')
  writeFileSync(join(cwd, 'a.txt'), 'one\n')
  mkdirSync(join(cwd, 'sub'))
  writeFileSync(join(cwd, 'sub', 'b.txt'), 'b\n')
  commit(cwd, 'first')
  return cwd
}

function commit(cwd: string, message: string): void {
  git(cwd, 'add', '-A')
  git(cwd, 'commit', '--quiet', '--allow-empty', '-m', message)
}

function world() {
  const home = realpathSync(temporaryFolder())
  const dir = join(home, 'worktrees')
  return { dir, cwd: repository(), worktrees: createGitWorktrees({ dir, logger: silentLogger }) }
}

const branches = (cwd: string): string[] => git(cwd, 'for-each-ref', '--format=%(refname:short)', 'refs/heads').split('\n')
const worktreesOf = (cwd: string): number => git(cwd, 'worktree', 'list').split('\n').length

describe('git worktrees of workers', () => {
  it('makes one on a branch of its own, and finds it again', async () => {
    const { dir, cwd, worktrees } = world()
    const made = await worktrees.make(id, { cwd, base: 'HEAD' })
    expect(made).toEqual({ cwd: join(dir, id), branch })
    expect(git(made.cwd, 'branch', '--show-current')).toBe(branch)
    expect(readFileSync(join(made.cwd, 'a.txt'), 'utf8')).toBe('one\n')
    expect(statSync(dir).mode & 0o777).toBe(0o700)
    writeFileSync(join(made.cwd, 'a.txt'), 'two\n')
    commit(cwd, 'the repository goes on')
    expect(await worktrees.make(id, { cwd, base: 'HEAD' })).toEqual(made)
    expect(readFileSync(join(made.cwd, 'a.txt'), 'utf8')).toBe('two\n')
    expect(readFileSync(join(cwd, 'a.txt'), 'utf8')).toBe('one\n')
    const again = createGitWorktrees({ dir, logger: silentLogger })
    expect(await again.make(id, { cwd, base: 'HEAD' })).toEqual(made)
  })

  it('leads to the same folder in it, also to one that git does not know and from another worktree', async () => {
    const { dir, cwd, worktrees } = world()
    mkdirSync(join(cwd, 'sub', 'untracked'))
    expect((await worktrees.make(id, { cwd: join(cwd, 'sub', 'untracked'), base: 'HEAD' })).cwd).toBe(join(dir, id, 'sub', 'untracked'))
    const second = await worktrees.make(sibling, { cwd: join(dir, id, 'sub'), base: 'HEAD' })
    expect(second).toEqual({ cwd: join(dir, sibling, 'sub'), branch: 'regent/0c1e1a9e-0000' })
    await worktrees.remove(id)
    expect(git(second.cwd, 'status', '--short')).toBe('')
  })

  it('begins with the commit that is named', async () => {
    const { cwd, worktrees } = world()
    git(cwd, 'tag', 'v1')
    writeFileSync(join(cwd, 'a.txt'), 'two\n')
    commit(cwd, 'second')
    const made = await worktrees.make(id, { cwd, base: 'v1' })
    expect(readFileSync(join(made.cwd, 'a.txt'), 'utf8')).toBe('one\n')
  })

  it('makes many at once, each with another branch', async () => {
    const { cwd, worktrees } = world()
    const ids = Array.from({ length: 10 }, (_, index) => `0c1e1a9e-0000-4000-8000-0000000001${String(index).padStart(2, '0')}`)
    const made = await Promise.all(ids.map((one) => worktrees.make(one, { cwd, base: 'HEAD' })))
    expect(new Set(made.map((one) => one.branch)).size).toBe(10)
    await Promise.all(ids.map((one) => worktrees.remove(one)))
    expect([branches(cwd), worktreesOf(cwd)]).toEqual([['main'], 1])
  })

  it('removes it with its branch, whatever was changed in it, and again', async () => {
    const { dir, cwd, worktrees } = world()
    const made = await worktrees.make(id, { cwd, base: 'HEAD' })
    writeFileSync(join(made.cwd, 'a.txt'), 'two\n')
    writeFileSync(join(made.cwd, 'new.txt'), '')
    await worktrees.remove(id)
    await worktrees.remove(id)
    expect([branches(cwd), worktreesOf(cwd), readdirSync(dir)]).toEqual([['main'], 1, []])
    await worktrees.remove(sibling)
  })

  it('keeps a branch with commits of its own, until they are elsewhere too', async () => {
    const { cwd, worktrees } = world()
    for (const then of [[branch, 'main'], ['main']]) {
      const made = await worktrees.make(id, { cwd, base: 'HEAD' })
      writeFileSync(join(made.cwd, 'a.txt'), 'two\n')
      commit(made.cwd, 'the work')
      if (then.length === 1) git(cwd, 'merge', '--quiet', made.branch)
      await worktrees.remove(id)
      expect(branches(cwd).sort()).toEqual([...then].sort())
      if (then.length === 2) git(cwd, 'branch', '-D', branch)
    }
  })

  it('takes another branch where somebody has one of that name, and leaves theirs alone', async () => {
    const { cwd, worktrees } = world()
    git(cwd, 'branch', branch)
    expect((await worktrees.make(id, { cwd, base: 'HEAD' })).branch).toBe(`${branch}-0000`)
    await worktrees.remove(id)
    expect(branches(cwd)).toEqual(['main', branch])
  })

  it('says that a branch named regent is in its way', async () => {
    const { cwd, worktrees } = world()
    git(cwd, 'branch', 'regent')
    await expect(worktrees.make(id, { cwd, base: 'HEAD' })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      hint: expect.stringContaining('named regent'),
    })
    await worktrees.remove(id)
    expect(branches(cwd)).toEqual(['main', 'regent'])
  })

  it.each(['after the branch', 'in the checkout', 'before it was noted as made'])(
    'goes on %s, where a crash had ended it',
    async (when) => {
      const { dir, cwd, worktrees } = world()
      const made = await worktrees.make(id, { cwd, base: 'HEAD' })
      const record = join(dir, `${id}.json`)
      writeFileSync(record, readFileSync(record, 'utf8').replace('"isMade": true', '"isMade": false'))
      if (when === 'in the checkout') {
        rmSync(join(made.cwd, '.git'))
        rmSync(join(made.cwd, 'a.txt'))
        writeFileSync(join(cwd, '.git', 'worktrees', id, 'locked'), 'initializing')
      }
      if (when === 'after the branch') git(cwd, 'worktree', 'remove', made.cwd)
      expect(await createGitWorktrees({ dir, logger: silentLogger }).make(id, { cwd, base: 'HEAD' })).toEqual(made)
      expect(git(made.cwd, 'status', '--short')).toBe('')
      await worktrees.remove(id)
      expect([branches(cwd), worktreesOf(cwd), readdirSync(dir)]).toEqual([['main'], 1, []])
    },
  )

  it('makes anew what somebody has removed by hand, and removes what has no repository any more', async () => {
    const { dir, cwd, worktrees } = world()
    const made = await worktrees.make(id, { cwd, base: 'HEAD' })
    rmSync(made.cwd, { recursive: true })
    expect(await worktrees.make(id, { cwd, base: 'HEAD' })).toEqual(made)
    expect(existsSync(join(made.cwd, 'a.txt'))).toBe(true)
    renameSync(cwd, `${cwd}-moved`)
    await worktrees.remove(id)
    expect(readdirSync(dir)).toEqual([])
    renameSync(`${cwd}-moved`, cwd)
  })

  it('runs no hook and no monitor of the repository', async () => {
    const { cwd, worktrees } = world()
    const ran = join(cwd, 'ran')
    for (const hook of ['post-checkout', 'reference-transaction', 'monitor']) {
      writeFileSync(join(cwd, '.git', 'hooks', hook), `#!/bin/sh\ntouch ${ran}\n`)
      chmodSync(join(cwd, '.git', 'hooks', hook), 0o755)
    }
    git(cwd, '-c', 'core.hooksPath=/dev/null', 'config', 'core.fsmonitor', join(cwd, '.git', 'hooks', 'monitor'))
    await worktrees.make(id, { cwd, base: 'HEAD' })
    await worktrees.remove(id)
    expect(existsSync(ran)).toBe(false)
  })

  it('refuses what is no repository, has no commit, or no such base, with the field and a remedy', async () => {
    const { cwd, worktrees } = world()
    const empty = temporaryFolder()
    const refused = (path: string, base = 'HEAD') => worktrees.make(id, { cwd: path, base }).catch((error: unknown) => error)
    const none = { code: 'INVALID', fields: [{ path: 'cwd' }], hint: expect.stringContaining('git init') }
    expect(await refused(empty)).toMatchObject(none)
    expect(await refused(join(empty, 'none'))).toMatchObject(none)
    expect(await refused(join(cwd, '.git'))).toMatchObject({ code: 'INVALID', fields: [{ path: 'cwd' }] })
    git(empty, 'init', '--quiet')
    expect(await refused(empty)).toMatchObject({ code: 'INVALID', fields: [{ path: 'worktree' }], hint: 'commit something first' })
    for (const base of ['nowhere', '--all', 'HEAD:a.txt'])
      expect(await refused(cwd, base)).toMatchObject({
        code: 'INVALID',
        fields: [{ path: 'worktree' }],
        message: expect.stringContaining(base),
      })
    expect(branches(cwd)).toEqual(['main'])
  })

  it('tells whether a folder is in a repository with a commit', async () => {
    const { dir, cwd, worktrees } = world()
    const empty = temporaryFolder()
    const without = createGitWorktrees({ dir, logger: silentLogger, git: join(dir, 'no-git') })
    const asked = [join(cwd, 'sub'), join(cwd, '.git'), empty, join(empty, 'none')].map((path) => worktrees.isRepository(path))
    expect(await Promise.all([...asked, without.isRepository(cwd)])).toEqual([true, false, false, false, false])
    git(empty, 'init', '--quiet')
    expect(await worktrees.isRepository(empty)).toBe(false)
  })

  it('says what git has against a repository', async () => {
    const { cwd, worktrees } = world()
    writeFileSync(join(cwd, '.git', 'config'), 'no config\n')
    await expect(worktrees.make(id, { cwd, base: 'HEAD' })).rejects.toMatchObject({
      code: 'INVALID',
      fields: [{ path: 'cwd' }],
      message: expect.stringContaining('bad config line 1'),
      hint: expect.stringContaining(`git -C ${cwd} status`),
    })
  })

  it('is not led elsewhere by variables of Regent itself', async () => {
    const { dir, cwd, worktrees } = world()
    const elsewhere = repository()
    const names = ['GIT_DIR', 'GIT_WORK_TREE', 'GIT_INDEX_FILE']
    for (const name of names) vi.stubEnv(name, join(elsewhere, '.git'))
    const made = worktrees.make(id, { cwd, base: 'HEAD' })
    await made.finally(() => vi.unstubAllEnvs())
    expect((await made).cwd).toBe(join(dir, id))
    expect([worktreesOf(cwd), worktreesOf(elsewhere)]).toEqual([2, 1])
  })

  it('says that there is no git, and takes no name that is no id', async () => {
    const { dir, cwd, worktrees } = world()
    const without = createGitWorktrees({ dir, logger: silentLogger, git: join(dir, 'no-git') })
    await expect(without.make(id, { cwd, base: 'HEAD' })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      hint: expect.stringContaining('install git'),
    })
    await without.remove(id)
    await expect(worktrees.remove('../x')).rejects.toMatchObject({ code: 'BAD_REQUEST' })
  })
})
