import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { ProcessRuntimeOptions } from '../../../../src/adapters/runtimes/process/options.ts'
import { exitWords } from '../../../../src/core/supervision/restart.ts'
import type { RunSpec, Runtime } from '../../../../src/ports/runtime.ts'
import { linesOf, lives, openRuntime, runtimeHome, specOf } from '../../../helpers/process-runtime.ts'
import { until } from '../../../helpers/until.ts'

const MiB = 1024 * 1024
/** Doubles what it has until something stops it. */
const hog = ['sh', '-c', 'x=0123456789abcdef; while :; do x=$x$x; done']

async function enforcing(limit: keyof Runtime['can']['limits'], over: Partial<ProcessRuntimeOptions> = {}): Promise<Runtime | undefined> {
  const runtime = await openRuntime(undefined, over)
  return runtime.can.limits[limit] ? runtime : undefined
}

describe('the memory limit', () => {
  it.each(['A', 'C'] as const)('ends a hog, and says so, at stop level %s [part of F45] [I3-LIM-02]', async (stopLevel) => {
    const home = runtimeHome()
    const runtime = await openRuntime(home, { stopLevel })
    if (!runtime.can.limits.memory_bytes) return
    const run = await runtime.start(specOf(hog, { limits: { memory_bytes: 32 * MiB } }))
    const exit = await run.exited
    expect(exit).toMatchObject({ kind: 'signalled', code: 137, oom: true, memoryLimit: 32 * MiB })
    expect(exitWords(exit)).toBe('ended by SIGKILL: used more memory than its limit of 32 MiB (out of memory)')
    await runtime.close()
    const again = await (await openRuntime(home)).reattach(run.handle)
    expect(await again?.exited).toEqual(exit)
  })

  it('is not blamed for an end of another kind', async () => {
    const runtime = await enforcing('memory_bytes')
    if (!runtime) return
    const run = await runtime.start(specOf(['sh', '-c', 'kill -KILL $$'], { limits: { memory_bytes: 32 * MiB } }))
    expect(await run.exited).not.toHaveProperty('oom')
  })

  it('has the default of the configuration where an agent names none', async () => {
    const runtime = await enforcing('memory_bytes', { limits: { memory_bytes: 24 * MiB } })
    if (!runtime) return
    expect(await (await runtime.start(specOf(hog))).exited).toMatchObject({ oom: true, memoryLimit: 24 * MiB })
  })
})

describe('the limit of processes', () => {
  /** Goes on forking where it may not; a shell would give up. */
  const bomb = ['perl', '-e', 'while (1) { fork }']

  it('holds a fork bomb, which a stop ends within two seconds while others start as ever [part of F06]', async (context) => {
    const runtime = await enforcing('pids', { stopLevel: 'A' })
    if (runtime?.can.stopLevel !== 'A' || !existsSync('/usr/bin/perl')) return context.skip('no cgroups, or no perl for the bomb')
    const normal = await startedIn(runtime)
    const spec = specOf(bomb, { limits: { pids: 60, cpus: 0.5 } })
    const run = await runtime.start(spec)
    await until(async () => ((await run.usage()).processes ?? 0) >= 30, 'the bomb to have gone off')
    expect(await startedIn(runtime)).toBeLessThan(2 * normal + 500)
    expect((await run.usage()).processes).toBeLessThanOrEqual(60)
    const begun = performance.now()
    const { exit, survivors } = await run.stop({ signal: 'SIGKILL', graceMs: 0 })
    expect(performance.now() - begun).toBeLessThan(2000)
    expect(survivors).toEqual([])
    expect(exit.kind).toBe('signalled')
    expect(withRun(spec)).toEqual([])
  })

  /** The slowest of a few. */
  async function startedIn(runtime: Runtime): Promise<number> {
    let slowest = 0
    for (let round = 0; round < 5; round += 1) {
      const begun = performance.now()
      const run = await runtime.start(specOf(['sleep', '1000']))
      slowest = Math.max(slowest, performance.now() - begun)
      await run.stop({ signal: 'SIGKILL', graceMs: 0 })
    }
    return slowest
  }

  function withRun({ runId }: RunSpec): number[] {
    const marked = (pid: number) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(runId)
      } catch {
        return false
      }
    }
    return readdirSync('/proc')
      .map(Number)
      .filter((pid) => Number.isInteger(pid) && lives(pid) && marked(pid))
  }
})

describe('the other limits', () => {
  it('give an agent its share of processors, as the kernel tells', async () => {
    const runtime = await enforcing('cpus')
    if (!runtime) return
    const files =
      'cat $(find /sys/fs/cgroup -maxdepth 4 -path "*regent-*" -path "*$REGENT_RUN_ID*" \\( -name cpu.cfs_quota_us -o -name cpu.max \\) 2> /dev/null)'
    const spec = specOf(['sh', '-c', files], { limits: { cpus: 0.25 } })
    await (await runtime.start(spec)).exited
    expect((await linesOf(runtime, spec.agentId)).join(' ')).toMatch(/^25000( 100000)?$/)
  })

  it('give one that names none the default share a moment after its start, and leave alone what was named', async () => {
    const runtime = await enforcing('cpus', { limits: { cpus: 0.5 } })
    if (!runtime) return
    const quota =
      'cat $(sed -n "s/^[0-9]*:cpu[^:]*:/\\/sys\\/fs\\/cgroup\\/cpu/p" /proc/self/cgroup)/cpu.cfs_quota_us 2> /dev/null || cat /sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)/cpu.max'
    const runs = await Promise.all([{}, { cpus: 2 }].map((limits) => runtime.start(specOf(['sleep', '1000'], { limits }))))
    const told = async (at: number) => (await runs[at]?.exec(['sh', '-c', quota], { timeoutMs: 5000 }))?.output.trim()
    await until(async () => (await told(0))?.startsWith('50000') === true, 'the default share')
    expect(await told(1)).toMatch(/^200000/)
  })

  it('bound its open files', async () => {
    const runtime = await openRuntime(undefined, { limits: { open_files: 77 } })
    const spec = specOf(['sh', '-c', 'ulimit -n'])
    await (await runtime.start(spec)).exited
    expect(await linesOf(runtime, spec.agentId)).toEqual(['77'])
  })

  it.each([
    ['pids', 10 ** 9],
    ['cpus', 10 ** 12],
  ] as const)('refuse a start where the kernel does not take %s, name it, and leave nothing of it', async (limit, value) => {
    const home = runtimeHome()
    const runtime = await openRuntime(home)
    if (!runtime.can.limits[limit]) return
    const spec = specOf(['true'], { limits: { [limit]: value } })
    await expect(runtime.start(spec)).rejects.toMatchObject({
      code: 'START_FAILED',
      message: expect.stringContaining(`the limit ${limit} `),
      hint: expect.stringContaining(`limits.${limit}`),
    })
    expect(existsSync(join(home, 'runs', spec.runId))).toBe(false)
    expect(runtime.logFile(spec.agentId)).toBeNull()
    // Groups of others go meanwhile, which find minds.
    expect(spawnSync('find', ['/sys/fs/cgroup', '-maxdepth', '5', '-name', spec.runId], { encoding: 'utf8' }).stdout).toBe('')
  })

  it('are told as they are [I3-LIM-01]', async () => {
    const runtime = await openRuntime()
    const check = (await runtime.checks()).find(({ name }) => name === 'limits')
    const { open_files: _, ...grouped } = runtime.can.limits
    expect(check?.ok).toBe(Object.values(grouped).every(Boolean))
    expect(check?.message).toContain('open files')
  })
})

describe('what a run takes', () => {
  it('is told for one and for all of them', async () => {
    for (const stopLevel of ['A', 'C'] as const) {
      const runtime = await openRuntime(undefined, { stopLevel })
      const spec = specOf(['sh', '-c', 'sleep 1000 & i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo ready; wait'])
      const run = await runtime.start(spec)
      await until(async () => (await linesOf(runtime, spec.agentId)).length > 0, 'the agent to be ready')
      const usage = await run.usage()
      expect(usage.processes).toBe(2)
      expect(usage.memoryBytes).toBeGreaterThan(100_000)
      expect(usage.memoryBytes).toBeLessThan(100 * MiB)
      expect(usage.cpuSeconds).toBeGreaterThan(0)
      expect(usage.openFiles).toBeGreaterThanOrEqual(6)
      expect([...(await runtime.usages()).keys()]).toEqual([spec.runId])
      await run.stop({ signal: 'SIGKILL', graceMs: 0 })
      expect((await runtime.usages()).size).toBe(0)
      expect(existsSync(`/proc/${run.pid}`)).toBe(false)
    }
  })
})
