import { expect, it } from 'vitest'
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
