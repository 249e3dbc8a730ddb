import { describe, expect, it } from 'vitest'
import { admin } from '../../helpers/core-world.ts'
import { FakeClock } from '../../helpers/fake-clock.ts'
import { ann, bob, WorkerWorld } from '../../helpers/worker-world.ts'

const ids = ({ workers }: { readonly workers: readonly { readonly id: string }[] }) => workers.map(({ id }) => id)

async function crewOf(size: number, options: Parameters<typeof WorkerWorld.open>[0] = {}) {
  const workers = await WorkerWorld.open(options)
  const made: string[] = []
  for (let n = 0; n < size; n++) made.push((await workers.create()).id)
  return { workers, made: made as [string, string, string] }
}

describe('Max 10 active workers', () => {
  it('refuses the eleventh of those that come at once and may not wait', async () => {
    const workers = await WorkerWorld.open()
    const made = await Promise.allSettled(Array.from({ length: 14 }, () => workers.create({ queue: false })))
    const refused = made.flatMap((one) => (one.status === 'rejected' ? [one.reason as { code: string; message: string }] : []))
    expect(refused).toHaveLength(4)
    for (const one of refused) expect(one).toMatchObject({ code: 'TOO_MANY', message: 'Max 10 active workers.' })
    expect((await workers.create()).state).toBe('queued')
    await workers.create({ queue: false, namespace: 'other' })
  })

  it('counts an end that nobody has claimed, and none that was claimed', async () => {
    const { workers, made } = await crewOf(1, { workerLimits: { maxActive: 1 } })
    await workers.answer(made[0])
    await expect(workers.create({ queue: false })).rejects.toMatchObject({ message: 'Max 1 active workers.' })
    expect(ids(await workers.wait())).toEqual(made)
    await workers.create({ queue: false })
  })

  it('gives the place of one that was refused back', async () => {
    const workers = await WorkerWorld.open({ workerLimits: { maxActive: 1 } })
    workers.world.storeTrouble = () => {
      throw new Error('the disk is gone')
    }
    await expect(workers.create({ queue: false, env: { A: 'b' } })).rejects.toThrow('the disk is gone')
    workers.world.storeTrouble = undefined
    await workers.create({ queue: false })
  })
})

describe('a wait', () => {
  it('first tells one end at a time, in their order', async () => {
    const { workers, made } = await crewOf(3)
    for (const id of [made[1], made[0]]) await workers.answer(id)
    expect(ids(await workers.wait({ mode: 'first' }))).toEqual([made[1]])
    expect(ids(await workers.wait({ mode: 'first' }))).toEqual([made[0]])
    expect(await workers.wait({ mode: 'first', wait: false })).toMatchObject({ outcome: 'timeout', active: 1 })
  })

  it('some tells all that have ended by then, and comes back with the first that does', async () => {
    const { workers, made } = await crewOf(3)
    const waiting = workers.wait({ mode: 'some' })
    await workers.answer(made[2])
    expect(ids(await waiting)).toEqual([made[2]])
    for (const id of [made[0], made[1]]) await workers.answer(id)
    expect(ids(await workers.wait({ mode: 'some' }))).toEqual([made[0], made[1]])
    expect(await workers.wait()).toMatchObject({ outcome: 'none', active: 0 })
  })

  it('all comes back when none is active any more', async () => {
    const { workers, made } = await crewOf(2)
    await workers.answer(made[1])
    let isBack = false
    const waiting = workers.wait({ mode: 'all' }).finally(() => {
      isBack = true
    })
    expect(await workers.wait({ mode: 'all', wait: false, claim: 'no' })).toMatchObject({ outcome: 'timeout', active: 1 })
    expect(isBack).toBe(false)
    await workers.exit(made[0], 1)
    expect((await waiting).workers.map(({ id, state }) => [id, state])).toEqual([
      [made[1], 'completed'],
      [made[0], 'failed'],
    ])
  })

  it('never tells two who wait of the same end', async () => {
    const { workers, made } = await crewOf(3)
    const waits = Array.from({ length: 6 }, () => workers.wait({ mode: 'first', timeout: 10_000 }))
    for (const id of made) await workers.answer(id)
    const told = (await Promise.all(waits)).flatMap(ids)
    expect(told.toSorted()).toEqual(made.toSorted())
  })

  it('without a claim tells it again; of those that are named, claimed ones too', async () => {
    const { workers, made } = await crewOf(1)
    await workers.answer(made[0])
    expect((await workers.wait({ claim: 'no' })).workers).toMatchObject([{ id: made[0], claimed: false }])
    expect((await workers.wait()).workers).toMatchObject([{ id: made[0], claimed: true }])
    expect(await workers.wait({ wait: false })).toMatchObject({ outcome: 'none' })
    expect(ids(await workers.wait({ workers: made }))).toEqual(made)
    expect((await workers.events(made[0])).filter((type) => type === 'worker.claimed')).toHaveLength(1)
  })

  it('by ids looks at those alone', async () => {
    const { workers, made } = await crewOf(2)
    await workers.answer(made[0])
    expect(await workers.wait({ workers: [made[1]], wait: false })).toMatchObject({ outcome: 'timeout', active: 1 })
    await expect(workers.wait({ workers: [] })).rejects.toMatchObject({ code: 'INVALID' })
    const other = await workers.create({ namespace: 'other' })
    await expect(workers.wait({ workers: [made[0], other.id] })).rejects.toMatchObject({ code: 'INVALID' })
    expect(ids(await workers.wait({ workers: [made[0].slice(0, 13)] }))).toEqual([made[0]])
  })

  it('that is given up gives back what it was offered', async () => {
    const { workers, made } = await crewOf(1)
    const gone = new AbortController()
    const context = { caller: ann, signal: gone.signal }
    const waiting = workers.world.core.call('workers.wait', { timeout: 10_000 }, context)
    gone.abort()
    await expect(waiting).rejects.toThrow()
    await workers.answer(made[0])
    expect(ids(await workers.wait())).toEqual(made)
  })

  it('goes on where the store refuses the claim: the end is free again', async () => {
    const { workers, made } = await crewOf(1)
    await workers.answer(made[0])
    workers.world.storeTrouble = () => {
      throw new Error('the disk is gone')
    }
    await expect(workers.wait()).rejects.toThrow('the disk is gone')
    workers.world.storeTrouble = undefined
    expect(ids(await workers.wait())).toEqual(made)
  })
})

describe('a lease', () => {
  it('is settled once, by its owner or an admin, and keeps others away meanwhile', async () => {
    const { workers, made } = await crewOf(1)
    await workers.answer(made[0])
    const { lease, workers: told } = await workers.wait({ claim: 'later' })
    expect(told).toMatchObject([{ id: made[0], claimed: false }])
    expect(await workers.wait({ wait: false })).toMatchObject({ outcome: 'timeout' })
    const claim = (caller = ann) => workers.world.call('workers.claim', { lease }, caller)
    await expect(claim(bob)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(await claim()).toEqual({ claimed: made })
    await expect(claim(admin)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(await workers.wait({ wait: false })).toMatchObject({ outcome: 'none' })
  })

  it('that is given back is told to whoever waits', async () => {
    const { workers, made } = await crewOf(1)
    await workers.answer(made[0])
    const { lease } = await workers.wait({ claim: 'later' })
    const waiting = workers.wait()
    expect(await workers.world.call('workers.claim', { lease, keep: false }, ann)).toEqual({ claimed: [] })
    expect(ids(await waiting)).toEqual(made)
  })

  it('that nobody settles is over after 30 s, and its end is told again', async () => {
    const clock = new FakeClock()
    const { workers, made } = await crewOf(1, { clock })
    await workers.answer(made[0])
    const { lease } = await workers.wait({ claim: 'later' })
    clock.advance(29_999)
    expect(await workers.wait({ wait: false })).toMatchObject({ outcome: 'timeout' })
    clock.advance(1)
    expect(ids(await workers.wait({ wait: false }))).toEqual(made)
    await expect(workers.world.call('workers.claim', { lease }, ann)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  it('does not claim the end of a turn after which somebody has gone on', async () => {
    const { workers, made } = await crewOf(1)
    await workers.answer(made[0])
    const { lease } = await workers.wait({ claim: 'later' })
    await workers.resume(made[0])
    expect(await workers.world.call('workers.claim', { lease }, ann)).toEqual({ claimed: [] })
    expect(await workers.wait({ wait: false })).toMatchObject({ outcome: 'timeout', active: 1 })
    await workers.answer(made[0], 'second')
    expect((await workers.wait()).workers).toMatchObject([{ result: 'second', turn: 2 }])
  })
})

it('an end that nobody has claimed is told after a restart, in its order, and once', async () => {
  const { workers, made } = await crewOf(2)
  for (const id of [made[1], made[0]]) {
    await workers.answer(id)
  }
  await workers.world.reborn()
  const told = [...ids(await workers.wait({ mode: 'first' })), ...ids(await workers.wait({ mode: 'first' }))]
  expect(told.toSorted()).toEqual(made.toSorted())
  await workers.world.reborn()
  expect(await workers.wait({ wait: false })).toMatchObject({ outcome: 'none' })
})
