import { randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import { takeUpRuns } from '../../src/core/system/take-up.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import type { Tables } from '../../src/ports/store.ts'
import { Supervised } from '../helpers/supervised.ts'
import { until } from '../helpers/until.ts'

/** An agent whose last run has ended, and a newer one of it that the store, an older copy, knows nothing of. */
async function older() {
  const world = await Supervised.open()
  const id = await world.agent({ startsecs: 0, restart: 'never' })
  await world.ask('start', id, true)
  const { spec } = world.runtime.last
  world.runtime.last.end({ kind: 'exited', code: 3, at: world.clock.now() })
  await world.reaches(id, 'EXITED')
  await world.runtime.start({ ...spec, runId: randomUUID() })
  return { world, id, ended: spec.runId }
}

it('regent recover and restore wrote over how a run had ended where a newer one of its agent was found', async () => {
  const { world, ended } = await older()
  const before = await world.store.read.runs.get(ended)
  await takeUpRuns({ ...world, clock: systemClock })
  expect(await world.store.read.runs.get(ended)).toEqual(before)
})

it('an agent that was being deleted when its backup was made was deleted never, once its run was found', async () => {
  const { world, id } = await older()
  await world.store.transaction((tables) => tables.agents.update(id, { deleting: true }))
  await takeUpRuns({ ...world, clock: systemClock })
  await world.reborn()
  await until(async () => (await world.store.read.agents.get(id)) === undefined, 'its end')
  expect(world.runtime.last.stops).toBe(1)
})

it('regent recover told twice of a run that it left alone when its transaction was run twice', async () => {
  const { world, id } = await older()
  const { spec } = world.runtime.last
  const record = { ...(spec.record as object), id: randomUUID() }
  await world.runtime.start({ ...spec, runId: randomUUID(), agentId: record.id, record: record as typeof spec.record })
  const twice = async <T>(work: (tables: Tables) => Promise<T>): Promise<T> => {
    const undone = world.store.transaction(async (tables) => {
      await work(tables)
      throw new Error('undone')
    })
    await expect(undone).rejects.toThrow('undone')
    return world.store.transaction(work)
  }
  const store = { ...world.store, transaction: twice }
  const { left } = await takeUpRuns({ store, runtime: world.runtime, clock: systemClock })
  expect(left).toMatchObject([{ reason: `there is another agent alice/a${id.slice(0, 8)}` }])
})
