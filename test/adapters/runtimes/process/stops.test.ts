import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Run, RunSpec, Runtime } from '../../../../src/ports/runtime.ts'
import { mainProcesses } from '../../../helpers/marked.ts'
import { agentSpec, linesOf, lives, openRuntime, runtimeHome, specOf } from '../../../helpers/process-runtime.ts'
import { takePid } from '../../../helpers/take-pid.ts'
import { until } from '../../../helpers/until.ts'

async function ready(runtime: Runtime, spec: RunSpec): Promise<{ run: Run; pids: Record<string, number> }> {
  const run = await runtime.start(spec)
  await until(async () => (await linesOf(runtime, spec.agentId)).some((line) => line.startsWith('ready')), 'the agent to be ready')
  const line = (await linesOf(runtime, spec.agentId)).find((one) => one.startsWith('ready')) ?? ''
  return { run, pids: Object.fromEntries([...line.matchAll(/(\w+)=(\d+)/g)].map(([, name, pid]) => [name, Number(pid)])) }
}

const record = (home: string, run: Run) =>
  readFileSync(join(home, 'runs', run.handle.runId, 'pid'), 'utf8')
    .trim()
    .split(' ')
const wrapperOf = (home: string, run: Run) => Number(record(home, run)[3])

describe('stop means all of it (P4)', () => {
  it('says how sure it is', async () => {
    const { can } = await openRuntime(undefined, { stopLevel: 'C' })
    expect(can).toMatchObject({ survivesRestart: true, stopLevel: 'C' })
  })

  it('ends children in their own session, double forks, and an orphan without environment that kept the output (F04)', async () => {
    const runtime = await openRuntime()
    const { run, pids } = await ready(runtime, agentSpec('escape.sh'))
    expect(Object.keys(pids)).toEqual(['child', 'own_session', 'double', 'clean_orphan'])
    for (const pid of Object.values(pids)) expect(lives(pid)).toBe(true)
    const begun = performance.now()
    const { survivors } = await run.stop({ signal: 'SIGTERM', graceMs: 5000 })
    expect(performance.now() - begun).toBeLessThan(5000 + 2000)
    expect(Object.entries(pids).filter(([, pid]) => lives(pid))).toEqual([])
    expect(survivors).toEqual([])
  })

  it('ends what a finished run left behind, when it is stopped', async () => {
    const runtime = await openRuntime()
    const { run, pids } = await ready(runtime, specOf(['sh', '-c', 'setsid sleep 1000 & sleep 1000 & echo "ready a=$! "']))
    expect(await run.exited).toMatchObject({ kind: 'exited', code: 0 })
    expect(lives(pids.a ?? 0)).toBe(true)
    await run.stop({ signal: 'SIGTERM', graceMs: 5000 })
    expect(lives(pids.a ?? 0)).toBe(false)
    expect(mainProcesses(new Set([run.handle.runId])).size).toBe(0)
  })

  it('gives all of the run the grace, not only its main process', async () => {
    const runtime = await openRuntime()
    const slow = '(trap "sleep 0.2; echo saved; exit" TERM; echo ready; while :; do sleep 0.01; done) & exec sleep 1000'
    const spec = specOf(['sh', '-c', slow])
    const { run } = await ready(runtime, spec)
    await run.stop({ signal: 'SIGTERM', graceMs: 10_000 })
    expect(await linesOf(runtime, spec.agentId)).toContain('saved')
  })

  it('stops a run that it adopted and whose wrapper is gone (F09)', async () => {
    const home = runtimeHome()
    const runtime = await openRuntime(home)
    const spec = specOf(['sleep', '1000'])
    const run = await runtime.start(spec)
    process.kill(wrapperOf(home, run), 'SIGKILL')
    await until(() => !lives(wrapperOf(home, run)), 'the wrapper to be gone')
    await runtime.close()
    const next = await openRuntime(home)
    const again = await next.reattach(run.handle)
    expect(again?.pid).toBe(run.pid)
    expect(lives(run.pid ?? 0)).toBe(true)
    expect((await again?.usage())?.processes).toBe(1)
    expect(await again?.stop({ signal: 'SIGTERM', graceMs: 5000 })).toMatchObject({
      exit: { kind: 'lost', reason: expect.stringContaining('exit code is unknown') },
      survivors: [],
    })
    expect(lives(run.pid ?? 0)).toBe(false)
  })

  it('sees the end of a run whose wrapper is gone within three seconds, as lost (F09)', async () => {
    const home = runtimeHome()
    const runtime = await openRuntime(home)
    const run = await runtime.start(specOf(['sleep', '1000']))
    process.kill(wrapperOf(home, run), 'SIGKILL')
    await until(() => !lives(wrapperOf(home, run)), 'the wrapper to be gone')
    process.kill(run.pid ?? 0, 'SIGKILL')
    const begun = performance.now()
    expect(await run.exited).toMatchObject({ kind: 'lost' })
    expect(performance.now() - begun).toBeLessThan(3000)
  })

  it('stops forty at once within the grace of one', async () => {
    const runtime = await openRuntime()
    const runs = await Promise.all(Array.from({ length: 40 }, () => ready(runtime, agentSpec('ignore-term.sh'))))
    const begun = performance.now()
    const outcomes = await Promise.all(runs.map(({ run }) => run.stop({ signal: 'SIGTERM', graceMs: 500 })))
    expect(performance.now() - begun).toBeLessThan(500 + 2000)
    for (const { exit, survivors } of outcomes) expect([exit.kind, survivors]).toEqual(['signalled', []])
  })

  it('stops right after the start', async () => {
    const runtime = await openRuntime()
    for (let round = 0; round < 20; round += 1) {
      const run = await runtime.start(specOf(['sleep', '1000']))
      const begun = performance.now()
      expect((await run.stop({ signal: 'SIGTERM', graceMs: 20_000 })).exit).toMatchObject({ kind: 'signalled', code: 143 })
      expect(performance.now() - begun).toBeLessThan(5000)
    }
  })
})

describe('what ends with the main process', () => {
  it('is nothing, unless asked for', async () => {
    const runtime = await openRuntime()
    const { run, pids } = await ready(runtime, specOf(['sh', '-c', 'sleep 1000 & echo "ready a=$!"']))
    await run.exited
    expect(lives(pids.a ?? 0)).toBe(true)
  })

  it('is its group at once, and the rest of the run after it, with reapOnExit', async () => {
    const runtime = await openRuntime()
    const script = 'sleep 1000 & a=$!; setsid sleep 1000 & echo "ready a=$a b=$!"; exit 4'
    const { run, pids } = await ready(runtime, specOf(['sh', '-c', script], { reapOnExit: true }))
    expect(await run.exited).toMatchObject({ kind: 'exited', code: 4 })
    expect(lives(pids.a ?? 0)).toBe(false)
    await until(() => !lives(pids.b ?? 0), 'the child in its own session to be gone')
  })

  it('is its group, with reapOnExit, also while no Regent runs', async () => {
    const home = runtimeHome()
    const runtime = await openRuntime(home)
    const go = join(home, 'go')
    const script = `sleep 1000 & echo "ready a=$!"; while [ ! -e ${go} ]; do sleep 0.01; done`
    const { pids } = await ready(runtime, specOf(['sh', '-c', script], { reapOnExit: true }))
    await runtime.close()
    writeFileSync(go, '')
    await until(() => !lives(pids.a ?? 0), 'the child to be gone')
    expect(lives(pids.a ?? 0)).toBe(false)
  })

  it('is not the log: a grandchild that holds the output delays no end, and is still heard (F05)', async () => {
    const home = runtimeHome()
    const runtime = await openRuntime(home)
    const go = join(home, 'go')
    const spec = agentSpec('hold-stdout.sh', [go])
    const begun = performance.now()
    const run = await runtime.start(spec)
    expect(await run.exited).toMatchObject({ kind: 'exited', code: 0 })
    expect(performance.now() - begun).toBeLessThan(1000)
    await until(async () => (await linesOf(runtime, spec.agentId)).length === 1, 'the early line')
    writeFileSync(go, '')
    await until(async () => (await linesOf(runtime, spec.agentId)).at(-1) === 'late', 'the late line')
  })
})

describe('never a stranger (P3)', () => {
  /** A run whose record now names a process that it did not start. */
  async function mistaken(change: (fields: string[]) => string[]) {
    const home = runtimeHome()
    const runtime = await openRuntime(home)
    const stranger = await runtime.start(specOf(['sleep', '1000']))
    const run = await runtime.start(specOf(['sleep', '1000']))
    await run.stop({ signal: 'SIGKILL', graceMs: 0 })
    await until(() => !lives(wrapperOf(home, run)), 'its wrapper to be gone')
    await runtime.close()
    const directory = join(home, 'runs', run.handle.runId)
    const [, start = '', boot = '', wrapper = ''] = record(home, run)
    const fields = change([String(stranger.pid), start, boot, wrapper])
    writeFileSync(join(directory, 'pid'), `${fields.join(' ').padEnd(127)}\n`)
    writeFileSync(join(directory, 'exit'), `${' '.repeat(63)}\n`)
    const again = await (await openRuntime(home)).reattach(run.handle)
    return { run: again, stranger: stranger.pid ?? 0 }
  }

  it.each([
    ['start time', ([pid = '', , ...rest]: string[]) => [pid, String(Number(startOf(Number(pid))) - 1), ...rest]],
    ['boot', ([pid = '', , , ...rest]: string[]) => [pid, startOf(Number(pid)), '00000000-0000-0000-0000-000000000000', ...rest]],
  ])('a process with the same pid and another %s gets no signal; the run is lost (F07)', async (_what, change) => {
    const { run, stranger } = await mistaken(change)
    expect(await run?.exited).toMatchObject({ kind: 'lost' })
    expect(await run?.signal('SIGKILL')).toBe(false)
    await run?.stop({ signal: 'SIGKILL', graceMs: 0 })
    expect(lives(stranger)).toBe(true)
  })

  it('not even one that got the very pid while its run is believed to live [F07] [P3]', async (context) => {
    const home = runtimeHome()
    const runtime = await openRuntime(home)
    const run = await runtime.start(specOf(['sleep', '1000']))
    const pid = run.pid ?? 0
    process.kill(wrapperOf(home, run), 'SIGKILL')
    await runtime.close()
    const next = await openRuntime(home)
    const again = await next.reattach(run.handle)
    process.kill(pid, 'SIGKILL')
    await until(() => !existsSync(`/proc/${pid}`), 'the agent to be gone, and its number free')
    if (!(await takePid(pid))) return context.skip('pids cannot be chosen here')
    expect(await again?.signal('SIGKILL')).toBe(false)
    expect(await again?.stop({ signal: 'SIGKILL', graceMs: 0 })).toMatchObject({ exit: { kind: 'lost' }, survivors: [] })
    expect(lives(pid)).toBe(true)
  })
})

function startOf(pid: number): string {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? ''
}
