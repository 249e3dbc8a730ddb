import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { Run, RunSpec, Runtime } from '../../../../src/ports/runtime.ts'
import { lives, openRuntime, specOf } from '../../../helpers/process-runtime.ts'
import { until } from '../../../helpers/until.ts'

const live = { env: { PATH: '/usr/bin:/bin', GREETING: 'it is "me"' } }

async function begun(stopLevel: 'A' | 'B' | 'C', over: Partial<RunSpec> = live): Promise<{ runtime: Runtime; run: Run }> {
  const runtime = await openRuntime(undefined, { stopLevel })
  return { runtime, run: await runtime.start(specOf(['sleep', '1000'], over)) }
}

function withArgument(text: string): number[] {
  const has = (pid: number) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(text)
    } catch {
      return false
    }
  }
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && lives(pid) && has(pid))
}

describe.each(['A', 'B', 'C'] as const)('a program beside an agent at stop level %s', (level) => {
  it('has its environment, folder and arguments, right after the start as well', async () => {
    const { run } = await begun(level)
    const argv = ['sh', '-c', 'echo "$GREETING"; pwd; echo "$REGENT_RUN_ID" >&2; printf "[%s]" "$@"; exit 3', 'sh', 'a b', '$x']
    const { code, output } = await run.exec(argv, { timeoutMs: 10_000 })
    expect(code).toBe(3)
    for (const part of ['it is "me"', '/tmp', run.handle.runId, '[a b][$x]']) expect(output).toContain(part)
  })

  it('is told by its signal, or by the codes of programs that are not there', async () => {
    const { run } = await begun(level)
    expect(await run.exec(['sh', '-c', 'kill -SEGV $$'], { timeoutMs: 10_000 })).toMatchObject({ code: 139 })
    expect(await run.exec(['/nowhere'], { timeoutMs: 10_000 })).toMatchObject({ code: 127 })
  })

  it('ends at its time limit, with all that it started; the agent goes on', async () => {
    const { run } = await begun(level)
    const own = `1000.${process.pid}${level.charCodeAt(0)}`
    const script = `sleep ${own} & (setsid sleep ${own} &) ; echo said; exec sleep ${own}`
    const begunAt = performance.now()
    expect(await run.exec(['sh', '-c', script], { timeoutMs: 500 })).toEqual({ code: null, output: 'said\n' })
    expect(performance.now() - begunAt).toBeLessThan(4000)
    expect(lives(run.pid ?? 0)).toBe(true)
    if (level === 'A') expect(withArgument(own)).toEqual([])
    for (const pid of withArgument(own)) process.kill(pid, 'SIGKILL')
  })

  it('ends when it is given up, and leaves nothing when the run is over', async () => {
    const { run } = await begun(level)
    const end = new AbortController()
    const running = run.exec(['sleep', '1000'], { timeoutMs: 60_000, signal: end.signal })
    end.abort(new Error('given up'))
    await expect(running).rejects.toThrow('given up')
    await run.stop({ signal: 'SIGKILL', graceMs: 0 })
    await expect(run.exec(['true'], { timeoutMs: 1000 })).rejects.toMatchObject({ code: 'ILLEGAL_STATE' })
  })

  it('prints as much as it likes; the last 4 KiB are kept', async () => {
    const { run } = await begun(level)
    const { code, output } = await run.exec(['sh', '-c', 'seq 1 200000'], { timeoutMs: 20_000 })
    expect(code).toBe(0)
    expect(output.length).toBe(4096)
    expect(output.endsWith('\n200000\n')).toBe(true)
  })
})

describe('a program beside an agent', () => {
  it('counts among the processes of its run while it lives', async (context) => {
    const { runtime, run } = await begun('A')
    if (runtime.can.stopLevel !== 'A') return context.skip('no cgroups here')
    const end = new AbortController()
    const running = run.exec(['sleep', '1000'], { timeoutMs: 60_000, signal: end.signal })
    await until(async () => (await run.usage()).processes === 2, 'both to be seen')
    end.abort()
    await running.catch(() => {})
    expect((await run.usage()).processes).toBe(1)
  })
})
