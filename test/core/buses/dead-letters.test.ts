import { describe, expect, it } from 'vitest'
import type { Output } from '../../../src/contract/operations.ts'
import type { Caller } from '../../../src/contract/tokens.ts'
import { admin, CoreWorld, type FakeRunner, userCalled } from '../../helpers/core-world.ts'
import { FakeBroker } from '../../helpers/fake-bus.ts'
import { until } from '../../helpers/until.ts'

const alice = userCalled('alice')
const bob = userCalled('bob')

type List = Output<'bus.dead.list'>
const list = (world: CoreWorld, input: object = {}, caller: Caller = admin) => world.call<List>('bus.dead.list', input, caller)

/** A broker with one dead letter; what comes after it is taken well. */
async function poisoned() {
  const redis = new FakeBroker('redis')
  const world = await CoreWorld.open([{ name: 'redis', address: 'redis at h:1', bus: redis.bus }])
  const taken: string[] = []
  let fails = true
  const take = async ({ body }: { body: string }) => {
    if (fails) throw new Error('it cannot be read')
    taken.push(body)
  }
  await redis.bus.subscribe({ name: 't' }, take, { group: 'g', maxAttempts: 1 })
  await world.call('bus.publish', { topic: 't', broker: 'redis', message: 'bad', id: 'm1', key: 'k' })
  fails = false
  return { world, redis, taken }
}

/** An agent that gave up a message. */
async function givenUp() {
  const world = await CoreWorld.open()
  const agent = await world.team()
  const runner: FakeRunner = await world.running(agent)
  const { message } = await world.call<{ message: { id: string } }>(
    'messages.send',
    { agent, content: 'hard', conversation: 'side' },
    alice,
  )
  await runner.gets('message')
  await runner.tell({ type: 'accepted', message_id: message.id })
  await runner.did({ kind: 'tried', message_id: message.id, tries: 5 })
  await runner.did({ kind: 'failed', message_id: message.id, reason: 'the model refused' })
  return { world, runner, id: message.id, letter: `inbox:${message.id}` }
}

const eventsOf = async (world: CoreWorld, type: string) =>
  (await world.store.read.events.list({ after: 0, limit: 1000 })).filter((event) => event.type === type)

describe('dead letters at a broker', () => {
  it('[I4-OPS-06] are listed with their reason, shown whole, and delivered once more', async () => {
    const { world, taken } = await poisoned()
    const { letters } = await list(world)
    expect(letters).toEqual([
      {
        ...{ id: expect.stringMatching(/^redis:/), broker: 'redis', topic: 't', group: 'g', agent: null, message_id: 'm1', attempts: 1 },
        ...{ reason: 'it cannot be read', at: expect.any(Number), body: 'bad', content_type: null, key: 'k', headers: {} },
      },
    ])
    const id = letters[0]?.id
    expect(await list(world, { broker: 'bus' })).toEqual({ letters: [], unreachable: [] })
    expect((await list(world, { broker: 'redis', topic: 't' })).letters).toHaveLength(1)
    expect(await world.call('bus.dead.show', { id })).toEqual(letters[0])
    expect(await world.call('bus.dead.requeue', { id }, admin, 'key')).toEqual({ id, message_id: 'm1' })
    await until(() => taken.length === 1, 'it comes again')
    expect(await world.call('bus.dead.requeue', { id }, admin, 'key')).toEqual({ id, message_id: 'm1' })
    await expect(world.call('bus.dead.requeue', { id })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(taken).toEqual(['bad'])
    expect(await eventsOf(world, 'message.requeued')).toMatchObject([{ actor: 'root', data: { broker: 'redis', topic: 't', id: 'm1' } }])
  })

  it('[I4-OPS-06] are forgotten, for good', async () => {
    const { world, taken } = await poisoned()
    const id = (await list(world)).letters[0]?.id
    expect(await world.call('bus.dead.drop', { id })).toEqual({ id, dropped: true })
    expect((await list(world)).letters).toEqual([])
    await expect(world.call('bus.dead.drop', { id })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(taken).toEqual([])
    expect(await eventsOf(world, 'message.dropped')).toMatchObject([
      { actor: 'root', data: { broker: 'redis', reason: 'it cannot be read' } },
    ])
  })

  it('[I4-OPS-10] are for admins', async () => {
    const { world } = await poisoned()
    const id = (await list(world)).letters[0]?.id
    expect(await list(world, {}, alice)).toEqual({ letters: [], unreachable: [] })
    await expect(list(world, { broker: 'redis' }, alice)).rejects.toMatchObject({ code: 'FORBIDDEN' })
    for (const name of ['show', 'requeue', 'drop'])
      await expect(world.call(`bus.dead.${name}`, { id }, alice)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  it('of one that is away do not hide the others', async () => {
    const { world, redis } = await poisoned()
    redis.leave()
    expect(await list(world)).toEqual({ letters: [], unreachable: [{ broker: 'redis', reason: 'nobody listens there' }] })
    await expect(world.call('bus.dead.show', { id: 'nowhere:1' })).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })
})

describe('dead messages in the inbox of an agent', () => {
  it('[I4-OPS-07] are delivered once more as new messages, told with who asked', async () => {
    const { world, runner, id, letter } = await givenUp()
    const { letters } = await list(world, {}, alice)
    expect(letters).toMatchObject([
      { id: letter, broker: 'inbox', agent: 'alice/news', message_id: id, reason: 'the model refused', attempts: 5, body: 'hard' },
    ])
    expect((await list(world, { agent: 'alice/news' })).letters).toEqual(letters)
    expect(await world.call('bus.dead.show', { id: letter }, alice)).toEqual(letters[0])
    const done = await world.call<{ message_id: string }>('bus.dead.requeue', { id: letter }, alice)
    const again = await runner.gets('message', 1)
    expect(again).toMatchObject({ id: done.message_id, content: 'hard', conversation: 'side', sender: 'alice' })
    await runner.answers(done.message_id, 'Now it works')
    const { message, reply } = await world.call<Output<'messages.get'>>('messages.get', { id: done.message_id }, alice)
    expect([message.state, reply?.content]).toEqual(['acknowledged', 'Now it works'])
    const before = await world.call<Output<'messages.get'>>('messages.get', { id }, alice)
    expect(before.message).toMatchObject({ state: 'acknowledged', reason: `requeued by alice as ${done.message_id}` })
    expect((await list(world, {}, alice)).letters).toEqual([])
    await expect(world.call('bus.dead.requeue', { id: letter }, alice)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(await eventsOf(world, 'message.requeued')).toMatchObject([
      { actor: 'alice', agent: 'alice/news', owner: 'alice', data: { id, as: done.message_id, reason: 'the model refused' } },
    ])
  })

  it('[I4-OPS-07] are dropped, and stay as records', async () => {
    const { world, id, letter } = await givenUp()
    expect(await world.call('bus.dead.drop', { id: letter }, alice)).toEqual({ id: letter, dropped: true })
    const { message } = await world.call<Output<'messages.get'>>('messages.get', { id }, alice)
    expect(message).toMatchObject({ state: 'acknowledged', reason: 'dropped by alice' })
    expect(await eventsOf(world, 'message.dropped')).toMatchObject([{ actor: 'alice', agent: 'alice/news', data: { id } }])
    expect((await list(world)).letters).toEqual([])
  })

  it('[I4-OPS-10] are hidden from others', async () => {
    const { world, letter } = await givenUp()
    expect((await list(world, {}, bob)).letters).toEqual([])
    await expect(list(world, { agent: 'alice/news' }, bob)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    for (const name of ['show', 'requeue', 'drop'])
      await expect(world.call(`bus.dead.${name}`, { id: letter }, bob)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect((await list(world, { broker: 'inbox' })).letters).toHaveLength(1)
  })
})
