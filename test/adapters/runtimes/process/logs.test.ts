import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startManager } from '../../../helpers/manager.ts'
import { agentSpec, followed, linesOf, lives, openRuntime, runtimeHome, specOf } from '../../../helpers/process-runtime.ts'
import { until } from '../../../helpers/until.ts'

const KIB = 1024
const numbered = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => `line ${from + at}`)
const pumpOf = (home: string) => Number(readFileSync(join(home, 'runs/.pump/lock'), 'utf8').split(' ')[0])
/** The pump, once there is one other than `before`. */
const pumpAfter = async (home: string, before = 0) => {
  await until(() => pumpOf(home) > 0 && pumpOf(home) !== before, 'a pump')
  return pumpOf(home)
}
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

  it('drops and goes on while the disk is full, counts, and says afterwards how much is missing [F37]', async (context) => {
    const home = runtimeHome()
    const disk = smallDisk(home, '512k')
    if (!disk) return context.skip('no small disk can be mounted here')
    const runtime = await openRuntime(disk)
    const spec = specOf(['sh', '-c', 'i=0; while :; do i=$((i+1)); echo "line $i"; sleep 0.01; done'])
    const run = await runtime.start(spec)
    await until(async () => (await linesOf(runtime, spec.agentId)).length > 3, 'the first lines')
    fill(join(disk, 'ballast'))
    const pump = async () => (await runtime.checks()).find(({ name }) => name === 'log pump')
    await until(async () => (await pump())?.ok === false, 'the loss to be shown')
    expect((await pump())?.message).toMatch(/[1-9]\d* bytes of output were dropped \(ENOSPC\)/)
    expect(lives(run.pid ?? 0)).toBe(true)
    unlinkSync(join(disk, 'ballast'))
    const notice = /^\[regent: the disk was full, (\d+) bytes of output are missing here\]$/
    await until(async () => (await linesOf(runtime, spec.agentId)).some((line) => notice.test(line)), 'a word about what is missing')
    const kept = async () =>
      (await linesOf(runtime, spec.agentId)).slice((await linesOf(runtime, spec.agentId)).findIndex((line) => notice.test(line)))
    await until(async () => (await kept()).length > 5, 'output to be kept again')
    await until(async () => (await pump())?.ok === true, 'it to be well again')
    await run.stop({ signal: 'SIGKILL', graceMs: 0 })
    await outputEnds(disk, spec.runId)
    // What is there and what is said to be missing make up all of it: lines without a gap.
    const text = readFileSync(join(disk, 'runs', spec.runId, 'output.log'), 'utf8')
    const missing = [...text.matchAll(/\[regent: the disk was full, (\d+) bytes of output are missing here\]\n/g)]
    const last = Number(text.trimEnd().split(' ').at(-1))
    const printed = numbered(1, last).join('\n').length + 1
    const notes = missing.reduce((sum, [note, bytes]) => sum + note.length - Number(bytes), 0)
    expect(Math.abs(text.length - notes - printed)).toBeLessThanOrEqual(missing.length)
  })

  it('goes on when its pump is killed under load: that is told, nobody dies of it, and no more is lost than one read [F10] [I3-PUMP-01]', async () => {
    const home = runtimeHome()
    const runtime = await openRuntime(home, { logs: { maxBytes: 1024 * KIB, keep: 50 } })
    const parts: string[] = []
    runtime.onPart(({ name, ok }) => parts.push(`${name} ${ok}`))
    const floods = Array.from({ length: 3 }, () => agentSpec('flood.sh', ['1', '400000']))
    const quiet = specOf(['sleep', '1000'])
    const runs = await Promise.all([...floods, quiet].map((spec) => runtime.start(spec)))
    const logs = floods.map(({ runId }) => join(home, 'runs', runId, 'output.log'))
    const written = () => logs.map((log) => statSync(log, { throwIfNoEntry: false })?.size ?? 0).join()
    let pump = await pumpAfter(home)
    for (let kills = 1; kills <= 3; kills += 1) {
      const before = written()
      await until(() => written() !== before || floods.every(({ runId }) => existsSync(join(home, 'runs', runId, 'output.end'))), 'output')
      process.kill(pump, 'SIGKILL')
      pump = await pumpAfter(home, pump)
      await until(() => parts.length === 2 * kills, 'that to be told')
    }
    expect(parts).toEqual(Array.from({ length: 3 }, () => ['log pump false', 'log pump true']).flat())
    let lost = 0
    for (const [at, { runId, agentId }] of floods.entries()) {
      expect(await runs[at]?.exited).toMatchObject({ kind: 'exited', code: 0 })
      await outputEnds(home, runId)
      lost += numbered(1, 400_000).join('\n').length - (await linesOf(runtime, agentId)).join('\n').length
    }
    // A killed process takes along what it has read and not written.
    expect(lost).toBeLessThanOrEqual(3 * 64 * KIB)
    expect(lives(runs[3]?.pid ?? 0)).toBe(true)
    expect(await runtime.checks()).toContainEqual(expect.objectContaining({ name: 'log pump', ok: true }))
  })

  it('waits in its pipe while no pump is there, Regent neither, after its end too', async () => {
    const home = runtimeHome()
    const go = join(home, 'go')
    const spec = specOf(['sh', '-c', 'echo one; while [ ! -e "$0" ]; do sleep 0.01; done; echo two; printf three >&2', go])
    const manager = startManager(home, [spec])
    await manager.says('all')
    const pump = await pumpAfter(home)
    const log = join(home, 'runs', spec.runId, 'output.log')
    await until(() => existsSync(log), 'the first line')
    await manager.kill()
    process.kill(pump, 'SIGKILL')
    writeFileSync(go, '')
    await until(() => /^0 /.test(readFileSync(join(home, 'runs', spec.runId, 'exit'), 'utf8')), 'its end')
    expect(readFileSync(log, 'utf8')).toBe('one\n')
    const next = await openRuntime(home)
    await outputEnds(home, spec.runId)
    expect((await linesOf(next, spec.agentId)).sort()).toEqual(['one', 'three', 'two'])
  })

  it('goes over to a pump with other bounds without loss', async () => {
    const home = runtimeHome()
    const first = await openRuntime(home, { logs: { maxBytes: 512 * KIB, keep: 100 } })
    const go = join(home, 'go')
    const spec = specOf([
      'sh',
      '-c',
      'seq -f "line %.0f" 1 300000; while [ ! -e "$0" ]; do sleep 0.01; done; seq -f "line %.0f" 300001 600000',
      go,
    ])
    await first.start(spec)
    const pump = await pumpAfter(home)
    await until(() => existsSync(join(home, 'runs', spec.runId, 'output.log')), 'output')
    await first.close()
    const next = await openRuntime(home, { logs: { maxBytes: 256 * KIB, keep: 100 } })
    const run = await next.reattach(next.handleOf(spec.runId))
    await pumpAfter(home, pump)
    await until(() => !lives(pump), 'the first to go')
    writeFileSync(go, '')
    expect(await run?.exited).toMatchObject({ kind: 'exited', code: 0 })
    await outputEnds(home, spec.runId)
    expect((await linesOf(next, spec.agentId)).join('\n') === numbered(1, 600_000).join('\n')).toBe(true)
  })

  it('goes by age as well, while the agent lives and when it is over [I3-LOG-02]', async () => {
    const home = runtimeHome()
    const runtime = await openRuntime(home, { logs: { maxBytes: 256 * KIB, keep: 1, maxAgeMs: 2000 } })
    const spec = specOf(['sh', '-c', 'echo old; exec sleep 1000'])
    const run = await runtime.start(spec)
    await until(async () => (await linesOf(runtime, spec.agentId)).length === 1, 'the line')
    await until(async () => (await linesOf(runtime, spec.agentId)).length === 0, 'it to be forgotten')
    expect(lives(run.pid ?? 0)).toBe(true)
  })
})

/** A disk of its own in this home; undefined where none can be mounted. */
function smallDisk(home: string, size: string): string | undefined {
  const disk = join(home, 'disk')
  mkdirSync(disk)
  try {
    execFileSync('/bin/mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'none', disk], { stdio: 'ignore' })
  } catch {
    return undefined
  }
  onTestFinished(() => void execFileSync('/bin/umount', ['-l', disk]))
  return disk
}

function fill(path: string): void {
  for (const size of [4096, 1024, 64, 1])
    try {
      for (;;) writeFileSync(path, Buffer.alloc(size), { flag: 'a' })
    } catch {
      // Full, for pieces of this size.
    }
}
