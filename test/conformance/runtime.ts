import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { until } from '../helpers/until.ts'
import { runtimeLogs } from './runtime-logs.ts'
import { type RuntimePlace, textOf } from './runtime-place.ts'
import { runtimeStops } from './runtime-stops.ts'

/** What every runtime must do; where a flag of `can` says that it cannot, what it does instead. */
export function runtimeConformance(name: string, place: () => Promise<RuntimePlace>): void {
  describe(`${name} as a runtime`, () => {
    handingOver(place)
    starting(place)
    ending(place)
    finding(place)
    forgetting(place)
    runtimeStops(place)
    runtimeLogs(place)
  })
}

type Place = () => Promise<RuntimePlace>

function handingOver(place: Place): void {
  it('is usable here', async () => {
    const runtime = await (await place()).open()
    await expect(runtime.check()).resolves.toBeUndefined()
  })

  it('hands arguments over as they are', async () => {
    const here = await place()
    const runtime = await here.open()
    const nasty = [
      '',
      ' ',
      '$(touch /tmp/x)',
      '`id`',
      ';ls',
      '|',
      '"',
      "'",
      '\\',
      '*',
      '~',
      '-n',
      '--',
      'a\nb',
      '%s',
      '$HOME',
      'é\u{1F600}',
    ]
    const spec = here.script('for a; do printf "[%s]" "$a"; done', nasty)
    await (await runtime.start(spec)).exited
    expect((await textOf(runtime, spec.agentId)).join('\n')).toBe(nasty.map((argument) => `[${argument}]`).join(''))
  })

  it('gives the declared environment, and nothing of its own', async () => {
    const here = await place()
    const runtime = await here.open()
    const spec = here.script('tr "\\0" "\\n" < /proc/self/environ', [])
    const env = { ...spec.env, GREETING: 'it\'s $HOME; "two"\n\tlines', EMPTY: '', UNICODE: 'Á ü \u{1F600}' }
    await (await runtime.start({ ...spec, env })).exited
    const seen = (await textOf(runtime, spec.agentId)).join('\n')
    const expected = Object.entries({ ...env, REGENT_RUN_ID: spec.runId }).map(([name, value]) => `${name}=${value}`)
    for (const entry of expected) expect(`\n${seen}\n`).toContain(`\n${entry}\n`)
    expect(seen.length).toBe(expected.join('\n').length)
  })
}

function starting(place: Place): void {
  it('starts nothing twice for one run id', async () => {
    const here = await place()
    const runtime = await here.open()
    const spec = here.script('echo started; exec sleep 1000')
    const [one, two] = await Promise.all([runtime.start(spec), runtime.start(spec)])
    const three = await runtime.start(spec)
    expect([two.pid, three.pid]).toEqual([one.pid, one.pid])
    await until(async () => (await textOf(runtime, spec.agentId)).length > 0, 'its output')
    expect(await textOf(runtime, spec.agentId)).toEqual(['started'])
    await one.stop({ signal: 'SIGKILL', graceMs: 0 })
    const again = await runtime.start(spec)
    expect(await again.exited).toEqual(await one.exited)
    expect(await textOf(runtime, spec.agentId)).toEqual(['started'])
  })

  it('refuses when the caller has given up already', async () => {
    const here = await place()
    const runtime = await here.open()
    const spec = here.script('true')
    await expect(runtime.start(spec, AbortSignal.abort(new Error('given up')))).rejects.toThrow('given up')
    expect(await runtime.reattach(runtime.handleOf(spec.runId))).toBeUndefined()
  })

  it('reports what a live run uses', async () => {
    const here = await place()
    const runtime = await here.open()
    const run = await runtime.start(here.script('sleep 1000 & wait'))
    await until(async () => ((await run.usage()).processes ?? 0) >= 2, 'both processes')
    const usage = await run.usage()
    expect(usage.memoryBytes).toBeGreaterThan(100_000)
    expect(usage.cpuSeconds).toBeGreaterThanOrEqual(0)
    await run.stop({ signal: 'SIGKILL', graceMs: 0 })
    expect(await run.usage()).toEqual({ memoryBytes: null, cpuSeconds: null, processes: null, openFiles: null })
  })
}

function ending(place: Place): void {
  it.each([0, 1, 7, 126, 127, 255])('records exit code %i', async (code) => {
    const here = await place()
    const run = await (await here.open()).start(here.script(`exit ${code}`))
    expect(await run.exited).toEqual({ kind: 'exited', code, at: expect.any(Number) })
  })

  it.each(['SIGKILL', 'SIGSEGV', 'SIGINT', 'SIGTERM'] as const)('records a death by %s', async (signal) => {
    const here = await place()
    const run = await (await here.open()).start(here.script(`kill -${signal.slice(3)} $$; sleep 1000`))
    expect(await run.exited).toMatchObject({ kind: 'signalled', signal, code: expect.any(Number) })
  })

  it('dates the start and the end', async () => {
    const here = await place()
    const before = Date.now()
    const run = await (await here.open()).start(here.script('exit 0'))
    const { at } = await run.exited
    // A file system may date by the last tick of its clock.
    for (const time of [run.startedAt, at]) {
      expect(time).toBeGreaterThanOrEqual(before - 20)
      expect(time).toBeLessThanOrEqual(Date.now() + 20)
    }
  })

  it('calls a program that is not there an exit with 127', async () => {
    const here = await place()
    const spec = here.script('')
    const run = await (await here.open()).start({ ...spec, argv: ['no-such-program-here'] })
    expect(await run.exited).toMatchObject({ kind: 'exited', code: 127 })
  })
}

function finding(place: Place): void {
  it('knows the handle before the start, and only of started runs more', async () => {
    const here = await place()
    const runtime = await here.open()
    const spec = here.script('exec sleep 1000')
    const handle = runtime.handleOf(spec.runId)
    expect(await runtime.reattach(handle)).toBeUndefined()
    const run = await runtime.start(spec)
    expect(run.handle).toEqual(handle)
    expect(JSON.parse(JSON.stringify(handle))).toEqual(handle)
    expect((await runtime.reattach(handle))?.pid).toBe(run.pid)
    expect(await runtime.list()).toEqual([handle])
    expect(await runtime.reattach(runtime.handleOf(randomUUID()))).toBeUndefined()
  })

  it('finds runs again after Regent was started anew, alive or ended meanwhile', async () => {
    const here = await place()
    const first = await here.open()
    const living = await first.start(here.script('exec sleep 1000'))
    const ended = await first.start(here.script('exit 5'))
    await ended.exited
    await first.close()
    const next = await here.open()
    expect((await next.list()).map(({ runId }) => runId).sort()).toEqual([living.handle.runId, ended.handle.runId].sort())
    const [again, over] = [await next.reattach(living.handle), await next.reattach(ended.handle)]
    expect(await over?.exited).toEqual(await ended.exited)
    if (!next.can.survivesRestart) return
    expect(again?.pid).toBe(living.pid)
    expect(again?.startedAt).toBe(living.startedAt)
    expect(await again?.signal('SIGTERM')).toBe(true)
    expect(await again?.exited).toMatchObject({ kind: 'signalled', signal: 'SIGTERM' })
  })

  it('starts nothing anew for a run of the Regent before', async () => {
    const here = await place()
    const spec = here.script('echo started; exit 3')
    await (await (await here.open()).start(spec)).exited
    const next = await here.open()
    expect(await (await next.start(spec)).exited).toMatchObject({ kind: 'exited', code: 3 })
    expect(await textOf(next, spec.agentId)).toEqual(['started'])
  })
}

function forgetting(place: Place): void {
  it('forgets a finished run, and all of an agent', async () => {
    const here = await place()
    const runtime = await here.open()
    const spec = here.script('echo once; exec sleep 1000')
    const run = await runtime.start(spec)
    await expect(run.remove()).rejects.toMatchObject({ code: 'ILLEGAL_STATE' })
    await expect(runtime.forget(spec.agentId)).rejects.toMatchObject({ code: 'ILLEGAL_STATE' })
    await until(async () => (await textOf(runtime, spec.agentId)).length > 0, 'its output')
    await run.stop({ signal: 'SIGKILL', graceMs: 0 })
    await run.remove()
    await run.remove()
    expect(await runtime.list()).toEqual([])
    expect(await runtime.reattach(run.handle)).toBeUndefined()
    expect(await textOf(runtime, spec.agentId)).toEqual(['once'])
    // Its id may be used again: nothing is known of it any more.
    const again = await runtime.start({ ...spec, argv: here.script('echo twice').argv })
    expect(await again.exited).toMatchObject({ kind: 'exited', code: 0 })
    await again.remove()
    expect(await textOf(runtime, spec.agentId)).toEqual(['twice'])
    await runtime.forget(spec.agentId)
    await runtime.forget(spec.agentId)
    expect(await textOf(runtime, spec.agentId)).toEqual([])
  })

  it('starts nothing once it is closed, and closes twice', async () => {
    const here = await place()
    const runtime = await here.open()
    await runtime.close()
    await runtime.close()
    await expect(runtime.start(here.script('true'))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  })
}
