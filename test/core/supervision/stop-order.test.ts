import { describe, expect, it } from 'vitest'
import { Supervised } from '../../helpers/supervised.ts'
import { until } from '../../helpers/until.ts'

/** `count` agents in chains of `length`: a0 ← a1 ← a2 …, each started. */
async function chains(world: Supervised, count: number, length: number, grace: number): Promise<string[]> {
  const ids: string[] = []
  for (let index = 0; index < count; index++) {
    const depends_on = index % length === 0 ? {} : { [`a${index - 1}`]: { condition: 'started' as const } }
    ids.push(await world.agent({ startsecs: 0, stop_grace: grace, depends_on }, 'command', `a${index}`))
  }
  await Promise.all(ids.filter((_, index) => index % length === length - 1).map((id) => world.ask('start', id, true)))
  return ids
}

/** Moves the clock whenever everything that can happen now has happened, until `done` is. ms of the clock. */
async function play(world: Supervised, done: () => Promise<boolean>): Promise<number> {
  const begun = world.clock.elapsed()
  await until(async () => {
    if (await done()) return true
    // What was begun is stored, also by a store that takes its time; then comes what follows from it.
    for (let turn = 0; turn < 10; turn++) await world.store.check()
    const next = world.clock.nextIn
    if (next !== undefined && next < 600_000) world.clock.advance(Math.min(next, 100))
    return false
  }, 'the end')
  return world.clock.elapsed() - begun
}

describe('agents that are stopped together', () => {
  it('[part of F14] end in reverse order: who depends on another goes first', async () => {
    const world = await Supervised.open()
    const ids = await chains(world, 100, 10, 10)
    const ended: string[] = []
    for (const run of world.runtime.runs) void run.exited.then(() => ended.push(run.spec.label))
    const { agents } = await world.stopAll(ids)
    expect(agents.every(({ state }) => state === 'STOPPED')).toBe(true)
    const place = (index: number) => ended.indexOf(`alice/a${index}`)
    for (let index = 0; index < 100; index++) if (index % 10 !== 0) expect(place(index)).toBeLessThan(place(index - 1))
    expect(world.clock.elapsed()).toBe(0)
  })

  it('[F14] that all ignore their stop signal are told in reverse order, and take one grace and 2 s at most, not the sum', async () => {
    const world = await Supervised.open()
    const ids = await chains(world, 100, 10, 10)
    for (const run of world.runtime.runs) run.fights = true
    const stopped = world.stopAll(ids)
    await until(() => world.runtime.runs.filter(({ stops }) => stops > 0).length === 10, 'the stops of the ten ends')
    const took = await play(world, async () => world.runtime.alive.length === 0)
    expect(took).toBeGreaterThanOrEqual(10_000)
    expect(took).toBeLessThanOrEqual(12_000)
    const told = new Map(world.runtime.runs.map(({ spec, stoppedAt }) => [spec.label, stoppedAt ?? 0]))
    const toldAt = (index: number) => told.get(`alice/a${index}`) ?? 0
    for (let index = 0; index < 100; index++) if (index % 10 !== 0) expect(toldAt(index)).toBeLessThanOrEqual(toldAt(index - 1))
    expect(toldAt(8)).toBeGreaterThanOrEqual(10_000)
    await stopped
  })

  it('one by one: the dependency waits for what is already on its way, and for nobody else', async () => {
    const world = await Supervised.open()
    const [db = '', web = ''] = await chains(world, 2, 2, 10)
    world.runtime.of(web).holdStop = true
    await world.ask('stop', web)
    await world.ask('stop', db)
    await world.reaches(db, 'STOPPING')
    expect(world.runtime.of(db).stops).toBe(0)
    world.runtime.of(web).end({ kind: 'exited', code: 0, at: 0 })
    await world.reaches(db, 'STOPPED')
    await world.ask('start', web, true)
    await world.ask('stop', db, true)
    expect((await world.life(web)).state).toBe('RUNNING')
  })

  it('are stopped before what they depend on when both are restarted, and started after it', async () => {
    const world = await Supervised.open()
    const [db = '', web = ''] = await chains(world, 2, 2, 10)
    const [oldWeb, oldDb] = [world.runtime.of(web), world.runtime.of(db)]
    oldWeb.holdStop = true
    await world.ask('restart', web)
    await until(() => oldWeb.stops === 1, 'the stop of web')
    await world.ask('restart', db)
    await world.reaches(db, 'STOPPING')
    expect(oldDb.stops).toBe(0)
    oldWeb.end({ kind: 'exited', code: 0, at: 0 })
    await until(() => world.runtime.runs.length === 4, 'two new runs')
    expect(world.runtime.runs.slice(2).map(({ spec }) => spec.agentId)).toEqual([db, web])
  })
})

it('a stop that a Regent before this one began has the rest of its grace, counted from the request', async () => {
  const world = await Supervised.open()
  const id = await world.agent({ startsecs: 0, stop_grace: 10 })
  await world.ask('start', id)
  await world.reaches(id, 'RUNNING')
  world.runtime.last.fights = true
  await world.ask('stop', id)
  await until(() => world.runtime.last.stops === 1, 'its stop')
  world.clock.advance(7000)
  await world.reborn()
  await until(() => world.runtime.last.stops === 2, 'its stop by the next Regent')
  world.clock.advance(3000)
  expect((await world.reaches(id, 'STOPPED')).exitSignal).toBe('SIGKILL')
})

describe('Regent that ends with its agents', () => {
  it('[part of F17] stops them in order, keeps what is wanted, and the next one starts them again', async () => {
    const world = await Supervised.open()
    const [db = '', web = ''] = await chains(world, 2, 2, 10)
    const idle = await world.agent({ startsecs: 0 })
    const ended: string[] = []
    for (const run of world.runtime.runs) void run.exited.then(() => ended.push(run.spec.agentId))
    expect(await world.supervisor.haltAll()).toBe(0)
    expect(ended).toEqual([web, db])
    expect(await world.life(web)).toMatchObject({ state: 'STOPPED', desired: 'running', reason: 'stopped with Regent (ended by SIGTERM)' })
    await expect(world.ask('start', idle, true)).rejects.toThrow('is started with the next Regent')
    expect(world.runtime.alive).toHaveLength(0)
    await world.reborn()
    for (const id of [db, web, idle]) await world.reaches(id, 'RUNNING')
    expect(world.runtime.alive).toHaveLength(3)
    const starts = (await world.store.read.events.list({ after: 0, limit: 500, agentId: db, types: ['run.starting'] })).map(
      ({ data }) => data.reason,
    )
    expect(starts).toEqual(['started as asked', 'started again with Regent'])
  })
})
