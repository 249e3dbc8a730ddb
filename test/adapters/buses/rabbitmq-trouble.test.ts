import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, it, onTestFinished } from 'vitest'
import type { Topic } from '../../../src/ports/bus.ts'
import { bodies, freshTopic, listen, message } from '../../conformance/bus-talk.ts'
import { describeWith } from '../../helpers/services.ts'
import { TcpProxy } from '../../helpers/tcp-proxy.ts'
import { until } from '../../helpers/until.ts'
import { RabbitWorld } from './rabbitmq-world.ts'

describeWith('rabbitmq', 'RabbitMQ in trouble', (urls) => {
  const world = RabbitWorld.of(urls)
  confirms(world)
  kills(world)
  losses(world)
})

function confirms(world: RabbitWorld): void {
  it('[F30] a publish whose confirm is missing fails in time, and is repeated under its id', { timeout: 60_000 }, async () => {
    const proxy = await TcpProxy.open(world.address)
    const [bus, direct] = [await world.open({ addresses: [proxy.address] }), await world.open()]
    const topic = freshTopic()
    const { got } = await listen(direct, topic, { group: 'g' })
    await bus.publish(topic, message('before'))
    proxy.swallow()
    const one = message('once or twice')
    const begun = performance.now()
    await expect(bus.publish(topic, one)).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('confirm') })
    expect(performance.now() - begun).toBeLessThan(6000)
    await until(() => got.length === 2, 'that it arrived all the same')
    await until(() => bus.publish(topic, one).then(() => true), 'the repetition', 30_000)
    await until(() => got.length >= 3, 'the repetition, here')
    expect(new Set(got.slice(1).map(({ id }) => id))).toEqual(new Set([one.id]))
  })

  it('sends nothing later that was refused while the broker was away', { timeout: 60_000 }, async () => {
    const proxy = await TcpProxy.open(world.address)
    const [bus, direct] = [await world.open({ addresses: [proxy.address] }), await world.open()]
    const topic = freshTopic()
    const { got } = await listen(direct, topic, { group: 'g' })
    proxy.refuse()
    const lost = await Promise.allSettled(Array.from({ length: 50 }, () => bus.publish(topic, message('too early'))))
    expect(lost.every(({ status }) => status === 'rejected')).toBe(true)
    proxy.heal()
    await until(() => bus.publish(topic, message('in time')).then(() => true), 'the connection', 30_000)
    await until(() => got.length > 0, 'the one in time')
    expect(bodies(got)).toEqual(['in time'])
  })

  it('goes to the next address when one is away', { timeout: 40_000 }, async () => {
    const [first, second] = [await TcpProxy.open(world.address), await TcpProxy.open(world.address)]
    const bus = await world.open({ addresses: [first.address, second.address] })
    const topic = freshTopic()
    const { got } = await listen(bus, topic, { group: 'g' })
    first.refuse()
    await until(() => bus.publish(topic, message('over there')).then(() => true), 'the other address', 30_000)
    await until(() => got.length > 0, 'the message', 20_000)
    expect(second.connections).toBe(2)
  })
}

function kills(world: RabbitWorld): void {
  it('brings a message of no id again under the same one after kill -9', { timeout: 40_000 }, async () => {
    const bus = await world.open()
    const topic: Topic = { name: `commands-${randomUUID()}`, exchange: '' }
    const victim = await Victim.start(world, topic, 'g')
    await world.manage('POST', `exchanges/${world.settings.database}/amq.default/publish`, {
      properties: { delivery_mode: 2 },
      routing_key: topic.name,
      payload: 'by hand',
      payload_encoding: 'string',
    })
    await until(() => victim.taken.length === 1, 'it at the victim')
    await victim.kill()
    const { got } = await listen(bus, topic)
    await until(() => got.length === 1, 'it again')
    expect(got[0]).toMatchObject({ id: victim.taken[0], body: 'by hand', attempt: 2 })
  })

  it('gives up what kills every process that takes it, and nothing of what waits behind it [I4-BUS-06]', { timeout: 60_000 }, async () => {
    const bus = await world.open()
    const topic = freshTopic()
    const group = 'g'
    await (await bus.subscribe(topic, async () => {}, { group })).close()
    const [poison, ...others] = Array.from({ length: 60 }, (_, at) => message(String(at)))
    for (const one of [poison, ...others]) if (one) await bus.publish(topic, one)
    for (let round = 0; round < 6; round++) {
      const victim = await Victim.start(world, topic, group)
      await until(() => victim.taken.length === 1, 'the poison at the victim')
      expect(victim.taken).toEqual([poison?.id])
      await victim.kill()
    }
    const { got } = await listen(bus, topic, { group })
    await until(() => got.length === others.length, 'all others', 30_000)
    expect(bodies(got)).toEqual(others.map(({ body }) => body))
    expect(Math.max(...got.map(({ attempt }) => attempt))).toBeLessThanOrEqual(2)
    const letters = await bus.deadLetters(topic)
    expect(letters.map(({ message: { id }, reason }) => [id, reason])).toEqual([[poison?.id, 'its handler did not come to an end 6 times']])
  })
}

function losses(world: RabbitWorld): void {
  it('does not hand out again what is still being handled when its connection is lost', { timeout: 40_000 }, async () => {
    const proxy = await TcpProxy.open(world.address)
    const [bus, direct] = [await world.open({ addresses: [proxy.address] }), await world.open()]
    const topic = freshTopic()
    const gate = Promise.withResolvers<void>()
    const { got } = await listen(bus, topic, { group: 'g' }, ({ body }) => (body === '0' ? gate.promise : Promise.resolve()))
    for (let at = 0; at < 50; at++) await direct.publish(topic, message(String(at)))
    await until(() => got.length === 1, 'the first')
    proxy.cut()
    await until(() => bus.status().reconnects === 1, 'the next connection', 20_000)
    expect(await bus.lag()).toEqual([{ topic: topic.name, group: 'g', waiting: expect.any(Number) }])
    gate.resolve()
    await until(() => got.length >= 50, 'all', 20_000)
    await direct.publish(topic, message('last'))
    await until(() => bodies(got).includes('last'), 'the last')
    expect(bodies(got)).toEqual([...Array.from({ length: 50 }, (_, at) => String(at)), 'last'])
    await until(async () => (await bus.lag())[0]?.waiting === 0, 'nothing waits')
  })

  it('makes its queue anew when somebody deletes it', { timeout: 40_000 }, async () => {
    const bus = await world.open()
    const topic = freshTopic()
    const { got } = await listen(bus, topic, { group: 'g' })
    await world.manage('DELETE', `queues/${world.settings.database}/${encodeURIComponent(`regent.${topic.name}.g`)}`)
    await until(
      async () => {
        await bus.publish(topic, message('again'))
        return got.length > 0
      },
      'a message',
      20_000,
    )
    expect(got[0]?.body).toBe('again')
  })
}

/** A subscriber in a process of its own. */
class Victim {
  readonly taken: string[] = []
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  static async start({ settings }: RabbitWorld, topic: Topic, group: string): Promise<Victim> {
    const file = join(import.meta.dirname, '../../fixtures/bus-victim.ts')
    const args = [settings, topic, group].map((one) => JSON.stringify(one))
    const child = spawn(process.execPath, [file, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
    const victim = new Victim(child)
    onTestFinished(() => victim.kill())
    const subscribed = Promise.withResolvers<void>()
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line === 'subscribed') subscribed.resolve()
      else victim.taken.push(line.replace(/^got /, ''))
    })
    await subscribed.promise
    return victim
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await gone
  }
}
