import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { temporaryFolder } from '../../../helpers/folder.ts'
import { startManager } from '../../../helpers/manager.ts'
import { mainProcesses } from '../../../helpers/marked.ts'
import { linesOf, lives, openRuntime, runtimeHome, specOf } from '../../../helpers/process-runtime.ts'
import { until } from '../../../helpers/until.ts'

describe('what a run takes of Regent', () => {
  it('is not its umask: a program writes files that others may read, as from any shell', async () => {
    const runtime = await openRuntime()
    const spec = specOf(['sh', '-c', 'umask'])
    await (await runtime.start(spec)).exited
    expect(Number.parseInt((await linesOf(runtime, spec.agentId)).join(''), 8)).toBe(0o022)
  })

  it('is no descriptor: a hundred live runs hold none (E2)', async () => {
    const runtime = await openRuntime()
    const first = await runtime.start(specOf(['sleep', '1000']))
    expect(lives(first.pid ?? 0)).toBe(true)
    const open = () => readdirSync('/proc/self/fd').length
    const before = open()
    await Promise.all(Array.from({ length: 100 }, () => runtime.start(specOf(['sleep', '1000']))))
    expect(open()).toBeLessThanOrEqual(before)
  })

  it('is seen by nobody: no secret in any argument, on disk, or beside the agent (E15, F66)', async () => {
    const home = runtimeHome()
    const runtime = await openRuntime(home)
    const canary = `canary-${randomUUID()}`
    const plain = specOf(['sleep', '1000'], { env: { PATH: '/usr/bin:/bin', SECRET: canary } })
    const careful = specOf(['sleep', '1000'], { env: { PATH: '/usr/bin:/bin', 'my-secret': canary } })
    const link = { url: 'ws://127.0.0.1:1/link', token: canary }
    for (const spec of [plain, careful]) await runtime.start({ ...spec, link })
    const ids = new Set([plain.runId, careful.runId])
    await until(() => mainProcesses(ids).size === 2, 'both agents')
    const holders = readdirSync('/proc').filter(
      (pid) => /^\d+$/.test(pid) && pid !== String(process.pid) && holds(`/proc/${pid}/environ`, canary),
    )
    expect(holders.map(Number).sort()).toEqual([...mainProcesses(ids).values()].flat().sort())
    expect(readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && holds(`/proc/${pid}/cmdline`, canary))).toEqual([])
    const files = readdirSync(home, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    const found = files.filter((entry) => holds(join(entry.parentPath, entry.name), canary))
    expect(found.map(({ name }) => name)).toEqual(['link.json', 'link.json'])
    for (const { parentPath, name } of files) expect(statSync(join(parentPath, name)).mode & 0o777, name).toBe(0o600)
    for (const { runId } of [plain, careful]) expect(statSync(join(home, 'runs', runId)).mode & 0o777).toBe(0o700)
  })

  it('rewrites the link for the runner to read again', async () => {
    const home = runtimeHome()
    const runtime = await openRuntime(home)
    const spec = specOf(['sleep', '1000'], { link: { url: 'ws://127.0.0.1:1/link', token: 'one' } })
    const run = await runtime.start(spec)
    const file = join(home, 'runs', spec.runId, 'link.json')
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(spec.link)
    await run.offerLink({ url: 'ws://127.0.0.1:2/link', token: 'two' })
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({ url: 'ws://127.0.0.1:2/link', token: 'two' })
    expect(statSync(file).mode & 0o777).toBe(0o600)
    await run.stop({ signal: 'SIGKILL', graceMs: 0 })
    await run.remove()
    await expect(run.offerLink({ url: 'ws://127.0.0.1:3/link', token: 'three' })).resolves.toBeUndefined()
  })
})

describe('a host that cannot', () => {
  it('is told apart by check, with the remedy', async () => {
    const home = temporaryFolder()
    const runtime = await openRuntime(home, { shell: '/no/such/sh' })
    await expect(runtime.check()).rejects.toMatchObject({ code: 'UNAVAILABLE', hint: expect.stringContaining('POSIX shell') })
    const other = await openRuntime(home)
    rmSync(join(home, 'runs'), { recursive: true })
    writeFileSync(join(home, 'runs'), 'in its place')
    await expect(other.check()).rejects.toMatchObject({ code: 'UNAVAILABLE', hint: expect.any(String) })
    rmSync(join(home, 'runs'))
    mkdirSync(join(home, 'runs'))
    await expect(other.check()).resolves.toBeUndefined()
  })

  it.each([
    ['a missing shell', { shell: '/no/such/sh' }, {}],
    ['a missing working directory', {}, { cwd: '/no/such/place' }],
    ['arguments beyond the limit', {}, { argv: ['echo', 'x'.repeat(200_000)] }],
  ])('refuses for %s, and leaves nothing', async (_what, options, over) => {
    const home = runtimeHome()
    const runtime = await openRuntime(home, options)
    const spec = specOf(['sleep', '1000'], over)
    await expect(runtime.start(spec)).rejects.toMatchObject({ code: 'START_FAILED', hint: expect.any(String) })
    expect(existsSync(join(home, 'runs', spec.runId))).toBe(false)
    expect(runtime.logFile(spec.agentId)).toBeNull()
    expect(await runtime.list()).toEqual([])
  })

  it('refuses what no process can have', async () => {
    const runtime = await openRuntime()
    for (const over of [
      { argv: [] },
      { argv: ['a\0b'] },
      { env: { 'A=B': '1' } },
      { env: { A: 'a\0b' } },
      { runId: '../up' },
      { agentId: 'a/b' },
    ])
      await expect(runtime.start(specOf(['true'], over))).rejects.toMatchObject({ code: 'INVALID' })
    expect(await runtime.list()).toEqual([])
  })

  it('refuses while there are no descriptors, leaves nothing of it, and takes no live run for dead (F12)', async () => {
    const home = runtimeHome()
    const specs = Array.from({ length: 8 }, () => specOf(['sleep', '1000']))
    const manager = startManager(home, specs, { one: true, starve: true, shell: 'ulimit -n 100' })
    await manager.says('all')
    const said = (word: string) => manager.lines.filter((line) => line.startsWith(word)).map((line) => line.split(' ')[1] ?? '')
    // The first starts before the shortage, the others with 0, 1, 2 … descriptors left.
    expect(said('started')).toContain(specs[0]?.runId)
    expect(said('failed').length).toBeGreaterThanOrEqual(1)
    expect(manager.lines.filter((line) => line.startsWith('failed') && !line.includes(' START_FAILED '))).toEqual([])
    expect([...said('started'), ...said('failed')].sort()).toEqual(specs.map(({ runId }) => runId).sort())
    expect(said('ended')).toEqual([])
    const directories = readdirSync(join(home, 'runs')).filter((name) => !name.startsWith('.'))
    expect(directories.sort()).toEqual(said('started').sort())
    expect(
      readdirSync(join(home, 'agents'), { recursive: true }).filter((name) => said('failed').some((runId) => name.includes(runId))),
    ).toEqual([])
    await manager.kill()
    const next = startManager(home, specs)
    await next.says('all')
    expect(next.lines.filter((line) => line.startsWith('started'))).toHaveLength(8)
  })

  it('refuses while no process can be forked, with the reason, leaves nothing of it, and goes on afterwards [F12]', async (context) => {
    const group = `/sys/fs/cgroup/pids/regent-test-${randomUUID()}`
    try {
      mkdirSync(group)
    } catch {
      return context.skip('no number of processes can be set here')
    }
    // After the home, and with it the pump, has gone.
    onTestFinished(() => until(() => rmdirSync(group) === undefined, 'nobody to be left in the group', 20_000))
    const home = runtimeHome()
    const specs = Array.from({ length: 40 }, () => specOf(['sleep', '1000']))
    const manager = startManager(home, specs, { shell: `echo 40 > ${group}/pids.max; echo $$ > ${group}/cgroup.procs` })
    await manager.says('all', 60_000)
    const said = (word: string) => manager.lines.filter((line) => line.startsWith(word)).map((line) => line.split(' ')[1] ?? '')
    expect(said('failed').length).toBeGreaterThan(0)
    expect(said('started').length).toBeGreaterThan(0)
    expect(manager.lines.filter((line) => line.startsWith('failed') && !/ START_FAILED no process could be started/.test(line))).toEqual([])
    expect([...said('started'), ...said('failed')].sort()).toEqual(specs.map(({ runId }) => runId).sort())
    const directories = readdirSync(join(home, 'runs')).filter((name) => !name.startsWith('.'))
    expect(directories.sort()).toEqual(said('started').sort())
    expect(said('ended')).toEqual([])
    expect(manager.process.exitCode).toBeNull()
    writeFileSync(`${group}/pids.max`, 'max')
    await manager.kill()
    const next = startManager(home, specs)
    await next.says('all')
    expect(next.lines.filter((line) => line.startsWith('started'))).toHaveLength(40)
  })

  it('keeps the end of a run on a full disk, and starts nothing there (F36)', async (context) => {
    const home = runtimeHome()
    const disk = join(home, 'disk')
    mkdirSync(disk)
    try {
      execFileSync('/bin/mount', ['-t', 'tmpfs', '-o', 'size=512k', 'none', disk], { stdio: 'ignore' })
    } catch {
      return context.skip('no small disk can be mounted here')
    }
    onTestFinished(() => void execFileSync('/bin/umount', ['-l', disk]))
    const runtime = await openRuntime(disk)
    const agent = specOf(['sh', '-c', 'trap "exit 5" TERM; echo ready; while :; do sleep 0.01; done'])
    const run = await runtime.start(agent)
    await until(async () => (await linesOf(runtime, agent.agentId)).includes('ready'), 'the agent to be ready')
    fill(join(disk, 'ballast'))
    const spec = specOf(['sleep', '1000'])
    await expect(runtime.start(spec)).rejects.toMatchObject({ code: 'START_FAILED', hint: expect.stringContaining('space') })
    expect(existsSync(join(disk, 'runs', spec.runId))).toBe(false)
    expect((await run.stop({ signal: 'SIGTERM', graceMs: 5000 })).exit).toMatchObject({ kind: 'exited', code: 5 })
    await runtime.close()
    const next = await openRuntime(disk)
    expect(await (await next.reattach(run.handle))?.exited).toMatchObject({ kind: 'exited', code: 5 })
    rmSync(join(disk, 'ballast'))
    const later = await next.start(spec)
    expect(lives(later.pid ?? 0)).toBe(true)
    await later.stop({ signal: 'SIGKILL', graceMs: 0 })
  })
})

describe('the wrapper', () => {
  const busybox = ['/bin/busybox', '/usr/bin/busybox', '/usr/local/bin/busybox'].find((path) => existsSync(path))
  const shells: (readonly [name: string, shell: string | undefined])[] = [
    ['sh', '/bin/sh'],
    ['dash', ['/bin/dash', '/usr/bin/dash'].find((path) => existsSync(path))],
    ['bash', ['/bin/bash', '/usr/bin/bash'].find((path) => existsSync(path))],
    ['busybox sh', busybox],
  ]

  it.each(shells.filter(([, shell]) => shell !== undefined))('does the same in %s', async (name, shell) => {
    const home = runtimeHome()
    const script = join(home, 'shell')
    writeFileSync(script, `#!/bin/sh\nexec ${shell} ${name === 'busybox sh' ? 'sh ' : ''}"$@"\n`)
    chmodSync(script, 0o755)
    const runtime = await openRuntime(home, { shell: script })
    const env = { PATH: '/usr/bin:/bin', IFS: 'x', ENV: '/nonexistent', PS4: '$(touch /tmp/no)', VALUE: "a'b\n\\c" }
    const spec = specOf(['sh', '-c', 'tr "\\0" "|" < /proc/self/environ; ls /proc/self/fd | tr "\\n" " "; kill -INT $$'], {
      env,
      cwd: '/usr',
    })
    const run = await runtime.start(spec)
    expect(await run.exited).toMatchObject({ kind: 'signalled', signal: 'SIGINT', code: 130 })
    const lines = (await linesOf(runtime, spec.agentId)).join('\n')
    const expected = Object.entries({ ...env, REGENT_RUN_ID: spec.runId }).map((entry) => entry.join('='))
    const seen = lines.slice(0, lines.lastIndexOf('|')).split('|')
    expect(seen.filter((entry) => !entry.startsWith('_=')).sort()).toEqual(expected.sort())
    const frozen = await runtime.start(specOf(['sh', '-c', 'kill -STOP $$']))
    await until(() => /\) T/.test(readFileSync(`/proc/${frozen.pid}/stat`, 'latin1')), 'it to be frozen')
    expect((await frozen.stop({ signal: 'SIGTERM', graceMs: 3000 })).exit).toMatchObject({ kind: 'signalled', signal: 'SIGTERM' })
  })

  it('gives an agent nothing of its own: three descriptors, no ignored signal, no core, few open files, first to be sacrificed', async () => {
    const runtime = await openRuntime()
    const script = 'grep -E "^Sig(Ign|Blk)" /proc/self/status; ulimit -c; ulimit -n; cat /proc/$$/oom_score_adj'
    for (const env of [{ PATH: '/usr/bin:/bin' }, { PATH: '/usr/bin:/bin', 'not-a-name': '1' }]) {
      const spec = specOf(['sh', '-c', script], { env, limits: { open_files: 300 } })
      await (await runtime.start(spec)).exited
      expect(await linesOf(runtime, spec.agentId)).toEqual(['SigBlk:\t0000000000000000', 'SigIgn:\t0000000000000000', '0', '300', '500'])
      // The fourth is the directory that `ls` reads. Those above nine came from whoever started the tests.
      const list = specOf(['ls', '/proc/self/fd'], { env })
      await (await runtime.start(list)).exited
      expect((await linesOf(runtime, list.agentId)).filter((descriptor) => Number(descriptor) < 10)).toEqual(['0', '1', '2', '3'])
    }
  })

  it('carries an environment whose names no shell knows', async () => {
    const runtime = await openRuntime()
    const env = {
      PATH: '/usr/bin:/bin',
      'a-b': '1',
      'npm_config_@scope:registry': 'x',
      PPID: '7',
      OPTIND: 'none',
      'BASH_FUNC_wait%%': '() { :; }',
      UID: '5',
    }
    const agentId = randomUUID()
    const direct = await runtime.start(specOf(['env', '-0'], { env, agentId }))
    expect(await direct.exited).toMatchObject({ kind: 'exited', code: 0 })
    const last = (await linesOf(runtime, agentId)).at(-1) ?? ''
    expect(last.split('\0').filter(Boolean).sort()).toEqual(
      Object.entries({ ...env, REGENT_RUN_ID: direct.handle.runId })
        .map((entry) => entry.join('='))
        .sort(),
    )
  })

  it('survives every polite signal, and still records', async () => {
    const home = runtimeHome()
    const runtime = await openRuntime(home)
    const run = await runtime.start(specOf(['sh', '-c', 'while [ ! -e "$0" ]; do sleep 0.01; done; exit 8', join(home, 'go')]))
    const wrapper = Number(readFileSync(join(home, 'runs', run.handle.runId, 'pid'), 'utf8').split(' ')[3])
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGPIPE'] as const) process.kill(wrapper, signal)
    writeFileSync(join(home, 'go'), '')
    expect(await run.exited).toMatchObject({ kind: 'exited', code: 8 })
  })
})

function holds(path: string, text: string): boolean {
  try {
    return readFileSync(path).includes(text)
  } catch {
    return false
  }
}

function fill(path: string): void {
  for (const size of [4096, 1024, 64, 1])
    try {
      for (;;) writeFileSync(path, Buffer.alloc(size), { flag: 'a' })
    } catch {
      // Full, for pieces of this size.
    }
}
