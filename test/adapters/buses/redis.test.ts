import { randomUUID } from 'node:crypto'
import { afterAll, describe, expect, it } from 'vitest'
import { parseBrokerUrl } from '../../../src/contract/brokers.ts'
import { busConformance } from '../../conformance/bus.ts'
import { bodies, freshTopic, listen, message } from '../../conformance/bus-talk.ts'
import { describeWith } from '../../helpers/services.ts'
import { TcpProxy } from '../../helpers/tcp-proxy.ts'
import { until } from '../../helpers/until.ts'
import { openRedis, redisCli, subscribeCli } from './redis-world.ts'

describeWith('redis', 'Redis', ({ url }) => {
  // A database of the suite's own, emptied at the end. Channels are common to all.
  const settings = { ...parseBrokerUrl(url), database: '9' }
  const port = Number(new URL(url).port)
  const open = () => openRedis(settings)
  const cli = (...args: string[]) => redisCli(port, '-n', '9', ...args)
  afterAll(() => cli('FLUSHDB'))

  busConformance('Redis', open, { settings, openAt: (address) => openRedis({ ...settings, addresses: [address] }) })

  describe('streams', () => {
    it('[I4-BUS-01] takes what strangers add: a body, a single field of any name, or all fields as JSON', async () => {
      const bus = await open()
      const topic = freshTopic()
      const { got } = await listen(bus, topic, { group: 'g' })
      const first = await cli('XADD', topic.name, '*', 'body', '{"type":"user","content":"hello"}')
      await cli('XADD', topic.name, '*', 'payload', 'any name')
      await cli('XADD', topic.name, '*', 'a', '1', 'b', '2')
      await until(() => got.length === 3, 'all three')
      expect(bodies(got)).toEqual(['{"type":"user","content":"hello"}', 'any name', '{"a":"1","b":"2"}'])
      expect(got[0]?.id).toBe(`${topic.name}/${first}`)
    })

    it('writes what strangers can read', async () => {
      const bus = await open()
      const topic = freshTopic()
      await bus.publish(topic, { id: 'id-1', body: 'hello', key: 'k', headers: { a: 'b' }, correlationId: 'c' })
      const lines = (await cli('XRANGE', topic.name, '-', '+')).split('\n').slice(1)
      expect(lines).toEqual(['id', 'id-1', 'body', 'hello', 'key', 'k', 'headers', '{"a":"b"}', 'correlationId', 'c'])
    })

    it('takes over from a dead consumer at once and in order; only what it had begun counts as tried', async () => {
      const bus = await open()
      const topic = freshTopic()
      await cli('XGROUP', 'CREATE', topic.name, 'g', '0', 'MKSTREAM')
      for (const body of ['1', '2', '3']) await bus.publish(topic, message(body, { key: 'k' }))
      await cli('XREADGROUP', 'GROUP', 'g', `regent:${randomUUID()}:1`, 'COUNT', '3', 'STREAMS', topic.name, '>')
      await bus.publish(topic, message('4', { key: 'k' }))
      const { got } = await listen(bus, topic, { group: 'g' })
      await until(() => got.length === 4, 'all four')
      expect(got.map(({ body, attempt }) => [body, attempt])).toEqual([
        ['1', 2],
        ['2', 1],
        ['3', 1],
        ['4', 1],
      ])
      await until(
        async () => (await cli('XINFO', 'CONSUMERS', topic.name, 'g')).split('\n').filter((line) => line === 'name').length === 1,
        'that the dead one is forgotten',
      )
    })

    it('gives up what killed each of its subscribers', async () => {
      const bus = await open()
      const topic = freshTopic()
      await cli('XGROUP', 'CREATE', topic.name, 'g', '0', 'MKSTREAM')
      await bus.publish(topic, message('poison'))
      const dead = `regent:${randomUUID()}:1`
      const entry = (await cli('XREADGROUP', 'GROUP', 'g', dead, 'STREAMS', topic.name, '>')).split('\n')[1] ?? ''
      await cli('XCLAIM', topic.name, 'g', dead, '0', entry, 'RETRYCOUNT', '5', 'IDLE', '5000')
      const { got } = await listen(bus, topic, { group: 'g', maxAttempts: 5 })
      await until(async () => (await bus.deadLetters(topic)).length === 1, 'the dead letter')
      expect((await bus.deadLetters(topic))[0]).toMatchObject({
        group: 'g',
        message: { body: 'poison', attempt: 5 },
        reason: expect.stringContaining('died'),
      })
      await until(async () => (await cli('XPENDING', topic.name, 'g')).startsWith('0'), 'that nothing is pending')
      expect(got).toEqual([])
    })

    it('hands a requeued dead letter to its own group alone', async () => {
      const bus = await open()
      const topic = freshTopic()
      let well = false
      const sick = await listen(bus, topic, { group: 'sick', maxAttempts: 1 }, async () => {
        if (!well) throw new Error('not well')
      })
      const healthy = await listen(bus, topic, { group: 'healthy' })
      await bus.publish(topic, message('1'))
      await until(async () => (await bus.deadLetters(topic)).length === 1, 'the dead letter')
      well = true
      expect(await bus.requeue((await bus.deadLetters(topic))[0]?.id ?? '')).toBe(true)
      await bus.publish(topic, message('2'))
      await until(() => bodies(healthy.got).includes('2') && bodies(sick.got).includes('2'), 'the second')
      expect([bodies(healthy.got), bodies(sick.got)]).toEqual([
        ['1', '2'],
        ['1', '1', '2'],
      ])
    })

    it('lets go of what every group has acknowledged, and of nothing else', async () => {
      const bus = await open()
      const topic = freshTopic()
      await cli('XGROUP', 'CREATE', topic.name, 'behind', '0', 'MKSTREAM')
      // Of long ago: what is younger than a minute stays in any case.
      await cli('EVAL', "for at = 1, 500 do redis.call('XADD', KEYS[1], at .. '-0', 'body', at) end", '1', topic.name)
      const first = await listen(bus, topic, { group: 'first', from: 'earliest' })
      await until(() => first.got.length === 500, 'all, at the first')
      await first.subscription.close()
      expect(await cli('XLEN', topic.name)).toBe('500')
      const behind = await listen(bus, topic, { group: 'behind' })
      await until(() => behind.got.length === 500, 'all, at the other')
      await behind.subscription.close()
      // Redis lets go of whole blocks of 100.
      expect(Number(await cli('XLEN', topic.name))).toBeLessThanOrEqual(100)
    })

    it('goes on when its stream is deleted', async () => {
      const bus = await open()
      const topic = freshTopic()
      const { got } = await listen(bus, topic, { group: 'g' })
      await cli('DEL', topic.name)
      await bus.publish(topic, message('new'))
      await until(() => bodies(got).includes('new'), 'what is new')
      expect(bodies(got)).toEqual(['new'])
    })

    it('says that a key of another type is no topic', async () => {
      const bus = await open()
      const topic = freshTopic()
      await cli('SET', topic.name, 'text')
      await expect(bus.publish(topic, message('x'))).rejects.toMatchObject({ code: 'INVALID' })
      await expect(bus.subscribe(topic, async () => {}, { group: 'g' })).rejects.toMatchObject({ code: 'INVALID' })
    })

    it('tells the lag of a group', async () => {
      const bus = await open()
      const topic = freshTopic()
      const gate = Promise.withResolvers<void>()
      const { got } = await listen(bus, topic, { group: 'g' }, () => gate.promise)
      for (const body of ['1', '2', '3']) await bus.publish(topic, message(body))
      await until(() => got.length === 1, 'the first')
      expect(await bus.lag()).toEqual([{ topic: topic.name, group: 'g', waiting: 3 }])
      expect((await bus.topics()).find(({ name }) => name === topic.name)).toMatchObject({ waiting: 3 })
      gate.resolve()
      await until(async () => (await bus.lag())[0]?.waiting === 0, 'that nothing waits')
    })
  })

  it('an exclusive subscriber that hangs is followed by the next, which has what it held', { timeout: 60_000 }, async () => {
    const proxy = await TcpProxy.open(settings.addresses[0] ?? '')
    const [first, second] = [await openRedis({ ...settings, addresses: [proxy.address] }), await open()]
    const topic = freshTopic()
    const options = { group: 'g', exclusive: true } as const
    const gate = Promise.withResolvers<void>()
    const holding = await listen(first, topic, options, () => gate.promise)
    await second.publish(topic, message('1'))
    await until(() => holding.got.length === 1, 'the first message, at the first')
    const standing = await listen(second, topic, options)
    await second.publish(topic, message('2'))
    proxy.freeze()
    await until(() => standing.got.length === 2, 'both, at the second', 15_000)
    expect(standing.got.map(({ body, attempt }) => [body, attempt])).toEqual([
      ['1', 2],
      ['2', 1],
    ])
    proxy.heal()
    gate.resolve()
    await until(() => first.check().then(() => true), 'the first is back', 30_000)
    for (const body of ['3', '4', '5']) await second.publish(topic, message(body))
    await until(() => standing.got.length === 5, 'the others, at the second')
    expect(bodies(holding.got)).toEqual(['1'])
  })

  describe('channels', () => {
    it('[I4-BUS-01] hears what redis-cli publishes, and says to redis-cli just the body', async () => {
      const bus = await open()
      const channel = { ...freshTopic(), fleeting: true }
      const { got } = await listen(bus, channel)
      const other = await listen(bus, channel)
      const person = await subscribeCli(port, channel.name)
      await cli('PUBLISH', channel.name, '{"type":"user","content":"from a person"}')
      await bus.publish(channel, message('{"type":"assistant"}', { key: 'k', headers: { a: 'b' } }))
      await until(() => got.length === 2 && other.got.length === 2 && person.length >= 2, 'both, at all three')
      expect(bodies(got)).toEqual(['{"type":"user","content":"from a person"}', '{"type":"assistant"}'])
      expect(person.slice(0, 2)).toEqual(bodies(got))
    })

    it('ends with the last of its subscribers', async () => {
      const bus = await open()
      const channel = { ...freshTopic(), fleeting: true }
      const [one, two] = [await listen(bus, channel), await listen(bus, channel)]
      await one.subscription.close()
      await bus.publish(channel, message('1'))
      await until(() => two.got.length === 1, 'the first')
      await two.subscription.close()
      await until(async () => (await cli('PUBSUB', 'NUMSUB', channel.name)).endsWith('0'), 'that Redis knows of nobody')
      expect(one.got).toEqual([])
    })
  })
})
