import { randomUUID } from 'node:crypto'
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Run, RunSpec } from '../../../../src/ports/runtime.ts'
import { startManager } from '../../../helpers/manager.ts'
import { mainProcesses } from '../../../helpers/marked.ts'
import { agentSpec, followed, linesOf, lives, openRuntime, runtimeHome, specOf } from '../../../helpers/process-runtime.ts'
import { until } from '../../../helpers/until.ts'

const ticker = (marks: string) => [
  'sh',
  '-c',
  'i=0; while [ ! -e "$0" ]; do i=$((i+1)); echo "tick $i"; sleep 0.05; done; echo "last $i"',
  marks,
]

describe('runs outlive Regent', () => {
  it('kill -9 with fifty runs: all adopted with their pids, ends meanwhile recorded, output whole (P1, F15) [I2-RUN-01]', async () => {
    const home = runtimeHome()
    const go = join(home, 'go')
    const kinds: ((n: number) => readonly string[])[] = [
      () => ['sleep', '1000'],
      () => ticker(go),
      (n) => ['sh', '-c', 'while [ ! -e "$0" ]; do sleep 0.02; done; echo bye; exit "$1"', go, String(n % 100)],
      () => ['sh', '-c', 'while [ ! -e "$0" ]; do sleep 0.02; done; kill -KILL $$', go],
    ]
    const specs = Array.from({ length: 50 }, (_, n) => specOf((kinds[n % 4] ?? (() => []))(n)))
    const manager = startManager(home, specs)
    await manager.says('all')
    const pids = new Map(
      manager.lines.filter((line) => line.startsWith('started')).map((line) => [line.split(' ')[1], Number(line.split(' ')[2])]),
    )
    await manager.kill()
    writeFileSync(go, '')
    await until(() => specs.every(({ runId }, n) => n % 4 === 0 || !lives(pids.get(runId) ?? 0)), 'the ends of those that end')

    const begun = performance.now()
    const runtime = await openRuntime(home)
    const runs = (await Promise.all((await runtime.list()).map((handle) => runtime.reattach(handle)))) as Run[]
    expect(performance.now() - begun).toBeLessThan(1000)
    expect(runs).toHaveLength(50)
    const byId = new Map(runs.map((run) => [run.handle.runId, run]))
    for (const [n, spec] of specs.entries()) {
      const run = byId.get(spec.runId)
      expect(run?.pid).toBe(pids.get(spec.runId))
      if (n % 4 === 0) expect(lives(run?.pid ?? 0)).toBe(true)
      else if (n % 4 === 3) expect(await run?.exited).toMatchObject({ kind: 'signalled', signal: 'SIGKILL' })
      else expect(await run?.exited).toMatchObject({ kind: 'exited', code: n % 4 === 2 ? n % 100 : 0 })
      if (n % 4 === 1) {
        const lines = await linesOf(runtime, spec.agentId)
        const last = Number(lines.at(-1)?.split(' ')[1])
        expect(lines).toEqual([...Array.from({ length: last }, (_, at) => `tick ${at + 1}`), `last ${last}`])
      }
    }
    expect(mainProcesses(new Set(specs.map(({ runId }) => runId))).size).toBe(13)
  })

  it.each([100, 1000])(
    'kill -9 with %i: none dies, all are adopted within a second [part of F15]',
    async (count) => {
      const home = runtimeHome()
      const specs = Array.from({ length: count }, () => specOf(['sleep', '1000']))
      const manager = startManager(home, specs)
      await manager.says('all', 60_000)
      const pids = new Map(
        manager.lines.filter((line) => line.startsWith('started')).map((line) => line.split(' ').slice(1) as [string, string]),
      )
      expect(pids.size).toBe(count)
      await manager.kill()
      const begun = performance.now()
      const runtime = await openRuntime(home)
      const runs = await Promise.all((await runtime.list()).map((handle) => runtime.reattach(handle)))
      const tookMs = performance.now() - begun
      expect(runs.filter((run) => run && pids.get(run.handle.runId) === String(run.pid) && lives(run.pid ?? 0))).toHaveLength(count)
      expect(tookMs).toBeLessThan(1000)
      expect(mainProcesses(new Set(pids.keys())).size).toBe(count)
    },
    120_000,
  )

  it('its wrapper killed, an agent lives on: shown alive, stopped as ever, its own end unknown [F09]', async () => {
    const home = runtimeHome()
    const runtime = await openRuntime(home)
    const wrapperOf = (run: Run) => Number(readFileSync(join(home, 'runs', run.handle.runId, 'pid'), 'utf8').split(' ')[3])
    const go = join(home, 'go')
    const [stopped, ending] = [
      specOf(['sleep', '1000']),
      specOf(['sh', '-c', 'while [ ! -e "$0" ]; do sleep 0.01; done; echo out; exit 3', go]),
    ]
    const runs = await Promise.all([stopped, ending].map((spec) => runtime.start(spec)))
    await until(() => existsSync(join(home, 'runs/.pump/lock')), 'the pump')
    for (const run of runs) process.kill(wrapperOf(run), 'SIGKILL')
    await until(() => runs.every((run) => !lives(wrapperOf(run))), 'the wrappers to be gone')
    for (const run of runs) expect(lives(run.pid ?? 0)).toBe(true)
    const stop = await runs[0]?.stop({ signal: 'SIGTERM', graceMs: 2000 })
    expect(stop).toMatchObject({ exit: { kind: 'lost', reason: expect.stringContaining('unknown') }, survivors: [] })
    expect(lives(runs[0]?.pid ?? 0)).toBe(false)
    writeFileSync(go, '')
    expect(await runs[1]?.exited).toMatchObject({ kind: 'lost', reason: expect.stringContaining('unknown') })
  })

  it('sees the end of an adopted run at once', async () => {
    const home = runtimeHome()
    const go = join(home, 'go')
    const spec = specOf(['sh', '-c', 'while [ ! -e "$0" ]; do sleep 0.01; done; exit 6', go])
    const manager = startManager(home, [spec])
    await manager.says('all')
    await manager.kill()
    const runtime = await openRuntime(home)
    const run = await runtime.reattach(runtime.handleOf(spec.runId))
    writeFileSync(go, '')
    const begun = performance.now()
    expect(await run?.exited).toMatchObject({ kind: 'exited', code: 6 })
    expect(performance.now() - begun).toBeLessThan(500)
  })

  it('follows an adopted agent, and its next run', async () => {
    const home = runtimeHome()
    const go = join(home, 'go')
    const spec = specOf(ticker(go))
    const manager = startManager(home, [spec])
    await manager.says('all')
    await manager.kill()
    const runtime = await openRuntime(home)
    const { lines } = followed(runtime, spec.agentId)
    await until(() => lines.length > 2, 'ticks')
    writeFileSync(go, '')
    await until(() => lines.some(({ text }) => text.startsWith('last')), 'the last line')
    const last = lines.length - 1
    expect(lines.map(({ text }) => text)).toEqual([...Array.from({ length: last }, (_, at) => `tick ${at + 1}`), `last ${last}`])
    await runtime.start(specOf(['echo', 'again'], { agentId: spec.agentId }))
    await until(() => lines.at(-1)?.text === 'again', 'the next run')
  })
})

describe('exactly one process for each run id', () => {
  const twice = async (home: string, specs: readonly RunSpec[], at: (manager: ReturnType<typeof startManager>) => Promise<void>) => {
    const first = startManager(home, specs)
    await at(first)
    await first.kill()
    const second = startManager(home, specs)
    await second.says('all')
    expect(second.lines.filter((line) => line.startsWith('failed'))).toEqual([])
    const found = await mainsOf(specs)
    for (const { runId } of specs) {
      expect(found.get(runId), runId).toHaveLength(1)
      expect(second.lines).toContain(`started ${runId} ${found.get(runId)?.[0]}`)
    }
    await second.kill()
  }
  // A process gets its mark a moment after it is on record, with its environment.
  const mainsOf = async (specs: readonly RunSpec[]) => {
    const ids = new Set(specs.map(({ runId }) => runId))
    await until(() => mainProcesses(ids).size === specs.length, 'a process for each run')
    return mainProcesses(ids)
  }
  const sleepers = (count: number) => Array.from({ length: count }, () => specOf(['sleep', '1000']))

  it('when Regent is killed between the intent and the spawn (E6)', async () => {
    await twice(runtimeHome(), sleepers(3), async () => {})
  })

  it.each([1, 3, 6])('when Regent is killed right after spawn %i (E6)', async (n) => {
    const specs = sleepers(8)
    await twice(runtimeHome(), specs, async (manager) => {
      await manager.says(`spawning ${specs[n]?.runId}`)
    })
  })

  it.each([5, 15, 30, 60])('when Regent is killed %i ms into starting twenty at once (E6, F16)', async (ms) => {
    const specs = sleepers(20)
    await twice(runtimeHome(), specs, async (manager) => {
      await manager.says('spawning')
      const end = performance.now() + ms
      await until(() => performance.now() >= end, 'the moment')
    })
  })

  it('when the shell that forks the wrappers is killed in the middle of a hundred starts [I3-START-01]', async () => {
    const home = runtimeHome()
    const specs = sleepers(100)
    const manager = startManager(home, specs)
    const spawners = () =>
      readFileSync(`/proc/${manager.process.pid}/task/${manager.process.pid}/children`, 'latin1')
        .split(' ')
        .filter((pid) => pid !== '' && readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('spawner.sh'))
    for (const started of [1, 20, 50]) {
      await until(() => manager.lines.filter((line) => line.startsWith('started')).length >= started, `${started} starts`)
      for (const pid of spawners()) process.kill(Number(pid), 'SIGKILL')
    }
    await manager.says('all')
    expect(manager.lines.filter((line) => line.startsWith('failed'))).toEqual([])
    const found = await mainsOf(specs)
    for (const { runId } of specs) {
      expect(found.get(runId), runId).toHaveLength(1)
      expect(manager.lines).toContain(`started ${runId} ${found.get(runId)?.[0]}`)
    }
  })

  it('when three managers race for it (E7)', async () => {
    const home = runtimeHome()
    const specs = sleepers(20)
    const managers = [1, 2, 3].map(() => startManager(home, specs))
    for (const manager of managers) await manager.says('all')
    const found = await mainsOf(specs)
    for (const { runId } of specs) {
      expect(found.get(runId), runId).toHaveLength(1)
      for (const manager of managers) expect(manager.lines).toContain(`started ${runId} ${found.get(runId)?.[0]}`)
    }
  })
})

describe('a run whose end nobody recorded', () => {
  const claimed = async (over: { pid?: string; exit?: string } = {}) => {
    const home = runtimeHome()
    const runtime = await openRuntime(home)
    const spec = specOf(['sleep', '1000'])
    const run = await runtime.start(spec)
    await run.stop({ signal: 'SIGKILL', graceMs: 0 })
    const file = (name: string) => join(home, 'runs', spec.runId, name)
    await until(() => existsSync(file('output.end')), 'its wrapper to be through')
    await runtime.close()
    if (over.pid !== undefined) writeFileSync(file('pid'), over.pid)
    if (over.exit !== undefined) writeFileSync(file('exit'), over.exit)
    return { runtime: await openRuntime(home), handle: run.handle, pidRecord: readFileSync(file('pid'), 'utf8') }
  }
  const blank = ' '.repeat(63)

  it('is lost when it was claimed and never put on record, after a grace', async () => {
    const { runtime, handle } = await claimed({ pid: `${' '.repeat(95)}\n`, exit: `${blank}\n` })
    const run = await runtime.reattach(handle)
    expect(await run?.exited).toMatchObject({ kind: 'lost' })
    expect(run?.pid).toBeNull()
    expect(await run?.signal('SIGTERM')).toBe(false)
    expect(await run?.stop({ signal: 'SIGTERM', graceMs: 1000 })).toMatchObject({ exit: { kind: 'lost' }, survivors: [] })
  })

  it('takes half a record for none', async () => {
    const { runtime, handle } = await claimed({ pid: '12', exit: '0' })
    const run = await runtime.reattach(handle)
    expect(await run?.exited).toMatchObject({ kind: 'lost' })
    expect(run?.pid).toBeNull()
  })

  it('is lost, never ended well, when the process is gone without a record', async () => {
    const { runtime, handle } = await claimed({ exit: `${blank}\n` })
    expect(await (await runtime.reattach(handle))?.exited).toMatchObject({ kind: 'lost', reason: expect.stringContaining('unknown') })
    // It stays so, whatever is written later.
    expect(await (await runtime.reattach(handle))?.exited).toMatchObject({ kind: 'lost' })
  })

  it('is lost by a restart of the machine (F23)', async () => {
    const home = runtimeHome()
    const runtime = await openRuntime(home)
    const spec = specOf(['sleep', '1000'])
    const { handle, pid } = await runtime.start(spec)
    await runtime.close()
    const file = join(home, 'runs', spec.runId, 'pid')
    const record = readFileSync(file, 'utf8')
    const otherBoot = record.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/, randomUUID())
    writeFileSync(file, otherBoot)
    const next = await openRuntime(home)
    const run = await next.reattach(handle)
    expect(await run?.exited).toMatchObject({ kind: 'lost', reason: 'the machine was restarted' })
    expect(await run?.signal('SIGKILL')).toBe(false)
    expect(lives(pid ?? 0)).toBe(true)
    process.kill(pid ?? 0, 'SIGKILL')
  })

  it('leaves no directory of a run that was over when Regent was killed, and keeps its log', async () => {
    const home = runtimeHome()
    const agentId = randomUUID()
    const earlier = { ...specOf(['echo', 'first']), agentId }
    const killed = await openRuntime(home)
    await (await killed.start(earlier)).exited
    await killed.close()
    const runtime = await openRuntime(home)
    const later = await runtime.start({ ...specOf(['echo', 'second']), agentId })
    await later.exited
    await until(() => existsSync(join(home, 'runs', earlier.runId, 'output.end')), 'its output to be in the log')
    await later.remove()
    expect(await runtime.list()).toEqual([])
    expect(await linesOf(runtime, agentId)).toEqual(['first', 'second'])
  })

  it('keeps an agent from starting once the run was given up', async () => {
    const home = runtimeHome()
    const runtime = await openRuntime(home)
    const spec = agentSpec('echo-args.sh', ['started'])
    const go = join(home, 'go')
    // A shell that is held up between the claim and the agent: it waits where that learns its own pid.
    const slow = join(home, 'slow-sh')
    writeFileSync(
      slow,
      `#!/bin/sh\nread() { [ -z "$claimed" ] || while [ ! -e ${go} ]; do sleep 0.02; done; command read "$@"; }\nprogram=$1; shift\n. "$program"\n`,
      { mode: 0o755 },
    )
    const held = await openRuntime(home, { shell: slow })
    const starting = held.start(spec)
    const directory = join(home, 'runs', spec.runId)
    await until(() => readFileSync(join(directory, 'exit'), 'utf8').length > 0, 'the claim')
    appendFileSync(join(directory, 'lost'), 'given up by the test\n')
    writeFileSync(go, '')
    expect(await (await starting).exited).toMatchObject({ kind: 'lost', reason: 'given up by the test' })
    await until(async () => mainProcesses(new Set([spec.runId])).size === 0, 'nothing of it to be left')
    expect(await linesOf(runtime, spec.agentId)).toEqual([])
  })
})
