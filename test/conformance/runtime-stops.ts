import { expect, it } from 'vitest'
import type { Run, Runtime } from '../../src/ports/runtime.ts'
import { until } from '../helpers/until.ts'
import { type RuntimePlace, textOf } from './runtime-place.ts'

type Place = () => Promise<RuntimePlace>

const stubborn = 'trap "" TERM; echo ready; while :; do sleep 1000; done'

/** A run of this script that has said `ready`. */
async function started(place: Place, text: string): Promise<{ runtime: Runtime; run: Run; agentId: string }> {
  const here = await place()
  const runtime = await here.open()
  const spec = here.script(text)
  const run = await runtime.start(spec)
  await until(async () => (await textOf(runtime, spec.agentId)).includes('ready'), 'the agent to be ready')
  return { runtime, run, agentId: spec.agentId }
}

/** Signals and stops. */
export function runtimeStops(place: Place): void {
  polite(place)
  forced(place)
}

function polite(place: Place): void {
  it('passes a signal on to a live run, and to no other', async () => {
    const { runtime, run, agentId } = await started(place, 'trap "echo got it; exit 9" USR1; echo ready; while :; do sleep 0.05; done')
    expect(await run.signal('SIGUSR1')).toBe(true)
    expect(await run.exited).toMatchObject({ kind: 'exited', code: 9 })
    expect(await textOf(runtime, agentId)).toEqual(['ready', 'got it'])
    expect(await run.signal('SIGUSR1')).toBe(false)
  })

  it('stops politely where that is enough', async () => {
    const { run } = await started(place, 'trap "exit 3" TERM; echo ready; while :; do sleep 0.05; done')
    expect(await run.stop({ signal: 'SIGTERM', graceMs: 20_000 })).toEqual({
      exit: { kind: 'exited', code: 3, at: expect.any(Number) },
      survivors: [],
    })
  })

  it('stops with the signal that is asked for', async () => {
    const { run } = await started(place, 'trap "exit 4" INT; trap "" TERM; echo ready; while :; do sleep 0.05; done')
    expect((await run.stop({ signal: 'SIGINT', graceMs: 20_000 })).exit).toMatchObject({ kind: 'exited', code: 4 })
  })

  it('stops the stopped', async () => {
    const { run } = await started(place, 'echo ready; exit 2')
    const exit = await run.exited
    expect(await run.stop({ signal: 'SIGTERM', graceMs: 10_000 })).toEqual({ exit, survivors: [] })
    expect(await run.stop({ signal: 'SIGTERM', graceMs: 10_000 })).toEqual({ exit, survivors: [] })
  })
}

function forced(place: Place): void {
  it('kills after the grace what does not listen (F03)', async () => {
    const { run } = await started(place, stubborn)
    const begun = performance.now()
    const { exit, survivors } = await run.stop({ signal: 'SIGTERM', graceMs: 300 })
    expect(exit).toMatchObject({ kind: 'signalled', signal: 'SIGKILL', code: 137 })
    expect(survivors).toEqual([])
    expect(performance.now() - begun).toBeGreaterThanOrEqual(300)
    expect(performance.now() - begun).toBeLessThan(300 + 2000)
  })

  it('stops a frozen run (F03)', async () => {
    const { run } = await started(place, 'echo ready; kill -STOP $$; sleep 1000')
    expect((await run.stop({ signal: 'SIGTERM', graceMs: 1000 })).exit).toMatchObject({ kind: 'signalled' })
  })

  it('gives all who stop at once the same end, and lets a harder stop shorten the grace', async () => {
    const { run } = await started(place, stubborn)
    const begun = performance.now()
    const [one, two, three] = await Promise.all([
      run.stop({ signal: 'SIGTERM', graceMs: 25_000 }),
      run.stop({ signal: 'SIGTERM', graceMs: 20_000 }),
      run.stop({ signal: 'SIGKILL', graceMs: 20_000 }),
    ])
    expect(one.exit).toMatchObject({ kind: 'signalled', signal: 'SIGKILL' })
    expect([two, three]).toEqual([one, one])
    expect(performance.now() - begun).toBeLessThan(5000)
  })
}
