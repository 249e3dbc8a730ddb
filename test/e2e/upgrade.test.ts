import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Migration, migrations } from '../../src/adapters/stores/sqlite/migrations.ts'
import { openSqliteStore } from '../../src/adapters/stores/sqlite/sqlite-store.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { silentLogger } from '../../src/kernel/logger.ts'
import { act, agentsByName, startCommand } from '../helpers/command-agents.ts'
import { Regent } from '../helpers/regent.ts'
import { onSqlite } from '../helpers/stores.ts'
import { until } from '../helpers/until.ts'

const launcher = join(import.meta.dirname, '../../bin/regent')
const database = (regent: Regent) => join(regent.home, 'regent.db')
const backups = (regent: Regent) => readdirSync(regent.home).filter((name) => /^regent\.db\.backup-v\d+-/.test(name))

/** What a later Regent would bring. */
const later: readonly Migration[] = [...migrations, { name: 'what comes next', sql: 'create table coming (a text) strict' }]

async function upgrade(regent: Regent, to: readonly Migration[]): Promise<void> {
  const store = await openSqliteStore({ file: database(regent), logger: silentLogger, clock: systemClock, migrations: to })
  await store.close()
}

describe('an upgrade', { timeout: 120_000, ...onSqlite }, () => {
  it('[F21] of the database: a copy first, all or nothing; an older Regent refuses it in words, and takes the copy with every run', async () => {
    const regent = await Regent.start()
    await startCommand(regent, 'web', ['sleep', '1000'])
    const before = await agentsByName(regent)
    await regent.kill()

    const broken: readonly Migration[] = [
      ...later,
      { name: 'one that fails', sql: 'create table half (a text) strict; insert into nowhere values (1)' },
    ]
    await expect(upgrade(regent, broken)).rejects.toThrow()
    const half = new DatabaseSync(database(regent), { readOnly: true })
    expect(half.prepare(`select name from sqlite_schema where name in ('coming', 'half')`).all()).toEqual([{ name: 'coming' }])
    half.close()
    await upgrade(regent, later)
    const [copy] = backups(regent).filter((name) => name.includes(`backup-v${migrations.length}-`))
    expect(copy).toBeDefined()

    const refused = await regent.run('serve')
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain(`schema version ${later.length}, and this Regent knows versions up to ${migrations.length}`)
    expect(refused.stderr).toContain(`backup-v${migrations.length}`)
    expect((await regent.run('recover', '-y')).stderr).toContain('schema version')
    process.kill(before.web?.pid ?? 0, 0)

    for (const end of ['', '-wal', '-shm']) rmSync(database(regent) + end, { force: true })
    copyFileSync(join(regent.home, copy ?? ''), database(regent))
    await regent.serve()
    expect((await agentsByName(regent)).web).toMatchObject({ state: 'RUNNING', pid: before.web?.pid, restarts: 0 })
  })

  it('[part of F21] with runs of the old version: the new one takes them up with the same pids, and gives them what it has learnt since', async () => {
    const regent = await Regent.start()
    await startCommand(regent, 'web', ['sleep', '1000'])
    const before = await agentsByName(regent)
    await regent.kill('SIGTERM')
    // As the first version with this schema left it: a policy that knows nothing of what came later.
    const raw = new DatabaseSync(database(regent))
    raw.exec(`update agents set policy = '{"restart":"always","startsecs":1,"startretries":3,"stop_signal":"TERM","stop_grace":10}'`)
    raw.close()
    await regent.serve()
    expect((await agentsByName(regent)).web).toMatchObject({ state: 'RUNNING', pid: before.web?.pid })
    expect((await regent.fetch('/api/v1/agents/web')).body).toMatchObject({ policy: { restart: 'always' } })
    expect(await act(regent, 'web', 'stop')).toMatchObject({ state: 'STOPPED' })
  })
})

describe('managers in trouble', { timeout: 120_000 }, () => {
  it('[F18] two on one home: the second refuses and names the first by pid and address, which goes on undisturbed', async () => {
    const regent = await Regent.start()
    await startCommand(regent, 'web', ['sleep', '1000'])
    const address = readFileSync(join(regent.home, 'server.json'), 'utf8')
    const seconds = await Promise.all(Array.from({ length: 3 }, () => regent.run('serve')))
    for (const { code, stdout, stderr } of seconds) {
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
      expect(stderr).toContain(`another Regent runs in ${regent.home} (pid ${regent.pid}, ${regent.url})`)
      expect(stderr).toContain('--home')
    }
    expect(readFileSync(join(regent.home, 'server.json'), 'utf8')).toBe(address)
    expect((await agentsByName(regent)).web).toMatchObject({ state: 'RUNNING', restarts: 0 })
    // Who holds it is known by more than a pid that is used again.
    await regent.kill()
    await regent.serve()
    expect((await agentsByName(regent)).web).toMatchObject({ state: 'RUNNING', restarts: 0 })
  })

  it('[F19] a crash loop: killed ten times while it starts, later each time; then every agent is there as it was, and none twice', async () => {
    const regent = await Regent.start()
    const names = ['one', 'two', 'three']
    for (const name of names) await startCommand(regent, name, ['sleep', '1000'], { policy: { restart: 'always' } })
    const before = await agentsByName(regent)
    await regent.kill()
    for (let round = 0; round < 10; round++) await killedAfter(regent, round)
    await regent.serve()
    const after = await agentsByName(regent)
    for (const name of names) expect(after[name]).toMatchObject({ state: 'RUNNING', pid: before[name]?.pid, restarts: 0 })
    await until(async () => marked(regent.project).length === names.length, 'one process for each agent')
    expect(marked(regent.project)).toEqual(names.map((name) => before[name]?.pid).sort())
  })
})

/** A start that is cut off at its n-th sign of life: a change in the home, or a line of its log. */
async function killedAfter(regent: Regent, signs: number): Promise<void> {
  const env = {
    PATH: process.env.PATH ?? '',
    HOME: regent.project,
    REGENT_HOME: regent.home,
    REGENT_PROJECT: regent.project,
    REGENT_PORT: '0',
  }
  const child = spawn(launcher, ['serve'], { env: { ...env, REGENT_ORCHESTRATOR_PORT: 'off' }, stdio: ['ignore', 'pipe', 'pipe'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const ended = once(child, 'exit')
  if (signs === 0) await until(() => holder(regent.home) === child.pid, 'the lock')
  else {
    let seen = 0
    await new Promise<void>((done) => {
      const look = () => void (++seen >= signs && done())
      child.stderr.on('data', look)
      child.stdout.on('data', () => done())
      child.on('exit', () => done())
    })
  }
  child.kill('SIGKILL')
  await ended
}

function holder(home: string): number | undefined {
  const path = join(home, 'lock.json')
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as { pid: number }).pid : undefined
}

/** Pids of live agents of this project, by their folder and program. */
function marked(project: string): number[] {
  const isOurs = (pid: string): boolean => {
    try {
      return readlinkSync(`/proc/${pid}/cwd`) === project && readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('sleep\x001000')
    } catch {
      return false
    }
  }
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && isOurs(name))
    .map(Number)
    .sort()
}
