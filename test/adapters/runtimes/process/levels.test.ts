import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { cgroupMounts } from '../../../../src/adapters/runtimes/process/cgroup-mounts.ts'
import type { ProcessRuntimeOptions } from '../../../../src/adapters/runtimes/process/options.ts'
import type { Run, RunSpec, Runtime } from '../../../../src/ports/runtime.ts'
import { runtimeConformance } from '../../../conformance/runtime.ts'
import { getaway } from '../../../helpers/fighters.ts'
import { agentSpec, linesOf, lives, openRuntime, runtimeHome, specOf } from '../../../helpers/process-runtime.ts'
import { until } from '../../../helpers/until.ts'

type Over = Pick<ProcessRuntimeOptions, 'stopLevel' | 'endBy'>

/** Each way of ending a run, and how to have it. */
const ways: readonly (readonly [string, 'A' | 'B' | 'C' | 'D', Over])[] = [
  ['A by cgroup.kill', 'A', { stopLevel: 'A', endBy: 'kill' }],
  ['A by the freezer', 'A', { stopLevel: 'A', endBy: 'freezer' }],
  ['B', 'B', { stopLevel: 'B' }],
  ['C', 'C', { stopLevel: 'C' }],
  ['D', 'D', { stopLevel: 'D' }],
]
const sure = ways.filter(([, level]) => level === 'A' || level === 'B')

/** Undefined where this machine does not have the level. */
async function opened(level: string, over: Over, home = runtimeHome()): Promise<Runtime | undefined> {
  const runtime = await openRuntime(home, over)
  return runtime.can.stopLevel === level ? runtime : undefined
}

async function ready(runtime: Runtime, spec: RunSpec): Promise<{ run: Run; pids: Record<string, number> }> {
  const run = await runtime.start(spec)
  await until(async () => (await linesOf(runtime, spec.agentId)).some((line) => line.startsWith('ready')), 'the agent to be ready')
  const line = (await linesOf(runtime, spec.agentId)).find((one) => one.startsWith('ready')) ?? ''
  return { run, pids: Object.fromEntries([...line.matchAll(/(\w+)=(\d+)/g)].map(([, name, pid]) => [name, Number(pid)])) }
}

/** Every live process that has this text among its arguments. */
function withArgument(text: string): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && lives(pid) && commandOf(pid).includes(text))
}

function commandOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  } catch {
    return []
  }
}

/** Those that stopped themselves before they would sleep so long. */
const frozen = (own: string): number[] => withArgument(`kill -STOP $$; sleep ${own}`)

let seconds = 100_000
/** A time to sleep that tells the processes of one test from all others. */
function mark(): string {
  seconds += 1
  return String(seconds + process.pid * 1e-7)
}

describe.each(ways)('the process runtime at stop level %s', (name, level, over) => {
  it('says so', async (context) => {
    const runtime = await opened(level, over)
    if (!runtime) return context.skip(`level ${name} is not to be had here`)
    const checks = await runtime.checks()
    expect(checks.find((check) => check.name === 'stop level')?.message).toMatch(new RegExp(`^${level} \\(`))
  })

  it('stops politely, with any signal, and records the code [part of F01]', async (context) => {
    const runtime = await opened(level, over)
    if (!runtime) return context.skip(`level ${name} is not to be had here`)
    for (const [signal, code] of [
      ['SIGTERM', 3],
      ['SIGHUP', 4],
      ['SIGINT', 5],
      ['SIGUSR1', 6],
    ] as const) {
      const script = `trap 'exit ${code}' ${signal.slice(3)}; echo ready; while :; do sleep 0.02; done`
      const { run } = await ready(runtime, specOf(['sh', '-c', script]))
      expect(await run.stop({ signal, graceMs: 20_000 })).toMatchObject({ exit: { kind: 'exited', code }, survivors: [] })
    }
  })

  it('hands a signal to the agent itself [part of P3]', async (context) => {
    const runtime = await opened(level, over)
    if (!runtime) return context.skip(`level ${name} is not to be had here`)
    const { run } = await ready(runtime, specOf(['sh', '-c', 'trap "echo heard; exit 8" USR2; echo ready; while :; do sleep 0.02; done']))
    expect(await run.signal('SIGUSR2')).toBe(true)
    expect(await run.exited).toMatchObject({ kind: 'exited', code: 8 })
    expect(await run.signal('SIGUSR2')).toBe(false)
  })

  it.each([
    ['exit 0', { kind: 'exited', code: 0 }],
    ['exit 1', { kind: 'exited', code: 1 }],
    ['exec /nowhere/at/all', { kind: 'exited', code: 127 }],
    ['exec /etc/passwd', { kind: 'exited', code: 126 }],
    ['kill -SEGV $$', { kind: 'signalled', signal: 'SIGSEGV', code: 139 }],
    ['kill -KILL $$', { kind: 'signalled', signal: 'SIGKILL', code: 137 }],
  ])('records how `%s` ends [part of F01]', async (script, exit) => {
    const runtime = await opened(level, over)
    if (!runtime) return
    const run = await runtime.start(specOf(['sh', '-c', script]))
    expect(await run.exited).toMatchObject(exit)
  })

  it('kills what ignores TERM, and what is frozen, after the grace [part of F03]', async (context) => {
    const runtime = await opened(level, over)
    if (!runtime) return context.skip(`level ${name} is not to be had here`)
    for (const script of [
      'trap "" TERM; echo ready; while :; do sleep 0.1; done',
      'echo ready; kill -STOP $$; trap "" TERM; while :; do sleep 1; done',
    ]) {
      const { run } = await ready(runtime, specOf(['sh', '-c', script]))
      const begun = performance.now()
      const { exit, survivors } = await run.stop({ signal: 'SIGTERM', graceMs: 300 })
      expect(exit).toMatchObject({ kind: 'signalled' })
      expect(survivors).toEqual([])
      expect(performance.now() - begun).toBeLessThan(300 + 2000)
    }
  })

  it('stops right after the start', async (context) => {
    const runtime = await opened(level, over)
    if (!runtime) return context.skip(`level ${name} is not to be had here`)
    for (let round = 0; round < 5; round += 1) {
      const run = await runtime.start(specOf(['sleep', '1000']))
      const begun = performance.now()
      expect((await run.stop({ signal: 'SIGTERM', graceMs: 20_000 })).exit).toMatchObject({ kind: 'signalled', code: 143 })
      expect(performance.now() - begun).toBeLessThan(5000)
    }
  })

  it('is known to the next Regent', async (context) => {
    const home = runtimeHome()
    const runtime = await opened(level, over, home)
    if (!runtime) return context.skip(`level ${name} is not to be had here`)
    const own = mark()
    const { run } = await ready(
      runtime,
      specOf(['sh', '-c', `setsid env -i sleep ${own} > /dev/null 2>&1 & echo ready; exec sleep ${own}`]),
    )
    await runtime.close()
    // Another level from now on; this run keeps its own.
    const next = await openRuntime(home, { stopLevel: level === 'C' ? 'A' : 'C' })
    const again = await next.reattach(run.handle)
    expect(again?.pid).toBe(run.pid)
    await again?.stop({ signal: 'SIGTERM', graceMs: 3000 })
    const left = withArgument(own)
    if (level === 'A' || level === 'B') expect(left).toEqual([])
    for (const pid of left) process.kill(pid, 'SIGKILL')
  })
})

describe.each(sure)('a stop at level %s', (name, level, over) => {
  it('ends whoever tries to get away: other sessions, double forks, no environment, no output, no TERM, frozen [part of F04] [I3-STOP-01]', async (context) => {
    const runtime = await opened(level, over)
    if (!runtime) return context.skip(`level ${name} is not to be had here`)
    const own = mark()
    const { run } = await ready(runtime, specOf(['sh', '-c', getaway(own)]))
    await until(() => withArgument(own).length >= 6 && frozen(own).length === 1, 'all of them to be there')
    const begun = performance.now()
    const { survivors } = await run.stop({ signal: 'SIGTERM', graceMs: 500 })
    expect(performance.now() - begun).toBeLessThan(500 + 2000)
    expect([...withArgument(own), ...frozen(own)]).toEqual([])
    expect(survivors).toEqual([])
  })

  it('with reapOnExit needs no stop', async (context) => {
    const runtime = await opened(level, over)
    if (!runtime) return context.skip(`level ${name} is not to be had here`)
    const own = mark()
    const script = `env -i setsid sleep ${own} > /dev/null 2>&1 & echo ready; exit 4`
    const { run } = await ready(runtime, specOf(['sh', '-c', script], { reapOnExit: true }))
    expect(await run.exited).toMatchObject({ kind: 'exited', code: 4 })
    await until(() => withArgument(own).length === 0, 'what it left behind to be gone')
  })
})

describe('a stop that is not sure to end everything', () => {
  it('names the survivors that it knows of at level D [part of F04]', async () => {
    const runtime = await openRuntime(undefined, { stopLevel: 'D' })
    const { run, pids } = await ready(runtime, agentSpec('escape.sh'))
    const { survivors } = await run.stop({ signal: 'SIGTERM', graceMs: 2000 })
    const left = Object.values(pids).filter(lives)
    expect(left.length).toBeGreaterThan(0)
    expect(survivors).toEqual(expect.arrayContaining([pids.own_session]))
    for (const pid of left) process.kill(pid, 'SIGKILL')
  })
})

describe('groups', () => {
  const groupsOf = (runId: string) =>
    ['unified', 'freezer', 'memory', 'pids', 'cpu', 'cpuacct', '.'].flatMap((hierarchy) => {
      const top = join('/sys/fs/cgroup', hierarchy)
      const homes = existsSync(top) ? readdirSync(top).filter((name) => name.startsWith('regent-')) : []
      return homes.map((name) => join(top, name, runId)).filter((dir) => existsSync(dir))
    })

  it('hold the agent and all it starts, never the wrapper, and go with the run', async (context) => {
    const home = runtimeHome()
    const runtime = await opened('A', { stopLevel: 'A' }, home)
    if (!runtime) return context.skip('no cgroups here')
    const { run } = await ready(runtime, specOf(['sh', '-c', 'sleep 1000 & echo ready; wait']))
    const groups = groupsOf(run.handle.runId)
    expect(groups.length).toBeGreaterThan(0)
    const wrapper = readFileSync(join(home, 'runs', run.handle.runId, 'pid'), 'utf8')
      .trim()
      .split(' ')[3]
    for (const dir of groups) {
      const inside = readFileSync(join(dir, 'cgroup.procs'), 'utf8').trim().split('\n')
      expect(inside).toContain(String(run.pid))
      expect(inside).toHaveLength(2)
      expect(inside).not.toContain(wrapper)
    }
    await run.stop({ signal: 'SIGKILL', graceMs: 0 })
    await until(() => groupsOf(run.handle.runId).length === 0, 'its groups to be gone')
  })

  it('made inside by the agent are ended and removed too', async (context) => {
    for (const over of [
      { stopLevel: 'A', endBy: 'kill' },
      { stopLevel: 'A', endBy: 'freezer' },
    ] as const) {
      const runtime = await opened('A', over)
      if (!runtime) return context.skip('no cgroups here')
      const { run } = await ready(runtime, specOf(['sh', '-c', 'echo ready; exec sleep 1000']))
      const [first = ''] = groupsOf(run.handle.runId)
      mkdirSync(join(first, 'inner'))
      writeFileSync(join(first, 'inner', 'cgroup.procs'), String(run.pid))
      await run.stop({ signal: 'SIGTERM', graceMs: 2000 })
      expect(lives(run.pid ?? 0)).toBe(false)
      await until(() => groupsOf(run.handle.runId).length === 0, 'its groups to be gone')
    }
  })

  it('are found in any layout of mounts', () => {
    const mounts = cgroupMounts(
      [
        '31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw',
        '35 31 0:32 /docker/abc /sys/fs/cgroup/memory rw,relatime shared:7 - cgroup cgroup rw,memory',
        '36 31 0:33 / /mnt/two\\040words rw,relatime - cgroup cgroup rw,cpu,cpuacct',
        '41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate',
      ].join('\n'),
      ['4:memory:/docker/abc/inner', '3:cpu,cpuacct:/../outside', '0::/user.slice/app.service'].join('\n'),
    )
    expect(mounts).toEqual([
      { version: 1, dir: '/sys/fs/cgroup/memory', own: '/sys/fs/cgroup/memory/inner', controllers: ['memory'] },
      { version: 1, dir: '/mnt/two words', own: '/mnt/two words', controllers: ['cpu', 'cpuacct'] },
      { version: 2, dir: '/sys/fs/cgroup/unified', own: '/sys/fs/cgroup/unified/user.slice/app.service', controllers: [] },
    ])
  })
})

for (const [name, , over] of ways.filter(([, level]) => level !== 'D'))
  runtimeConformance(`process at stop level ${name}`, async () => {
    const home = runtimeHome()
    return {
      open: () => openRuntime(home, over),
      script: (text, args = [], more = {}) => specOf(['sh', '-c', text, 'sh', ...args], more),
    }
  })
