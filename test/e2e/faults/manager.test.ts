import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, it, onTestFinished } from 'vitest'
import { allSeen, create, latencies, median, running, seen } from '../../helpers/commands.ts'
import { inside } from '../../helpers/inside.ts'
import { Regent } from '../../helpers/regent.ts'
import { onSqlite } from '../../helpers/stores.ts'
import { until } from '../../helpers/until.ts'

const isRoot = process.getuid?.() === 0
/** A test that this machine may not allow. */
const only = (can: boolean, reason: string) => (can ? { timeout: 90_000 } : { skip: true, meta: { skipReason: reason } })

const names = Array.from({ length: 100 }, (_, at) => `agent-${String(at).padStart(3, '0')}`)

function lives(pid: number | null): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}

it('[F15] [P1] kill -9 of Regent with 100 agents, of which some print, end or are killed meanwhile: pids, uptimes, logs and exit codes are right', async () => {
  const bareBegun = performance.now()
  const regent = await Regent.start()
  const bare = performance.now() - bareBegun
  const sign = join(regent.project, 'sign')
  const codeOf = (at: number) => (at % 10 === 3 ? 7 : at % 10 === 4 ? 0 : undefined)
  const scriptOf = (at: number) => {
    const code = codeOf(at)
    if (code !== undefined) return `while [ ! -e ${sign} ]; do sleep 0.2; done; echo "the end"; exit ${code}`
    return at % 10 === 5 ? `while [ ! -e ${sign} ]; do sleep 0.2; done; echo "seen by nobody"; exec sleep 1000` : 'exec sleep 1000'
  }
  const before = await Promise.all(names.map((name, at) => running(regent, name, scriptOf(at), { restart: 'never' })))
  const started = performance.now()
  await regent.kill()
  writeFileSync(sign, '')
  const killed = before.filter((_, at) => at % 10 === 6)
  for (const { pid } of killed) process.kill(pid ?? 0, 'SIGKILL')
  const ended = before.filter((_, at) => codeOf(at) !== undefined || at % 10 === 6)
  await until(() => ended.every(({ pid }) => !lives(pid)), 'the ends that nobody watches', 20_000)
  const begun = performance.now()
  await regent.serve()
  const ready = performance.now() - begun
  const after = new Map((await allSeen(regent)).map((agent) => [agent.name, agent]))
  expect(after.size).toBe(100)
  for (const [at, name] of names.entries()) {
    const now = after.get(name)
    if (codeOf(at) !== undefined) expect(now).toMatchObject({ state: 'EXITED', exit_code: codeOf(at) })
    else if (at % 10 === 6) expect(now).toMatchObject({ state: 'EXITED', exit_code: 137, exit_signal: 'SIGKILL' })
    else {
      expect(now).toMatchObject({ state: 'RUNNING', pid: before[at]?.pid, restarts: 0 })
      expect(now?.uptime_ms).toBeGreaterThan(performance.now() - started - 1000)
    }
  }
  for (const at of [5, 3]) expect((await regent.run('logs', names[at] ?? '')).stdout).toContain(at === 5 ? 'seen by nobody' : 'the end')
  // On a machine with other work an empty home takes its time too.
  expect(ready).toBeLessThan(Math.max(2000, 3 * bare))
}, 120_000)

it('[F19] [part of F18] a Regent that is killed again and again, also while it starts: agents are untouched, and taken up each time', async () => {
  const regent = await Regent.start()
  const agents = await Promise.all(names.slice(0, 10).map((name) => running(regent, name, 'exec sleep 1000')))
  for (let round = 0; round < 8; round++) {
    await regent.kill()
    const starting = regent.serve().then(
      () => true,
      () => false,
    )
    await pause(round * 60)
    if (round % 2 === 0) await regent.kill()
    await starting
  }
  await regent.kill()
  await regent.serve()
  for (const { id, pid } of agents) expect(await seen(regent, id)).toMatchObject({ state: 'RUNNING', pid, restarts: 0 })
  // Nobody comes in beside it.
  const other = Regent.prepare({ REGENT_HOME: regent.home })
  await expect(other.serve()).rejects.toThrow(new RegExp(`another Regent runs.*pid ${regent.pid}`, 's'))
}, 120_000)

it('[F20] a Regent that is frozen for 5 s, and one whose event loop is blocked so long: nobody counts as dead, nobody is restarted', async () => {
  const regent = await Regent.start()
  const probes = { liveness: { type: 'exec', command: ['true'], interval: 0.5, timeout: 1, failures: 2 } }
  const watched = await running(regent, 'watched', 'exec sleep 1000', { restart: 'always', probes })
  const plain = await running(regent, 'plain', 'while :; do echo on; sleep 0.2; done', { restart: 'always' })
  const team = { kind: 'team', name: 'crew', subagents: [], json_config: { default_model: 'offline' } }
  const { id: crew } = (await regent.post('/api/v1/agents', { agent: team })).body as { id: string }
  expect((await regent.post(`/api/v1/agents/${crew}/start`, { wait: true })).status).toBe(200)
  const before = await seen(regent, crew)
  process.kill(regent.pid, 'SIGSTOP')
  await pause(5000)
  process.kill(regent.pid, 'SIGCONT')
  await until(async () => (await regent.fetch('/health')).status === 200, 'an answer')
  await inside(regent, 'const end = Date.now() + 5000; while (Date.now() < end);')
  // Two sweeps and several probes later.
  await pause(4000)
  for (const { id, pid } of [watched, plain, before]) expect(await seen(regent, id)).toMatchObject({ state: 'RUNNING', pid, restarts: 0 })
  expect((await regent.fetch(`/api/v1/agents/${watched.id}`)).body.health).not.toBe('unhealthy')
}, 60_000)

it('[F22] what a handler throws unexpectedly is a 500 with a request id that the log has too; a rejection nobody handled ends nothing', async () => {
  const regent = await Regent.start()
  const steady = await running(regent, 'steady', 'exec sleep 1000')
  const sync = "process.getBuiltinModule('module').syncBuiltinESMExports()"
  const crypto = "process.getBuiltinModule('crypto')"
  await inside(regent, `globalThis.kept = ${crypto}.createHash; ${crypto}.createHash = () => { throw new Error('planted fault') }; ${sync}`)
  const answer = await regent.post(`/api/v1/agents/${steady.id}/restart`, undefined, 'a-key')
  expect(answer).toMatchObject({ status: 500, body: { code: 'INTERNAL', request_id: expect.any(String) } })
  expect(JSON.stringify(answer.body)).not.toContain('planted')
  const line = regent.log.split('\n').find((text) => text.includes(String(answer.body.request_id)))
  expect(line).toContain('planted fault')
  await inside(regent, `${crypto}.createHash = globalThis.kept; ${sync}`)
  const agent = { kind: 'command', name: 'next', command: ['true'] }
  expect((await regent.post('/api/v1/agents', { agent }, 'b-key')).status).toBeLessThan(300)
  await inside(regent, "void Promise.reject(new Error('nobody handles this'))")
  await until(() => regent.log.includes('nobody handles this'), 'the log of it')
  expect((await regent.fetch('/health')).status).toBe(200)
  expect(await seen(regent, steady.id)).toMatchObject({ state: 'RUNNING', pid: steady.pid })
}, 60_000)

it('[part of F22] an error that nobody caught ends Regent with its reason, and the next start takes the agents up', async () => {
  const regent = await Regent.start()
  const steady = await running(regent, 'steady', 'exec sleep 1000')
  const { pid } = regent
  await inside(regent, "setTimeout(() => { throw new Error('broken beyond repair') }, 10); 0")
  await until(() => !lives(pid), 'the end of Regent')
  expect(regent.log).toContain('broken beyond repair')
  expect(lives(steady.pid)).toBe(true)
  await regent.serve()
  expect(await seen(regent, steady.id)).toMatchObject({ state: 'RUNNING', pid: steady.pid, restarts: 0 })
}, 60_000)

it(
  '[F12] no descriptor left for Regent: BACKOFF with the reason, Regent lives, and starts it once it can',
  only(isRoot, 'needs root, for prlimit'),
  async () => {
    const regent = await Regent.start()
    const steady = await running(regent, 'steady', 'exec sleep 1000')
    const id = await create(regent, 'hungry', 'exec sleep 1000', { startsecs: 0, startretries: 100 })
    const limit = (soft: number) => execFileSync('prlimit', ['--pid', String(regent.pid), `--nofile=${soft}:`])
    // What is open stays open, the test's connection too; nothing more can be opened.
    limit(3)
    await regent.post(`/api/v1/agents/${id}/start`)
    await until(async () => ['BACKOFF'].includes((await seen(regent, id)).state), 'BACKOFF')
    expect((await seen(regent, id)).reason).toMatch(/could not be started: .*(EMFILE|too many open files|descriptor)/i)
    expect((await regent.fetch('/health')).status).toBe(200)
    expect(await seen(regent, steady.id)).toMatchObject({ state: 'RUNNING', pid: steady.pid })
    limit(4096)
    await until(async () => (await seen(regent, id)).state === 'RUNNING', 'RUNNING', 30_000)
  },
)

const group = '/sys/fs/cgroup/pids'
const mayLimit = isRoot && readable(`${group}/cgroup.procs`)

function readable(path: string): boolean {
  try {
    readFileSync(path)
    return true
  } catch {
    return false
  }
}

it(
  '[part of F12] no process more for Regent: BACKOFF with the reason, Regent lives, and starts it once it can',
  only(mayLimit, 'needs a pids cgroup that may be written'),
  async () => {
    const regent = await Regent.start()
    const id = await create(regent, 'hungry', 'exec sleep 1000', { startsecs: 0, startretries: 100 })
    const cell = join(group, `regent-test-${process.pid}`)
    mkdirSync(cell)
    onTestFinished(async () => {
      await until(() => readFileSync(join(cell, 'cgroup.procs'), 'utf8').trim() === '', 'an empty group')
      rmdirSync(cell)
    })
    onTestFinished(() => {
      for (const pid of readFileSync(join(cell, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean))
        writeFileSync(join(group, 'cgroup.procs'), pid)
    })
    writeFileSync(join(cell, 'cgroup.procs'), String(regent.pid))
    // Threads count as well: none may be added to those there are.
    writeFileSync(join(cell, 'pids.max'), readFileSync(join(cell, 'pids.current'), 'utf8').trim())
    await regent.post(`/api/v1/agents/${id}/start`)
    await until(async () => (await seen(regent, id)).state === 'BACKOFF', 'BACKOFF')
    expect((await seen(regent, id)).reason).toMatch(/could not be started/)
    expect((await regent.fetch('/health')).status).toBe(200)
    writeFileSync(join(cell, 'pids.max'), 'max')
    await until(async () => (await seen(regent, id)).state === 'RUNNING', 'RUNNING', 30_000)
  },
)

it('[P7] a locked store and no room for runs: alive within 100 ms, not ready and why, commands 503, nothing is said to run that was not seen', {
  timeout: 90_000,
  ...onSqlite,
}, async () => {
  const regent = await Regent.start()
  const steady = await running(regent, 'steady', 'exec sleep 1000')
  const id = await create(regent, 'idle', 'exec sleep 1000', { startsecs: 0 })
  const runs = join(regent.home, 'runs')
  renameSync(runs, `${runs}.away`)
  writeFileSync(runs, 'not a folder')
  const noRuns = await regent.post(`/api/v1/agents/${id}/start`)
  expect(noRuns).toMatchObject({ status: 503, body: { code: 'UNAVAILABLE', hint: expect.any(String) } })
  const database = new DatabaseSync(join(regent.home, 'regent.db'))
  onTestFinished(() => database.close())
  database.exec('begin immediate')
  const locked = regent.post(`/api/v1/agents/${id}/stop`)
  expect(median(await latencies(regent, '/health', 25))).toBeLessThan(100)
  expect((await regent.fetch('/health')).status).toBe(200)
  const { status, body } = await regent.fetch('/readyz')
  expect(status).toBe(503)
  const failed = (body.checks as { name: string; ok: boolean }[]).filter((check) => !check.ok).map((check) => check.name)
  expect(failed).toEqual(expect.arrayContaining(['store', 'runtime']))
  const answer = await locked
  expect(answer.status).toBe(503)
  for (const one of [noRuns, answer]) expect(Number(one.headers.get('retry-after'))).toBeGreaterThan(0)
  process.kill(steady.pid ?? 0, 'SIGKILL')
  await until(() => !lives(steady.pid), 'its end')
  database.exec('rollback')
  rmSync(runs)
  renameSync(`${runs}.away`, runs)
  await until(async () => (await seen(regent, steady.id)).pid !== steady.pid, 'a life after that end')
  expect((await seen(regent, id)).state).toBe('STOPPED')
  await until(async () => (await regent.fetch('/readyz')).status === 200, 'ready again')
  expect(await regent.post(`/api/v1/agents/${id}/start`, { wait: true })).toMatchObject({ status: 200 })
})
