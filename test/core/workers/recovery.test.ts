import { describe, expect, it } from 'vitest'
import { until } from '../../helpers/until.ts'
import { WorkerWorld } from '../../helpers/worker-world.ts'

const refusesAll = () => {
  throw new Error('the disk is gone')
}
const counted = (types: readonly string[], type: string) => types.filter((one) => one === type).length

describe('after kill -9 of Regent', () => {
  it('one that was queued is started', async () => {
    const workers = await WorkerWorld.open({ workerLimits: { running: 1 } })
    const [one, two] = [await workers.create(), await workers.create()]
    await workers.run(one.id)
    await workers.world.reborn()
    expect((await workers.get(two.id)).state).toBe('queued')
    await workers.answer(one.id)
    await workers.run(two.id)
  })

  it('one that was on record and not started is started, once, under the same run', async () => {
    const workers = await WorkerWorld.open()
    workers.runtime.failure = new Error('it does not answer')
    const { id } = await workers.create()
    await workers.state(id, 'running')
    const before = await workers.get(id)
    expect(workers.runtime.runs).toHaveLength(0)
    workers.runtime.failure = undefined
    await workers.world.reborn()
    const run = await workers.run(id)
    expect(run.handle.runId).toBe(before.run_id)
    expect(workers.runtime.runs).toHaveLength(1)
    await workers.answer(id)
  })

  it('one that runs is taken up with its pid, and what it says is told once', async () => {
    const workers = await WorkerWorld.open()
    const { id, pid: _ } = await workers.create()
    const run = await workers.run(id)
    workers.begins(run)
    workers.says(run, 'one')
    await until(async () => counted(await workers.events(id), 'worker.said') === 1, 'what it said')
    await workers.world.reborn()
    expect(await workers.get(id)).toMatchObject({ state: 'running', pid: run.pid, run_id: run.handle.runId })
    workers.says(run, 'two')
    workers.ends(run, 'done')
    await workers.over(id)
    const said = await workers.told(id, 'worker.said')
    expect(said.map(({ text }) => text)).toEqual(['one', 'two'])
    const events = await workers.events(id)
    for (const type of ['worker.session', 'worker.started', 'worker.adopted', 'worker.completed'])
      expect([type, counted(events, type)]).toEqual([type, 1])
    expect(run.links).toHaveLength(1)
    expect(await workers.get(id)).toMatchObject({ usage: { input_tokens: 10, output_tokens: 5 } })
  })

  it('one that ended meanwhile has its end on record, with its answer', async () => {
    const workers = await WorkerWorld.open()
    const { id } = await workers.create()
    const run = await workers.run(id)
    await until(async () => (await workers.get(id)).pid !== null, 'its pid')
    const reborn = workers.world.reborn()
    workers.ends(run, 'meanwhile')
    await reborn
    await workers.over(id)
    expect(await workers.get(id)).toMatchObject({ state: 'completed', result: 'meanwhile' })
    expect((await workers.wait()).workers).toHaveLength(1)
  })

  it('one of whose process nothing is left has failed, and says so', async () => {
    const workers = await WorkerWorld.open()
    const { id } = await workers.create()
    await workers.run(id)
    await until(async () => (await workers.get(id)).pid !== null, 'its pid')
    workers.runtime.runs.length = 0
    await workers.world.reborn()
    await workers.over(id)
    expect(await workers.get(id)).toMatchObject({ state: 'failed', failure_kind: 'lost' })
  })

  it('one that was to be cancelled is cancelled', async () => {
    const workers = await WorkerWorld.open()
    const { id } = await workers.create()
    const run = await workers.run(id)
    run.holdStop = true
    await workers.cancel(id, { wait: false })
    await until(() => run.stops === 1, 'the stop')
    run.holdStop = false
    await workers.world.reborn()
    await workers.over(id)
    expect(await workers.get(id)).toMatchObject({ state: 'cancelled' })
  })

  it('one run that cannot be reached keeps no other from being taken up', async () => {
    const workers = await WorkerWorld.open()
    const [bad, good] = [await workers.create(), await workers.create()]
    const [badRun, goodRun] = [await workers.run(bad.id), await workers.run(good.id)]
    const { runtime } = workers
    const reattach = runtime.reattach.bind(runtime)
    runtime.reattach = async (handle) => {
      if (handle.runId === badRun.handle.runId) throw new Error('it does not answer')
      return reattach(handle)
    }
    await workers.world.reborn()
    workers.ends(goodRun, 'fine')
    await workers.over(good.id)
    runtime.reattach = reattach
    workers.ends(badRun, 'late')
    await workers.over(bad.id)
    expect(await workers.get(bad.id)).toMatchObject({ state: 'completed' })
  })
})

describe('while the store fails', () => {
  it('an end waits for it, and is told once with all that was said', async () => {
    const workers = await WorkerWorld.open()
    const { id } = await workers.create()
    const run = await workers.run(id)
    await until(async () => (await workers.get(id)).pid !== null, 'its pid')
    let tries = 0
    workers.world.storeTrouble = () => {
      tries++
      refusesAll()
    }
    workers.begins(run)
    for (let n = 0; n < 700; n++) workers.says(run, `n${n}`)
    workers.ends(run, 'done')
    await until(() => tries > 1, 'two tries')
    workers.world.storeTrouble = undefined
    await workers.over(id)
    expect((await workers.told(id, 'worker.said')).map(({ text }) => text)).toEqual(Array.from({ length: 700 }, (_, n) => `n${n}`))
    expect(counted(await workers.events(id), 'worker.completed')).toBe(1)
    expect(await workers.get(id)).toMatchObject({ result: 'done' })
  })

  it('a start that was half done goes on: one run, whose start is told once', async () => {
    const workers = await WorkerWorld.open()
    let refusals = 0
    const start = workers.runtime.start.bind(workers.runtime)
    workers.runtime.start = async (spec) => {
      workers.world.storeTrouble = () => {
        if (refusals++ < 2) refusesAll()
      }
      return start(spec)
    }
    const { id } = await workers.create()
    await workers.run(id)
    await until(async () => counted(await workers.events(id), 'worker.started') === 1, 'the start')
    expect(refusals).toBeGreaterThan(2)
    expect(workers.runtime.runs).toHaveLength(1)
    await workers.answer(id)
    expect(counted(await workers.events(id), 'worker.completed')).toBe(1)
    expect((await workers.wait()).workers).toHaveLength(1)
    expect(await workers.wait({ wait: false })).toMatchObject({ outcome: 'none' })
  })

  it('a runtime that did not answer in time is asked again for the same run', async () => {
    const workers = await WorkerWorld.open()
    workers.runtime.failure = new Error('it does not answer')
    const { id } = await workers.create()
    await workers.state(id, 'running')
    workers.runtime.failure = undefined
    await workers.run(id)
    await workers.answer(id)
    expect(workers.runtime.runs).toHaveLength(1)
  })
})

it('what is said while the store writes is told too, in its order', async () => {
  const workers = await WorkerWorld.open()
  const { id } = await workers.create()
  const run = await workers.run(id)
  await until(async () => (await workers.get(id)).pid !== null, 'its pid')
  let n = 0
  workers.world.storeTrouble = () => {
    if (n++ < 20) for (let more = 0; more < 3; more++) workers.says(run, `${n}-${more}`)
  }
  workers.says(run, 'first')
  await until(() => n >= 20, 'many writes')
  workers.ends(run, 'done')
  await workers.over(id)
  const expected = ['first', ...Array.from({ length: 20 }, (_, at) => [0, 1, 2].map((more) => `${at + 1}-${more}`)).flat()]
  expect((await workers.told(id, 'worker.said')).map(({ text }) => text)).toEqual(expected)
})

it('a worker that says very much is told of in part, and says so', async () => {
  const workers = await WorkerWorld.open()
  const { id } = await workers.create({ agent: 'command', command: ['prog'] })
  const run = await workers.run(id)
  const lines = Array.from({ length: 6000 }, (_, n) => ({ runId: run.handle.runId, stream: 'stdout' as const, at: n, text: `${n}` }))
  workers.runtime.printed.set(id, lines)
  run.end({ kind: 'exited', code: 0, at: 1 })
  await workers.over(id)
  const said = await workers.told(id, 'worker.said')
  expect(said).toHaveLength(5001)
  expect(said.at(-1)).toMatchObject({ truncated: true })
  expect((await workers.get(id)).result?.endsWith('5999')).toBe(true)
})
