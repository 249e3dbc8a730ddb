import { spawnSync } from 'node:child_process'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openBroker } from '../../../src/adapters/buses/open-broker.ts'
import type { BrokerSettings } from '../../../src/contract/brokers.ts'
import { parseBrokerUrl } from '../../../src/contract/brokers.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import type { Topic } from '../../../src/ports/bus.ts'
import { busConformance } from '../../conformance/bus.ts'
import { freshTopic, listen, message } from '../../conformance/bus-talk.ts'
import { describeWith } from '../../helpers/services.ts'
import { until } from '../../helpers/until.ts'

async function opened(settings: BrokerSettings) {
  const bus = await openBroker({ settings, clock: systemClock, logger: silentLogger })
  onTestFinished(() => bus.close())
  return bus
}

describeWith('kafka', 'on a real broker', ({ url }) => {
  const settings = parseBrokerUrl(url)
  const open = async () => {
    const bus = await opened(settings)
    await until(() => bus.status().connected, 'the connection')
    return bus
  }
  busConformance('Kafka', open, { settings })

  it('names a topic that Kafka could not, and refuses what it cannot tell apart', async () => {
    const bus = await open()
    const topic: Topic = { name: `agent:${freshTopic().name}` }
    const { got } = await listen(bus, topic)
    await bus.publish(topic, message('x'))
    await until(() => got.length === 1, 'the message')
    expect(got[0]?.topic).toEqual(topic)
    expect((await bus.topics()).map(({ name }) => name)).toContain(topic.name.replace(':', '-x3a-'))
    for (const name of ['', '..', 'a-x3a-b', 'x'.repeat(250)])
      await expect(bus.publish({ name }, message('x'))).rejects.toMatchObject({ code: 'INVALID' })
  })

  it('says what is wrong when an account is named at a port that knows none', async () => {
    const bus = await opened({ ...settings, sasl: { mechanism: 'PLAIN', username: 'u', password: 'p' } })
    const publishing = bus.publish(freshTopic(), message('x'))
    await expect(publishing).rejects.toThrow('knows no accounts (SASL): see security_protocol and the port')
  })

  it('keeps the topics of one group apart [I4-BUS-03]', { timeout: 30_000 }, async () => {
    const [bus, second] = [await open(), await open()]
    const [one, two] = [freshTopic(), freshTopic()]
    const group = `g-${one.name.slice(-8)}`
    const [first, other, last] = [
      await listen(bus, one, { group }),
      await listen(bus, two, { group }),
      await listen(second, two, { group }),
    ]
    for (let at = 0; at < 10; at++) {
      await bus.publish(one, message(`1-${at}`))
      await bus.publish(two, message(`2-${at}`))
    }
    await until(() => first.got.length === 10 && other.got.length + last.got.length === 10, 'all, at each')
    expect(first.got.every(({ body }) => body.startsWith('1-'))).toBe(true)
    expect((await bus.lag()).map(({ group: name }) => name)).toEqual([group, group])
  })

  it('leaves nothing behind of a subscriber without a group', async () => {
    const bus = await open()
    const { Admin } = await import('@platformatic/kafka')
    const admin = new Admin({ clientId: 'test', bootstrapBrokers: [...settings.addresses] })
    onTestFinished(() => admin.close())
    const groups = async () => [...(await admin.listGroups()).keys()].filter((id) => /regent/.test(id))
    const before = await groups()
    const { got, subscription } = await listen(bus, freshTopic())
    await subscription.close()
    expect(await groups()).toEqual(before)
    expect(got).toEqual([])
  })

  strangers(open, settings)
})

/** `kcat` as a foreign producer and consumer, by the lines of docs/kafka.md. */
function strangers(open: () => ReturnType<typeof opened>, { addresses }: BrokerSettings): void {
  const kcat = (input: string, ...args: string[]) =>
    spawnSync('kcat', ['-b', addresses.join(), ...args], { input, encoding: 'utf8', timeout: 20_000 })
  const missing = kcat('', '-V').error
  const options = missing ? { skip: true, meta: { skipReason: `needs kcat: ${missing.message}` } } : {}

  describe('beside kcat', options, () => {
    it('gets what kcat sends, with an id made of its place, the same at each attempt', async () => {
      const bus = await open()
      const topic = freshTopic()
      const { got } = await listen(bus, topic, { group: 'g' }, async ({ attempt }) => {
        if (attempt === 1) throw new Error('once more')
      })
      expect(
        kcat('k|{"type":"user","content":"hello"}\n', '-P', '-t', topic.name, '-K', '|', '-H', 'x-one=1', '-z', 'snappy'),
      ).toMatchObject({ status: 0 })
      await until(() => got.length === 2, 'both attempts')
      const seen = { id: `${topic.name}/0/0`, body: '{"type":"user","content":"hello"}', key: 'k', headers: { 'x-one': '1' } }
      expect(got).toMatchObject([
        { ...seen, attempt: 1 },
        { ...seen, attempt: 2 },
      ])
    })

    it('is read by kcat: body, key and headers as they are', async () => {
      const bus = await open()
      const topic = freshTopic()
      const sent = message('{"text":"héllo"}', { key: 'k', headers: { 'x-one': '1' }, contentType: 'application/json' })
      await bus.publish(topic, sent)
      const { stdout } = kcat('', '-C', '-t', topic.name, '-o', 'beginning', '-c', '1', '-e', '-q', '-f', '%k|%s|%h')
      expect(stdout).toBe(`k|${sent.body}|x-one=1,regent-id=${sent.id},content-type=application/json`)
    })
  })
}
