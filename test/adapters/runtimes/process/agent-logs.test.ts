import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { LogLine, Runtime } from '../../../../src/ports/runtime.ts'
import { agentSpec, followed, linesOf, lives, openRuntime, runtimeHome, specOf } from '../../../helpers/process-runtime.ts'
import { until } from '../../../helpers/until.ts'

const KIB = 1024
const outputEnds = (home: string, runId: string) =>
  until(() => existsSync(join(home, 'runs', runId, 'output.end')), 'the end of the output')

describe('the logs of an agent', () => {
  const open = (home: string) => openRuntime(home, { logs: { maxBytes: 256 * KIB, keep: 3 } })
  const runOnce = async (home: string, agentId: string, text: string, opened?: Runtime) => {
    const runtime = opened ?? (await open(home))
    const spec = specOf(['sh', '-c', text], { agentId })
    const run = await runtime.start(spec)
    await run.exited
    await outputEnds(home, spec.runId)
    return { runtime, run, spec }
  }

  it('survive the removal of their runs, for a follower as well', async () => {
    const home = runtimeHome()
    const agentId = randomUUID()
    const { runtime, run } = await runOnce(home, agentId, 'echo one; printf two')
    const { lines } = followed(runtime, agentId)
    await run.remove()
    const second = await runOnce(home, agentId, 'echo three', runtime)
    await until(() => lines.length === 3, 'the lines')
    await second.run.remove()
    expect(lines.map(({ text }) => text)).toEqual(['one', 'two', 'three'])
    for (const any of [runtime, await open(home)]) expect(await linesOf(any, agentId)).toEqual(['one', 'two', 'three'])
    expect(readFileSync(runtime.logFile(agentId) ?? '', 'utf8')).toBe('three\n')
    expect(runtime.logFile(randomUUID())).toBeNull()
    expect(readdirSync(join(home, 'runs')).filter((name) => !name.startsWith('.'))).toEqual([])
  })

  it('are in order for a later Regent too, whatever an end of this one left half done', async () => {
    const home = runtimeHome()
    const agentId = randomUUID()
    const place = (number: number, runId: string) => join(home, 'agents', agentId, 'runs', `0000000${number}-${runId}`)
    const { runtime, spec: first } = await runOnce(home, agentId, 'echo one')
    const second = await runOnce(home, agentId, 'echo two', runtime)
    const { spec: third } = await runOnce(home, agentId, 'echo three', runtime)
    expect(existsSync(join(home, 'agents', agentId))).toBe(false)
    // As if it had been killed right after it moved the directory.
    mkdirSync(join(home, 'agents', agentId, 'runs'), { recursive: true })
    renameSync(join(home, 'runs', first.runId), place(1, first.runId))
    await second.run.remove()
    expect(readdirSync(place(2, second.spec.runId))).not.toContain('run.json')
    const next = await open(home)
    expect(await linesOf(next, agentId)).toEqual(['one', 'two', 'three'])
    expect(readdirSync(place(1, first.runId))).not.toContain('run.json')
    const { spec: fourth } = await runOnce(home, agentId, 'echo four', next)
    expect(next.logFile(agentId)).toBe(join(home, 'runs', fourth.runId, 'output.log'))
    await (await next.reattach(next.handleOf(third.runId)))?.remove()
    expect(existsSync(place(3, third.runId))).toBe(true)
    await next.forget(agentId)
    expect(await linesOf(next, agentId)).toEqual([])
    expect(existsSync(join(home, 'runs', fourth.runId))).toBe(false)
  })

  it('are followed past a start that came to nothing', async () => {
    const home = runtimeHome()
    const agentId = randomUUID()
    const { runtime } = await runOnce(home, agentId, 'echo one')
    if (!runtime.can.limits.pids) return
    const { lines } = followed(runtime, agentId)
    await expect(runtime.start(specOf(['true'], { agentId, limits: { pids: 10 ** 9 } }))).rejects.toMatchObject({ code: 'START_FAILED' })
    await runOnce(home, agentId, 'echo two', runtime)
    await until(() => lines.length === 2, 'the lines')
  })

  it('still get what is printed after the removal, where somebody holds the output [F05]', async () => {
    const home = runtimeHome()
    const runtime = await openRuntime(home)
    const go = join(home, 'go')
    const spec = agentSpec('hold-stdout.sh', [go])
    const run = await runtime.start(spec)
    const begun = performance.now()
    expect(await run.exited).toMatchObject({ kind: 'exited', code: 0 })
    expect(performance.now() - begun).toBeLessThan(1000)
    await until(async () => (await linesOf(runtime, spec.agentId)).length === 1, 'the early line')
    const { lines } = followed(runtime, spec.agentId)
    await run.remove()
    expect(await runtime.list()).toEqual([])
    writeFileSync(go, '')
    await until(() => lines.length === 2, 'the late line')
    expect(await linesOf(runtime, spec.agentId)).toEqual(['early', 'late'])
    const kept = join(home, 'agents', spec.agentId, 'runs', `00000001-${spec.runId}`)
    await until(() => existsSync(join(kept, 'output.end')), 'the end of the output')
    expect(readdirSync(kept).sort()).toEqual(['exit', 'output.end', 'output.log', 'output.times'])
  })

  it('are asked for by stream, time and text, before the tail is taken', async () => {
    const home = runtimeHome()
    const runtime = await openRuntime(home)
    const [go, last] = [join(home, 'go'), join(home, 'last')]
    const wait = (variable: string) => `while [ ! -e "${variable}" ]; do sleep 0.01; done`
    const loop = `n=0; for i in 1 2 3; do n=$((n+1)); ${wait('$0.$n')}; echo "out $i"; n=$((n+1)); ${wait('$0.$n')}; echo "err $i" >&2; done`
    const spec = specOf(['sh', '-c', `echo out 0; ${loop}; ${wait('$1')}; echo "out 4"; echo "err 4" >&2`, go, last])
    const begun = Date.now()
    const run = await runtime.start(spec)
    const { lines } = followed(runtime, spec.agentId, { stream: 'stderr', contains: 'r', tail: 2 })
    await until(async () => (await linesOf(runtime, spec.agentId)).length === 1, 'the first line')
    for (let line = 1; line <= 6; line += 1) {
      writeFileSync(`${go}.${line}`, '')
      await until(async () => (await linesOf(runtime, spec.agentId)).length === 1 + line, 'one line after the other')
    }
    const since = Date.now()
    writeFileSync(last, '')
    await run.exited
    await outputEnds(home, spec.runId)
    const all: LogLine[] = []
    for await (const line of runtime.logs(spec.agentId, { follow: false })) all.push(line)
    expect(all.map((line) => `${line.stream} ${line.text}`).slice(1, 7)).toEqual(
      [1, 2, 3].flatMap((n) => [`stdout out ${n}`, `stderr err ${n}`]),
    )
    for (const [at, line] of all.entries()) {
      expect(line.at ?? 0).toBeGreaterThanOrEqual(Math.max(begun, all[at - 1]?.at ?? 0))
      expect(line.at ?? Number.NaN).toBeLessThanOrEqual(Date.now() + 1)
    }
    expect(await linesOf(runtime, spec.agentId, { stream: 'stderr' })).toEqual(['err 1', 'err 2', 'err 3', 'err 4'])
    expect((await linesOf(runtime, spec.agentId, { since })).sort()).toEqual(['err 4', 'out 4'])
    expect(await linesOf(runtime, spec.agentId, { contains: 'out', tail: 2 })).toEqual(['out 3', 'out 4'])
    expect(await linesOf(runtime, spec.agentId, { contains: 'nothing' })).toEqual([])
    await until(() => lines.at(-1)?.text === 'err 4', 'the followed line')
    expect(lines.every(({ stream }) => stream === 'stderr')).toBe(true)
    expect(runtime.logFile(spec.agentId, 'stderr')).toBe(join(home, 'runs', spec.runId, 'error.log'))
  })

  it('are cleared: those of finished runs go, a live one prints on, and a follower goes on with it', async () => {
    const home = runtimeHome()
    const agentId = randomUUID()
    const { runtime, spec: old } = await runOnce(home, agentId, 'echo before; echo mistake >&2')
    const go = join(home, 'go')
    const spec = specOf(['sh', '-c', 'seq -f "line %.0f" 1 50000; while [ ! -e "$0" ]; do sleep 0.01; done; echo after', go], { agentId })
    await runtime.start(spec)
    await until(async () => (await linesOf(runtime, agentId, { tail: 1 })).at(-1) === 'line 50000', 'its output')
    const { lines } = followed(runtime, agentId, { tail: 1 })
    await until(() => lines.length === 1, 'the last line')
    await runtime.clearLogs(agentId)
    expect(await linesOf(runtime, agentId)).toEqual([])
    for (const runId of [old.runId, spec.runId])
      expect(readdirSync(join(home, 'runs', runId)).filter((name) => /^(output|error)\.(log|times)/.test(name))).toEqual([])
    writeFileSync(go, '')
    await until(() => lines.length === 2, 'the next line')
    expect(lines.map(({ text }) => text)).toEqual(['line 50000', 'after'])
    expect(await linesOf(runtime, agentId)).toEqual(['after'])
    expect(readFileSync(runtime.logFile(agentId) ?? '')).toEqual(Buffer.from('after\n'))
  })

  it('are bounded: twenty finished runs, and one share of log for all but the newest', async () => {
    const home = runtimeHome()
    const agentId = randomUUID()
    const runtime = await openRuntime(home, { logs: { maxBytes: 256 * KIB, keep: 3 } })
    const runIds: string[] = []
    for (let turn = 1; turn <= 24; turn += 1) {
      const { spec } = await runOnce(home, agentId, `echo turn ${turn}; yes | head -c 100000`)
      runIds.push(spec.runId)
    }
    const run = await runtime.start(specOf(['sleep', '1000'], { agentId }))
    const kept = () => runIds.filter((runId) => existsSync(join(home, 'runs', runId)))
    await until(() => kept().length === 20, 'the oldest to be gone')
    expect(kept()).toEqual(runIds.slice(-20))
    const logOf = (runId: string) => statSync(join(home, 'runs', runId, 'output.log'), { throwIfNoEntry: false })?.size ?? 0
    expect(logOf(runIds.at(-1) ?? '')).toBeGreaterThan(100_000)
    expect(runIds.slice(0, -1).reduce((sum, runId) => sum + logOf(runId), 0)).toBeLessThanOrEqual(256 * KIB)
    expect(runIds.slice(0, -1).filter((runId) => logOf(runId) > 0)).toEqual(runIds.slice(-3, -1))
    expect(lives(run.pid ?? 0)).toBe(true)
  })
})
