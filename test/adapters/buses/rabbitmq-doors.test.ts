import { randomUUID } from 'node:crypto'
import { type Channel, Connection } from 'rabbitmq-client'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Bus, Topic } from '../../../src/ports/bus.ts'
import { bodies, listen, message } from '../../conformance/bus-talk.ts'
import { describeWith } from '../../helpers/services.ts'
import { TcpProxy } from '../../helpers/tcp-proxy.ts'
import { until } from '../../helpers/until.ts'
import { RabbitWorld } from './rabbitmq-world.ts'

const fresh = (stem: string) => `${stem}-${randomUUID().slice(0, 8)}`
const eventArguments = { 'x-message-ttl': 3_600_000, 'x-max-length': 10_000 }

describeWith('rabbitmq', 'RabbitMQ, as doors and other programs use it', (urls) => {
  const world = RabbitWorld.of(urls)
  contractObjects(world)
  replies(world)
  foreigners(world)
  standingBy(world)
})

/** Another program. */
async function stranger({ settings, address }: RabbitWorld): Promise<Channel> {
  const [hostname = '', port = ''] = address.split(':')
  const connection = new Connection({ hostname, port, username: 'guest', password: 'guest', vhost: settings.database ?? '/' })
  connection.on('error', () => {})
  const channel = await connection.acquire()
  onTestFinished(async () => {
    await channel.close()
    await connection.close()
  })
  return channel
}

function contractObjects(world: RabbitWorld): void {
  describe('objects of a contract', () => {
    it('are declared just as other programs declare them, whoever comes first', async () => {
      const bus = await world.open()
      const other = await stranger(world)
      const [exchange, ours, theirs] = [fresh('autogen.events'), fresh('events'), fresh('events')]
      const topic: Topic = { name: 'agent.created', exchange, exchangeType: 'topic' }
      const keys = ['agent.created', 'agent.updated']
      const first = await listen(bus, topic, { queue: { name: ours, durable: true, keys, arguments: eventArguments } })
      for (const queue of [ours, theirs]) {
        await other.exchangeDeclare({ exchange, type: 'topic', durable: true })
        await other.queueDeclare({ queue, durable: true, arguments: eventArguments })
      }
      const second = await listen(bus, topic, { queue: { name: theirs, durable: true, keys, arguments: eventArguments } })
      expect(await world.queue(ours)).toMatchObject({ durable: true, exclusive: false, auto_delete: false, arguments: eventArguments })
      await other.basicPublish({ exchange, routingKey: 'agent.updated' }, 'x')
      await bus.publish({ name: 'agent.stopped', exchange }, message('for nobody'))
      await bus.publish(topic, message('y'))
      await until(() => first.got.length === 2 && second.got.length === 2, 'both at both')
      expect(first.got.map(({ topic: { name }, body }) => [name, body])).toEqual([
        ['agent.updated', 'x'],
        ['agent.created', 'y'],
      ])
    })

    it('that were declared otherwise are refused in words, and harm nobody else', async () => {
      const bus = await world.open()
      const other = await stranger(world)
      const [exchange, queue] = [fresh('clash'), fresh('clash')]
      await other.exchangeDeclare({ exchange, type: 'fanout', durable: true })
      await other.queueDeclare({ queue, durable: true, arguments: { 'x-message-ttl': 1000 } })
      const healthy = await listen(bus, { name: fresh('t') })
      await expect(bus.subscribe({ name: queue, exchange: '' }, async () => {})).rejects.toMatchObject({
        code: 'INVALID',
        message: expect.stringContaining(queue),
        hint: expect.stringContaining('delete it'),
      })
      await expect(bus.publish({ name: 'k', exchange, exchangeType: 'direct' }, message('x'))).rejects.toMatchObject({
        code: 'INVALID',
        message: expect.stringContaining(exchange),
      })
      const topic: Topic = { name: 'k', exchange, exchangeType: 'direct' }
      await expect(bus.subscribe(topic, async () => {}, { group: 'g' })).rejects.toMatchObject({ code: 'INVALID' })
      expect(healthy.got).toEqual([])
      await expect(bus.check()).resolves.toBeUndefined()
    })

    it('of an account that RabbitMQ does not know are refused', async () => {
      const bus = await world.open({ password: 'wrong' })
      await expect(bus.subscribe({ name: 't' }, async () => {})).rejects.toMatchObject({ code: 'FORBIDDEN' })
      await expect(bus.publish({ name: 't' }, message('x'))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
      expect(bus.status()).toMatchObject({ connected: false, reason: expect.stringMatching(/^ACCESS_REFUSED/) })
    })

    it('take any name literally, and no two groups share a queue', async () => {
      const bus = await world.open()
      const stem = randomUUID()
      const pairs = [
        [`${stem}.a.b`, 'c'],
        [`${stem}.a`, 'b.c'],
        [`${stem}.#`, 'g'],
        [`${stem}.*`, 'g'],
        [`${stem}%23`, 'g'],
        [`${stem}/ä ?`, 'g'],
      ] as const
      const all = await Promise.all(pairs.map(([name, group]) => listen(bus, { name }, { group })))
      for (const [name] of pairs) await bus.publish({ name }, message(name))
      await until(() => all.every(({ got }) => got.length > 0), 'one at each')
      expect(all.map(({ got }) => bodies(got))).toEqual(pairs.map(([name]) => [name]))
      await expect(bus.publish({ name: 'x'.repeat(256) }, message('x'))).rejects.toMatchObject({ code: 'INVALID' })
    })

    it('take no headers that RabbitMQ would act on', async () => {
      const bus = await world.open()
      const { got } = await listen(bus, { name: 't' })
      for (const name of ['CC', 'BCC', 'regent-key'])
        await expect(bus.publish({ name: 't' }, message('x', { headers: { [name]: 'other' } }))).rejects.toMatchObject({ code: 'INVALID' })
      const large = { big: 'x'.repeat(60_000) }
      await bus.publish({ name: 't' }, message('y', { headers: large }))
      await until(() => got.length === 1, 'the one with large headers')
      expect(got[0]?.headers).toEqual(large)
    })
  })
}

function replies(world: RabbitWorld): void {
  it('tells whether the queue of a reply is gone, with others that are not at the same time', async () => {
    const bus = await world.open()
    const other = await stranger(world)
    const queue = fresh('reply')
    await other.queueDeclare({ queue, exclusive: true })
    const there = Array.from({ length: 20 }, (_, at) => bus.publish({ name: queue, exchange: '' }, message(`${at}`)))
    const gone = Array.from({ length: 20 }, () => bus.publish({ name: fresh('gone'), exchange: '' }, message('x')))
    const ends = await Promise.allSettled(gone)
    await Promise.all(there)
    for (const end of ends) expect(end).toMatchObject({ status: 'rejected', reason: { code: 'NOT_FOUND' } })
    expect((await other.queueDeclare({ queue, passive: true })).messageCount).toBe(20)
  })

  it("answers by RabbitMQ's direct reply-to", async () => {
    const bus = await world.open()
    const other = await stranger(world)
    const name = fresh('rpc')
    await listen(bus, { name }, { group: 'g' }, ({ replyTo = '', correlationId = '' }) =>
      bus.publish({ name: replyTo, exchange: '' }, message('pong', { correlationId })),
    )
    const answers: unknown[] = []
    await other.basicConsume({ queue: 'amq.rabbitmq.reply-to', noAck: true }, ({ correlationId }) => answers.push(correlationId))
    const replyTo = 'amq.rabbitmq.reply-to'
    await other.basicPublish({ exchange: 'regent', routingKey: name, replyTo, correlationId: 'c-1' }, 'ping')
    await until(() => answers.length === 1, 'the answer')
    expect(answers).toEqual(['c-1'])
  })
}

function foreigners(world: RabbitWorld): void {
  it('hands the bodies of others out byte for byte, and names those without an id the same at each redelivery', async () => {
    const proxy = await TcpProxy.open(world.address)
    const bus = await world.open({ addresses: [proxy.address] })
    const other = await stranger(world)
    const queue = fresh('foreign')
    const gate = Promise.withResolvers<void>()
    const { got } = await listen(bus, { name: queue, exchange: '' }, {}, async ({ attempt }) => {
      if (attempt > 1) return
      await gate.promise
      throw new Error('not now')
    })
    const body = '{ "n": 12345678901234567890, "f": 1.0 }\n'
    await other.basicPublish({ routingKey: queue, contentType: 'application/json', headers: { n: 1, deep: { a: [1] } } }, Buffer.from(body))
    await until(() => got.length === 1, 'the first time')
    proxy.cut()
    await until(() => !bus.status().connected, 'the loss')
    gate.resolve()
    await until(() => got.length === 2, 'it again', 20_000)
    expect(got[0]).toMatchObject({ body, contentType: 'application/json', headers: { n: '1', deep: '{"a":[1]}' }, attempt: 1 })
    expect(got[1]).toMatchObject({ body, id: got[0]?.id, attempt: 2 })
    expect(got[0]?.id).toMatch(/^unnamed-[0-9a-f]{32}$/)
  })

  it('gives up at once what is larger than messages may be, as it was, and goes on', async () => {
    const bus = await world.open()
    const other = await stranger(world)
    const topic = { name: fresh('large') }
    const { got } = await listen(bus, topic, { group: 'g' })
    await other.basicPublish({ exchange: 'regent', routingKey: topic.name, messageId: 'm-1', durable: true }, 'x'.repeat(10 * 1024 * 1024))
    await other.basicPublish({ exchange: 'regent', routingKey: topic.name }, 'next')
    await until(() => got.length === 1, 'the next')
    expect(bodies(got)).toEqual(['next'])
    const [letter] = await bus.deadLetters(topic)
    expect(letter).toMatchObject({ group: 'g', message: { id: 'm-1' }, reason: expect.stringContaining('10485760 bytes') })
    expect(letter?.message.body.length).toBe(10 * 1024 * 1024)
    expect(await bus.drop(letter?.id ?? '')).toBe(true)
  })
}

function standingBy(world: RabbitWorld): void {
  it('lets one of two have the queue of a door, and the other take over when that is lost [F35]', { timeout: 40_000 }, async () => {
    const proxy = await TcpProxy.open(world.address)
    const [first, second, third] = [await world.open({ addresses: [proxy.address] }), await world.open(), await world.open()]
    const topic: Topic = { name: 'agent-manager', exchange: fresh('autogen.direct'), exchangeType: 'direct' }
    const options = { exclusive: true, queue: { name: fresh('commands'), durable: true } }
    const [one, two] = [await listen(first, topic, options), await listen(second, topic, options)]
    const send = (bus: Bus, body: string) => bus.publish(topic, message(body))
    for (let at = 0; at < 20; at++) await send(third, `before-${at}`)
    await until(() => one.got.length === 20, 'all at the first')
    expect(two.got).toEqual([])
    proxy.refuse()
    await send(third, 'after')
    // What the first had taken and whose acknowledgement was under way at the cut comes to the second once more.
    const atSecond = () => bodies(two.got).filter((body) => !body.startsWith('before-'))
    await until(() => atSecond().length === 1, 'it at the second', 30_000)
    proxy.heal()
    await until(() => first.status().connected, 'the first is back', 30_000)
    for (let at = 0; at < 20; at++) await send(third, `again-${at}`)
    await until(() => atSecond().length === 21, 'all at the second')
    expect(one.got).toHaveLength(20)
  })
}
