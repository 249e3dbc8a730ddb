import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, statSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Run } from '../../../../src/ports/runtime.ts'
import { collectingLogger } from '../../../helpers/logs.ts'
import { startManager } from '../../../helpers/manager.ts'
import { agentSpec, followed, linesOf, lives, openRuntime, runtimeHome, specOf } from '../../../helpers/process-runtime.ts'
import { until } from '../../../helpers/until.ts'

const KIB = 1024
const numbered = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => `line ${from + at}`)
const pumpOf = (home: string, run: Run) => Number(readFileSync(join(home, 'runs', run.handle.runId, 'pid'), 'utf8').split(' ')[4])
const outputEnds = (home: string, runId: string) =>
  until(() => existsSync(join(home, 'runs', runId, 'output.end')), 'the end of the output')

describe('the log of a run (P5)', () => {
  it('keeps every byte over rotations, and shows every line', async () => {
    const home = runtimeHome()
    const runtime = await openRuntime(home, { logs: { maxBytes: 256 * KIB, keep: 50 } })
    const spec = agentSpec('flood.sh', ['1', '300000'])
    await (await runtime.start(spec)).exited
    await outputEnds(home, spec.runId)
    const dir = join(home, 'runs', spec.runId)
    const files = readdirSync(dir).filter((name) => name.startsWith('output.log'))
    expect(files.length).toBeGreaterThan(8)
    const age = (name: string) => Number(name.slice('output.log.'.length))
    const bytes = files.sort((one, other) => age(other) - age(one)).map((name) => readFileSync(join(dir, name), 'utf8'))
    const expected = numbered(1, 300_000)
    expect(bytes.join('') === expected.map((line) => `${line}\n`).join('')).toBe(true)
    const lines = await linesOf(runtime, spec.agentId)
    expect(lines.length).toBe(300_000)
    expect(lines.join() === expected.join()).toBe(true)
  })

  it('stays within its bounds while the agent prints as fast as it can, without Regent too', async () => {
    const home = runtimeHome()
    const spec = specOf(['sh', '-c', 'yes "a line of some length that is printed again and again"'])
    const manager = startManager(home, [spec])
    await manager.says('all')
    await manager.kill()
    const dir = join(home, 'runs', spec.runId)
    await until(() => existsSync(join(dir, 'output.log.3')), 'three rotations')
    const size = () => readdirSync(dir).reduce((sum, name) => sum + (statSync(join(dir, name), { throwIfNoEntry: false })?.size ?? 0), 0)
    for (let look = 0; look < 50; look += 1) expect(size()).toBeLessThanOrEqual(4 * 12 * KIB * KIB)
  })

  it('loses nothing to a follower over rotations', async () => {
    const home = runtimeHome()
    const runtime = await openRuntime(home, { logs: { maxBytes: 128 * KIB, keep: 100 } })
    const go = join(home, 'go')
    const spec = specOf(['sh', '-c', 'echo line 1; while [ ! -e "$0" ]; do sleep 0.01; done; exec seq -f "line %.0f" 2 200000', go])
    const run = await runtime.start(spec)
    const { lines } = followed(runtime, spec.agentId)
    await until(() => lines.length === 1, 'the first line')
    writeFileSync(go, '')
    await run.exited
    await until(() => lines.length >= 200_000, 'all lines')
    expect(lines.map(({ text }) => text).join() === numbered(1, 200_000).join()).toBe(true)
  })

  it('goes on for a follower that was slower than the window, in order', async () => {
    const home = runtimeHome()
    const runtime = await openRuntime(home, { logs: { maxBytes: 128 * KIB, keep: 2 } })
    const go = join(home, 'go')
    const spec = specOf(['sh', '-c', 'echo line 1; while [ ! -e "$0" ]; do sleep 0.01; done; exec seq -f "line %.0f" 2 200000', go])
    await runtime.start(spec)
    const seen: string[] = []
    const end = new AbortController()
    for await (const { text } of runtime.logs(spec.agentId, { follow: true }, end.signal)) {
      if (seen.length === 0) {
        writeFileSync(go, '')
        await outputEnds(home, spec.runId)
      }
      seen.push(text)
      if (text === 'line 200000') end.abort()
    }
    const before = seen.findIndex((text, at) => text !== `line ${at + 1}`)
    const after = seen.findLastIndex((text, at) => text !== `line ${200_000 - (seen.length - 1 - at)}`)
    expect(before).toBeGreaterThan(0)
    expect(seen.length).toBeLessThan(200_000)
    // At the gap one line may have lost its end, and one its beginning.
    expect(after - before).toBeLessThanOrEqual(1)
  })

  it('reads the tail of a big file without reading the file', async () => {
    const home = runtimeHome()
    const runtime = await openRuntime(home)
    const spec = specOf(['sh', '-c', 'yes "0123456789012345678901234567890123456789" | head -c 8000000; echo; echo one; printf two'])
    await (await runtime.start(spec)).exited
    await outputEnds(home, spec.runId)
    expect(await linesOf(runtime, spec.agentId, { tail: 2 })).toEqual(['one', 'two'])
    const begun = performance.now()
    for (let round = 0; round < 20; round += 1) await linesOf(runtime, spec.agentId, { tail: 10 })
    expect((performance.now() - begun) / 20).toBeLessThan(20)
  })

  it('takes the tail over the borders of files and blocks', async () => {
    const home = runtimeHome()
    const runtime = await openRuntime(home, { logs: { maxBytes: 128 * KIB, keep: 50 } })
    const spec = agentSpec('flood.sh', ['1', '60000'])
    await (await runtime.start(spec)).exited
    await outputEnds(home, spec.runId)
    for (const tail of [1, 2, 5000, 20_000, 59_999, 60_000, 60_001])
      expect(
        (await linesOf(runtime, spec.agentId, { tail })).join() === numbered(Math.max(1, 60_001 - tail), 60_000).join(),
        `tail ${tail}`,
      ).toBe(true)
  })

  it('cuts a line at 64 KiB, between characters, and goes on with the next', async () => {
    const runtime = await openRuntime()
    const spec = specOf(['sh', '-c', 'printf "x"; yes "éé" | tr -d "\\n" | head -c 200000; printf "\\nnext\\n"; printf "\\n"; printf "é"'])
    await (await runtime.start(spec)).exited
    await until(async () => (await linesOf(runtime, spec.agentId)).length === 4, 'the lines')
    const [long = '', ...rest] = await linesOf(runtime, spec.agentId)
    expect(Buffer.byteLength(long)).toBeLessThanOrEqual(64 * KIB + 3)
    expect(Buffer.byteLength(long)).toBeGreaterThan(64 * KIB - 4)
    expect(long).toMatch(/^xé+…$/)
    expect(rest).toEqual(['next', '', 'é'])
  })

  it('drops and goes on while the disk is full, and says afterwards that something is missing (F37)', async () => {
    const home = runtimeHome()
    const runtime = await openRuntime(home)
    const spec = specOf(['sh', '-c', 'i=0; while :; do i=$((i+1)); echo "line $i"; sleep 0.01; done'])
    const log = join(home, 'runs', spec.runId, 'output.log')
    mkdirSync(join(home, 'runs', spec.runId), { recursive: true })
    symlinkSync('/dev/full', log)
    const run = await runtime.start(spec)
    const seen = new Set<string>()
    const pump = pumpOf(home, run)
    const reader = () => readFileSync(`/proc/${pump}/task/${pump}/children`, 'utf8').trim()
    // It begins to read anew when it could not write.
    await until(() => seen.add(reader()).size >= 3, 'output to be dropped')
    unlinkSync(log)
    const notice = /^\[regent: the disk was full, \d+ pieces of output are missing here\]$/
    const kept = async () => (await linesOf(runtime, spec.agentId)).filter((line) => !notice.test(line))
    await until(async () => (await linesOf(runtime, spec.agentId)).some((line) => notice.test(line)), 'a word about what is missing')
    await until(async () => (await kept()).length > 5, 'output to be kept again')
    expect(Number((await kept())[0]?.slice(5))).toBeGreaterThan(1)
    expect(lives(run.pid ?? 0)).toBe(true)
  })

  it('is told when its pump was killed; the agent ends at its next output (F10)', async () => {
    const home = runtimeHome()
    const logger = collectingLogger()
    const runtime = await openRuntime(home, { logger })
    const go = join(home, 'go')
    const spec = specOf(['sh', '-c', 'while [ ! -e "$0" ]; do sleep 0.01; done; while :; do echo more; done', go])
    const run = await runtime.start(spec)
    process.kill(pumpOf(home, run), 'SIGKILL')
    await until(() => logger.lines.some(({ level, message }) => level === 'warn' && message.includes('log pump')), 'the warning', 5000)
    expect(lives(run.pid ?? 0)).toBe(true)
    // What reads the pipe beside the pump goes with its end of input only, so it is killed too.
    for (const pid of readersOf(run.pid ?? 0)) process.kill(pid, 'SIGKILL')
    writeFileSync(go, '')
    expect(await run.exited).toMatchObject({ kind: 'signalled', signal: 'SIGPIPE' })
    expect(logger.lines.filter(({ message }) => message.includes('log pump'))).toHaveLength(1)
  })
})

describe('the logs of an agent', () => {
  const runOnce = async (home: string, agentId: string, text: string) => {
    const runtime = await openRuntime(home, { logs: { maxBytes: 256 * KIB, keep: 3 } })
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
    const second = await runOnce(home, agentId, 'echo three')
    await until(() => lines.length === 3, 'the lines')
    await second.run.remove()
    expect(lines.map(({ text }) => text)).toEqual(['one', 'two', 'three'])
    expect(await linesOf(runtime, agentId)).toEqual(['one', 'two', 'three'])
    expect(readFileSync(runtime.logFile(agentId) ?? '', 'utf8')).toBe('three\n')
    expect(runtime.logFile(randomUUID())).toBeNull()
    expect(readdirSync(join(home, 'runs')).filter((name) => !name.startsWith('.'))).toEqual([])
  })

  it('still get what is printed after the removal, where somebody holds the output (F05)', async () => {
    const home = runtimeHome()
    const runtime = await openRuntime(home)
    const go = join(home, 'go')
    const spec = agentSpec('hold-stdout.sh', [go])
    const run = await runtime.start(spec)
    await run.exited
    await until(async () => (await linesOf(runtime, spec.agentId)).length === 1, 'the early line')
    const { lines } = followed(runtime, spec.agentId)
    await run.remove()
    expect(await runtime.list()).toEqual([])
    writeFileSync(go, '')
    await until(() => lines.length === 2, 'the late line')
    expect(await linesOf(runtime, spec.agentId)).toEqual(['early', 'late'])
    const kept = join(home, 'agents', spec.agentId, 'runs', `00000001-${spec.runId}`)
    await until(() => existsSync(join(kept, 'output.end')), 'the end of the output')
    expect(readdirSync(kept).sort()).toEqual(['exit', 'output.end', 'output.log'])
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

/** Other processes that have the run's output pipe open. */
function readersOf(writer: number): number[] {
  const link = (pid: number | string, descriptor: number) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${descriptor}`)
    } catch {
      return undefined
    }
  }
  const pipe = link(writer, 1)
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && link(name, 0) === pipe)
    .map(Number)
}
