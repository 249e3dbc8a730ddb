import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { Output } from '../../../src/contract/operations.ts'
import type { Caller } from '../../../src/contract/tokens.ts'
import type { Incoming } from '../../../src/ports/bus.ts'
import { admin, CoreWorld, userCalled } from '../../helpers/core-world.ts'
import { FakeBroker } from '../../helpers/fake-bus.ts'
import { until } from '../../helpers/until.ts'

const alice = userCalled('alice')
const bob = userCalled('bob')
const reader: Caller = { user: 'alice', role: 'read-only', via: 'test' }

const withRedis = async () => {
  const redis = new FakeBroker('redis')
  const world = await CoreWorld.open([{ name: 'redis', address: 'redis at h:1', bus: redis.bus }])
  return { world, redis }
}

/** Follows a topic as a caller would; `got` grows. */
async function tailing(world: CoreWorld, input: object, caller: Caller = admin) {
  const stop = new AbortController()
  const got: Output<'bus.tail'>[] = []
  const ended = (async () => {
    for await (const message of world.core.open('bus.tail', input, { caller, signal: stop.signal })) got.push(message as Output<'bus.tail'>)
  })()
  ended.catch(() => undefined)
  return { got, stop, ended }
}

const listening = async (world: CoreWorld, topic: string, broker = world.bus) => {
  const heard: Incoming[] = []
  await broker.subscribe({ name: topic }, async (message) => void heard.push(message))
  return heard
}

describe('bus.publish', () => {
  it('[I4-OPS-01] sends on any configured broker, with key, headers and id', async () => {
    const { world, redis } = await withRedis()
    const here = await listening(world, 'news')
    const there = await listening(world, 'news', redis.bus)
    const sent = await world.call<{ id: string }>('bus.publish', { topic: 'news', message: 'plain' })
    expect(sent).toEqual({ id: expect.any(String), topic: 'news', broker: 'bus' })
    const more = { key: 'k', headers: { a: 'b' }, id: 'mine', content_type: 'text/x' }
    expect(await world.call('bus.publish', { topic: 'news', broker: 'redis', message: { a: 1 }, ...more })).toEqual({
      ...{ id: 'mine', topic: 'news', broker: 'redis' },
    })
    expect(here).toMatchObject([{ id: sent.id, body: 'plain' }])
    expect(there).toMatchObject([{ id: 'mine', body: '{"a":1}', key: 'k', headers: { a: 'b' }, contentType: 'text/x' }])
  })

  it('[I4-OPS-01] gives one id to one idempotency key, and publishes once', async () => {
    const { world } = await withRedis()
    const heard = await listening(world, 'news')
    const key = randomUUID()
    const publish = () => world.call<{ id: string }>('bus.publish', { topic: 'news', message: 'once' }, admin, key)
    const answers = [...(await Promise.all([publish(), publish()])), await publish()]
    expect(new Set(answers.map(({ id }) => id)).size).toBe(1)
    expect(heard.map(({ id }) => id)).toEqual([answers[0]?.id])
    await world.reborn()
    const again = await listening(world, 'news')
    expect(await publish()).toEqual(answers[0])
    expect(again.map(({ id }) => id)).toEqual([answers[0]?.id])
    await expect(world.call('bus.publish', { topic: 'news', message: 'other' }, admin, key)).rejects.toMatchObject({ code: 'INVALID' })
  })

  it('tries again under the same key what the broker did not take', async () => {
    const { world, redis } = await withRedis()
    redis.leave()
    const publish = () => world.call<{ id: string }>('bus.publish', { topic: 'news', broker: 'redis', message: 'x' }, admin, 'key')
    await expect(publish()).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    redis.comeBack()
    await publish()
    await publish()
    expect(redis.taken).toEqual(['x'])
  })

  it("[I4-OPS-02] puts a message on an agent's channel as its envelope, for whoever may use the agent", async () => {
    const { world } = await withRedis()
    const id = await world.team()
    const runner = await world.running(id)
    const heard = await listening(world, 'agent:alice-news')
    expect(await world.call('bus.publish', { agent: 'news', message: 'How is ETH?' }, alice)).toMatchObject({ topic: 'agent:alice-news' })
    await world.call('bus.publish', { agent: 'alice/news', message: { type: 'user', content: 'And BTC?', metadata: { a: 1 } } })
    expect(heard.map(({ body }) => JSON.parse(body))).toEqual([
      { type: 'user', content: 'How is ETH?' },
      { type: 'user', content: 'And BTC?', metadata: { a: 1 } },
    ])
    expect((await runner.gets('message', 1)).content).toBe('And BTC?')
    await expect(world.call('bus.publish', { agent: 'news', message: 7 }, alice)).rejects.toMatchObject({ code: 'INVALID' })
  })

  it('[I4-OPS-10] refuses what the caller may not, and what cannot be', async () => {
    const { world } = await withRedis()
    await world.team()
    const code = (input: object, caller: Caller) =>
      world.call('bus.publish', { message: 'x', ...input }, caller).then(
        () => 'done',
        (error) => error.code,
      )
    expect(await code({ topic: 'agent:alice-news' }, alice)).toBe('FORBIDDEN')
    expect(await code({ topic: 't', broker: 'redis' }, bob)).toBe('FORBIDDEN')
    expect(await code({ agent: 'alice/news' }, bob)).toBe('NOT_FOUND')
    expect(await code({ agent: 'alice/news' }, reader)).toBe('FORBIDDEN')
    expect(await code({ topic: 't', broker: 'kafka' }, admin)).toBe('NOT_FOUND')
    expect(await code({ agent: 'alice/news', topic: 't' }, admin)).toBe('INVALID')
    expect(await code({ topic: 't', exchange: 'e' }, admin)).toBe('INVALID')
    expect(await code({}, admin)).toBe('INVALID')
    const kafka = await CoreWorld.open([{ name: 'kafka', address: 'a', bus: new FakeBroker('kafka').bus }])
    const fleeting = { topic: 't', broker: 'kafka', fleeting: true, message: 'x' }
    await expect(kafka.call('bus.publish', fleeting, admin)).rejects.toThrow('kafka is kafka, which knows no fleeting topics')
    for (const name of ['bus.topics', 'bus.status']) await expect(world.call(name, {}, alice)).rejects.toMatchObject({ code: 'FORBIDDEN' })
    const { ended } = await tailing(world, { topic: 'agent_alice-news' }, bob)
    await expect(ended).rejects.toMatchObject({ code: 'FORBIDDEN' })
  })

  it('does not speak on a channel that another user has', async () => {
    const { world } = await withRedis()
    const pubsub = { pubsub_enabled: true, pubsub_config: { backend: 'memory', channel_name: 'shared' } }
    for (const owner of ['alice', 'bob'])
      await world.call('agents.create', { agent: { kind: 'team', owner, name: 'news', subagents: [], json_config: pubsub } })
    await world.call('bus.publish', { agent: 'news', message: 'x' }, alice)
    await expect(world.call('bus.publish', { agent: 'news', message: 'x' }, bob)).rejects.toMatchObject({ code: 'ILLEGAL_STATE' })
  })
})

describe('bus.tail', () => {
  it('[I4-OPS-03] follows a topic of any broker, with all that is known of a message', async () => {
    const { world, redis } = await withRedis()
    const tail = await tailing(world, { topic: 'news', broker: 'redis' })
    await until(async () => (await redis.bus.topics()).length === 1, 'it listens')
    const more = { key: 'k', headers: { a: 'b' }, id: 'm' }
    await world.call('bus.publish', { topic: 'news', broker: 'redis', message: { a: 1 }, ...more })
    await until(() => tail.got.length === 1, 'the message')
    expect(tail.got).toEqual([
      { id: 'm', topic: 'news', body: '{"a":1}', key: 'k', headers: { a: 'b' }, content_type: 'application/json', attempt: 1 },
    ])
    tail.stop.abort()
    await tail.ended
    expect(await redis.bus.topics()).toEqual([])
  })

  it('[I4-OPS-03] follows what an agent says, for its owner', async () => {
    const { world } = await withRedis()
    const id = await world.team()
    const runner = await world.running(id)
    const tail = await tailing(world, { agent: 'news' }, reader)
    await until(
      async () => (await world.bus.topics()).some((one) => one.name === 'agent_alice-news' && one.subscribers === 2),
      'it listens',
    )
    await world.call('bus.publish', { agent: 'news', message: 'How is ETH?' }, alice)
    await runner.answers((await runner.gets('message')).id, 'Well')
    await until(() => tail.got.some(({ body }) => JSON.parse(body).content === 'Well'), 'its answer')
    tail.stop.abort()
    const { ended } = await tailing(world, { agent: 'alice/news' }, bob)
    await expect(ended).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  it('acknowledges for a group what was read, and no more', async () => {
    const { world, redis } = await withRedis()
    const stop = new AbortController()
    const stream = world.core.open('bus.tail', { topic: 't', broker: 'redis', group: 'g' }, { caller: admin, signal: stop.signal })
    const reading = stream[Symbol.asyncIterator]()
    const first = reading.next()
    await until(async () => (await redis.bus.topics()).length === 1, 'it listens')
    for (const n of [1, 2, 3]) void world.call('bus.publish', { topic: 't', broker: 'redis', message: `${n}` })
    expect((await first).value).toMatchObject({ body: '1' })
    expect((await redis.bus.lag())[0]).toMatchObject({ group: 'g' })
    expect((await reading.next()).value).toMatchObject({ body: '2' })
    expect((await redis.bus.lag())[0]?.waiting).toBeGreaterThanOrEqual(2)
    stop.abort()
    expect((await reading.next()).done).toBe(true)
  })

  it('says so at once where a broker is away or keeps nothing', async () => {
    const { world, redis } = await withRedis()
    redis.leave()
    await expect((await tailing(world, { topic: 't', broker: 'redis' })).ended).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    await expect((await tailing(world, { topic: 't', from: 'earliest' })).ended).rejects.toMatchObject({ code: 'INVALID' })
  })
})

describe('bus.topics and bus.status', () => {
  it('[I4-OPS-04] lists the topics of a broker', async () => {
    const { world, redis } = await withRedis()
    await listening(world, 'there', redis.bus)
    expect(await world.call('bus.topics', { broker: 'redis' })).toEqual({ topics: [{ name: 'there', subscribers: 1, waiting: 0 }] })
  })

  it('[I4-OPS-05] tells of each broker how it is, what waits and what is dead, and how far the outbox is', async () => {
    const { world, redis } = await withRedis()
    await redis.bus.subscribe({ name: 't' }, () => Promise.reject(new Error('poison')), { group: 'g', maxAttempts: 1 })
    await world.call('bus.publish', { topic: 't', broker: 'redis', message: 'x' })
    const status = await world.call<Output<'bus.status'>>('bus.status', {})
    expect(status.brokers).toEqual([
      expect.objectContaining({ name: 'bus', kind: 'memory', address: 'in this process', connected: true, dead_letters: 0 }),
      {
        ...{
          name: 'redis',
          kind: 'redis',
          address: 'redis at h:1',
          connected: true,
          since: expect.any(Number),
          reason: null,
          reconnects: 0,
        },
        ...{ lag: [{ topic: 't', group: 'g', waiting: 0 }], dead_letters: 1 },
      },
    ])
    expect(status.relays).toMatchObject([{ name: 'channels', broker: 'memory', refused: 0, dropped: 0, retrying: null }])
    expect(status.dead_in_inboxes).toBe(0)
    redis.leave()
    const away = await world.call<Output<'bus.status'>>('bus.status', {})
    expect(away.brokers[1]).toMatchObject({ connected: false, reason: 'nobody listens there' })
  })
})
