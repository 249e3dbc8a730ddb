import { expect, it } from 'vitest'
import { RegentError } from '../../src/kernel/errors.ts'
import type { Exit } from '../../src/ports/runtime.ts'
import { Supervised } from '../helpers/supervised.ts'
import { until } from '../helpers/until.ts'

const exit = (code: number): Exit => ({ kind: 'exited', code, at: 0 })

it('a run that ended by itself after its stop was accepted left its agent RUNNING for ever', async () => {
  const world = await Supervised.open()
  const id = await world.agent({ startsecs: 0 })
  await world.ask('start', id, true)
  world.supervisor.close()
  await world.ask('stop', id)
  world.runtime.last.end(exit(0))
  await world.reborn()
  expect(await world.reaches(id, 'STOPPED')).toMatchObject({ exitCode: 0 })
  expect(world.runtime.runs).toHaveLength(1)
})

it('a run that ended in the moment of its stop left its agent RUNNING for ever', async () => {
  const world = await Supervised.open()
  const id = await world.agent({ startsecs: 0 })
  await world.ask('start', id, true)
  const stopped = world.ask('stop', id, true)
  world.runtime.last.end(exit(0))
  await stopped
  expect(await world.reaches(id, 'STOPPED')).toMatchObject({ desired: 'stopped' })
})

it('a runner whose link.json could not be written once never heard of the next Regent', async () => {
  const world = await Supervised.open()
  const id = await world.agent({ startsecs: 0 })
  await world.store.transaction((tables) => tables.agents.update(id, { kind: 'team' }))
  await world.ask('start', id, true)
  const run = world.runtime.last
  const { offerLink } = run
  let refusals = 0
  run.offerLink = async () => {
    refusals++
    throw new Error('ENOSPC')
  }
  await world.reborn()
  await until(() => refusals === 1, 'the first try')
  run.offerLink = offerLink
  await until(() => {
    world.clock.advance(1000)
    return run.links.length > 0
  }, 'another try')
  expect(run.links[0]?.token).toBe(run.handle.runId)
})

it('a stop without leftovers told of those of an earlier run', async () => {
  const world = await Supervised.open()
  const id = await world.agent({ startsecs: 0, restart: 'never' })
  await world.ask('start', id, true)
  const { exited } = world.runtime.last
  world.runtime.last.stop = async () => {
    world.runtime.last.end(exit(143))
    return { exit: await exited, survivors: [77] }
  }
  expect(await world.ask('stop', id, true)).toMatchObject({ survivors: [77] })
  await world.ask('start', id, true)
  world.runtime.last.end(exit(0))
  await world.reaches(id, 'EXITED')
  expect(await world.ask('stop', id, true)).toMatchObject({ state: 'STOPPED', survivors: [] })
})

it('agents that waited for their turn to be restarted looked again ten times a second each', async () => {
  const world = await Supervised.open(10)
  const ids = await Promise.all(Array.from({ length: 100 }, () => world.agent({ startsecs: 0 })))
  for (const id of ids) await world.ask('start', id)
  await until(() => world.runtime.runs.length === 100, 'all runs')
  for (const id of ids) await world.reaches(id, 'RUNNING')
  for (const run of [...world.runtime.runs]) run.end(exit(1))
  await until(() => world.runtime.runs.length === 110, 'ten restarts at once')
  await Promise.all(ids.slice(10).map((id) => world.reaches(id, 'BACKOFF')))
  await until(() => world.clock.nextIn !== undefined, 'timers')
  const { agents } = world.store.read
  const get = agents.get.bind(agents)
  let looks = 0
  agents.get = (id) => {
    looks++
    return get(id)
  }
  for (const second of [1, 2]) {
    for (let step = 0; step < 10; step++) {
      world.clock.advance(100)
      await until(() => world.runtime.runs.length === 100 + second * 10 + step + 1, `restart ${second}.${step}`)
    }
  }
  expect(looks).toBeLessThan(200)
})

it('[part of P2] a run whose start took too long was given up though it could still come to life', async () => {
  const world = await Supervised.open()
  const id = await world.agent({ startsecs: 0 })
  world.runtime.failure = new RegentError('TIMED_OUT', 'it is being started, and does not get on')
  await world.ask('start', id)
  await until(() => world.clock.nextIn === 1000, 'the next try')
  const { runId } = await world.life(id)
  world.runtime.failure = undefined
  world.clock.advance(1000)
  expect((await world.reaches(id, 'RUNNING')).runId).toBe(runId)
  expect(world.runtime.runs.map((run) => run.handle.runId)).toEqual([runId])
})

it('a pid that the store did not take at the start was never put on record', async () => {
  const world = await Supervised.open()
  const id = await world.agent({ startsecs: 2 })
  const { store } = world
  const { transaction } = store
  const start = world.runtime.start.bind(world.runtime)
  world.runtime.start = (spec) => {
    store.transaction = async () => {
      store.transaction = transaction
      throw new RegentError('UNAVAILABLE', 'the database is locked')
    }
    return start(spec)
  }
  await world.ask('start', id)
  await until(() => world.clock.nextIn === 1000, 'the next try')
  await until(async () => {
    world.clock.advance(500)
    return (await world.life(id)).state === 'RUNNING'
  }, 'RUNNING')
  expect((await store.read.runs.get((await world.life(id)).runId ?? ''))?.pid).toBe(world.runtime.last.pid)
})

it('waiting for a stop gave up before the grace of the agent was over', async () => {
  const world = await Supervised.open()
  const id = await world.agent({ startsecs: 0, stop_grace: 120 })
  await world.ask('start', id, true)
  world.runtime.last.holdStop = true
  const stopped = world.ask('stop', id, true)
  await until(() => world.runtime.last.stops === 1, 'the stop')
  world.clock.advance(121_000)
  world.runtime.last.end(exit(137))
  expect(await stopped).toMatchObject({ state: 'STOPPED' })
})

it('whoever waited too long is told which agent it is, its state, and why', async () => {
  const world = await Supervised.open()
  const id = await world.agent({}, 'command', 'slow')
  const waited = world.supervisor.until(id, () => undefined, { signal: new AbortController().signal, timeoutMs: 1500 })
  world.clock.advance(1500)
  await expect(waited).rejects.toMatchObject({
    code: 'TIMED_OUT',
    message: 'alice/slow is still STOPPED after 1.5 s: new',
    hint: 'what was asked goes on; look again: regent show alice/slow',
  })
})
