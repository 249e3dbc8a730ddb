import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { openBroker } from '../../../src/adapters/buses/open-broker.ts'
import type { BrokerSettings } from '../../../src/contract/brokers.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import type { Bus, Topic } from '../../../src/ports/bus.ts'
import { bodies, freshTopic, listen, message } from '../../conformance/bus-talk.ts'
import { disconnecting } from '../../conformance/bus-trouble.ts'
import { until } from '../../helpers/until.ts'
import { noOwnBroker, OwnBroker } from './kafka-broker.ts'
import { securing } from './kafka-security.ts'

const required = process.env.REGENT_TEST_SERVICES === 'required'
const options = noOwnBroker === undefined || required ? {} : { skip: true, meta: { skipReason: noOwnBroker } }

async function opened(settings: BrokerSettings): Promise<Bus> {
  const bus = await openBroker({ settings, clock: systemClock, logger: silentLogger })
  onTestFinished(() => bus.close())
  return bus
}

describe('Kafka, a broker of our own', options, () => {
  let broker: OwnBroker
  beforeAll(async () => {
    broker = await OwnBroker.start()
  }, 120_000)
  afterAll(() => broker?.end())

  const settings = (): BrokerSettings => ({ kind: 'kafka', addresses: [broker.address()] })

  describe('with accounts and certificates', () => securing(() => broker))

  describe('behind a proxy', () => {
    const outside = {
      get settings(): BrokerSettings {
        return { kind: 'kafka', addresses: [broker.address('proxied')] }
      },
      /** Kafka tells its clients where to go on: it is started anew with the proxy's address. */
      openAt: async (address: string) => {
        await broker.kill()
        await broker.up(address)
        return opened({ kind: 'kafka', addresses: [address] })
      },
    }
    disconnecting(() => opened(settings()), outside)
  })

  it('loses nothing when the broker is killed and started again in the middle of work', { timeout: 90_000 }, async () => {
    const topic = freshTopic()
    const [sender, receiver] = [await opened(settings()), await opened(settings())]
    const group = { group: 'g' }
    const { got } = await listen(receiver, topic, group, () => new Promise((resolve) => setTimeout(resolve, 1)))
    const leaving = await opened(settings())
    for (const group of ['of its own', undefined]) await listen(leaving, topic, group === undefined ? {} : { group })
    const sending = sendAll(sender, topic, 1500)
    await until(() => got.length > 200, 'the first two hundred', 30_000)
    await broker.kill()
    await until(() => !receiver.status().connected, 'that it is seen')
    expect(receiver.status().reason).toMatch(/ECONNREFUSED|lost|closed/)
    const begun = performance.now()
    await leaving.close()
    expect(performance.now() - begun).toBeLessThan(9000)
    await broker.up()
    await sending
    await until(() => new Set(bodies(got)).size === 1500, 'all of them', 40_000)
    await until(async () => (await receiver.lag())[0]?.waiting === 0, 'that all is committed', 20_000)
    await until(() => [sender, receiver].every((bus) => bus.status().reconnects > 0), 'that both are connected again', 35_000)
    expect(sender.status()).toMatchObject({ connected: true, reason: null })
  })

  it('loses nothing when the broker is frozen for longer than a session lasts', { timeout: 90_000 }, async () => {
    const topic = freshTopic()
    const bus = await opened(settings())
    const { got } = await listen(bus, topic, { group: 'g' }, () => new Promise((resolve) => setTimeout(resolve, 1)))
    const sending = sendAll(bus, topic, 1000)
    await until(() => got.length > 100, 'the first hundred', 30_000)
    broker.freeze()
    onTestFinished(() => broker.thaw())
    const begun = performance.now()
    await expect(bus.publish(freshTopic(), message('x'))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    expect(performance.now() - begun).toBeLessThan(5500)
    await expect(bus.check()).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    await until(() => !bus.status().connected, 'that it is seen', 15_000)
    await until(() => performance.now() - begun > 12_000, 'the end of the session', 15_000)
    broker.thaw()
    await sending
    await until(() => new Set(bodies(got)).size === 1000, 'all of them', 40_000)
    expect(got.length).toBeLessThan(1200)
  })

  it('keeps the place of a group that is new and goes away before the first message', { timeout: 60_000 }, async () => {
    const topic = freshTopic()
    const bus = await opened(settings())
    const victim = await Victim.start(settings(), topic, 'g')
    await victim.kill()
    await bus.publish(topic, message('while nobody was there'))
    const { got } = await listen(bus, topic, { group: 'g', from: 'latest' })
    await until(() => got.length === 1, 'the message', 20_000)
    expect(bodies(got)).toEqual(['while nobody was there'])
  })

  it('buries a message that ends its subscriber five times', { timeout: 120_000 }, async () => {
    const topic = freshTopic()
    const bus = await opened(settings())
    const lines: string[] = []
    const first = await Victim.start(settings(), topic, 'g', lines)
    for (const body of ['before', 'poison', 'after']) await bus.publish(topic, message(body, { key: 'k' }))
    let victim = first
    for (let round = 0; round < 8 && !lines.includes('done after'); round++) {
      await until(() => victim.gone || lines.includes('done after'), 'the end of a subscriber, or what comes after', 20_000)
      if (victim.gone && !lines.includes('done after')) victim = await Victim.start(settings(), topic, 'g', lines)
    }
    const tries = lines.filter((line) => line.startsWith('got poison'))
    expect(lines).toContain('done after')
    expect(tries.length).toBeGreaterThanOrEqual(5)
    expect(tries.length).toBeLessThanOrEqual(6)
    const [letter] = await bus.deadLetters(topic)
    expect(letter).toMatchObject({ group: 'g', message: { body: 'poison', attempt: 5 }, reason: expect.stringContaining('ended') })
  })

  it('[F32] loses nothing while members join, leave and are killed', { timeout: 120_000 }, async () => {
    const topic = freshTopic()
    const bus = await opened(settings())
    await createTopic(broker, topic, 4)
    const sender = await opened(settings())
    const work = () => new Promise<void>((resolve) => setTimeout(resolve, 2))
    const first = await listen(bus, topic, { group: 'g' }, work)
    const enough = new AbortController()
    const sending = sendUntil(sender, topic, enough.signal)
    await until(() => first.got.length > 100, 'the first hundred', 20_000)
    const lines: string[] = []
    const victim = await Victim.start(settings(), topic, 'g', lines)
    await until(() => lines.filter((line) => line.startsWith('done ')).length > 50, 'messages at the second member', 30_000)
    const third = await listen(await opened(settings()), topic, { group: 'g' }, work)
    await until(() => third.got.length > 50, 'messages at the third member', 30_000)
    await victim.kill()
    await first.subscription.close()
    const before = third.got.length
    await until(() => third.got.length > before + 100, 'the rest at the third member', 30_000)
    const fourth = await listen(bus, topic, { group: 'g' }, work)
    await until(() => fourth.got.length > 50, 'messages at the fourth member', 30_000)
    enough.abort()
    const sent = await sending
    const got = () => [...first.got, ...third.got, ...fourth.got].map(({ body }) => body)
    const handled = () => new Set([...got(), ...lines.flatMap((line) => /^done (.*)$/.exec(line)?.[1] ?? [])])
    await until(() => handled().size === sent, 'each message, at one of them', 60_000)
    expect(got().length).toBeLessThan(sent * 1.1)
  })
})

/** Publishes with patience, as an outbox does: what failed is sent again under the same id. */
async function sendAll(bus: Bus, topic: Topic, count: number): Promise<void> {
  await sendUntil(bus, topic, new AbortController().signal, count)
}

/** The answer is how many it were. */
async function sendUntil(bus: Bus, topic: Topic, enough: AbortSignal, most = Number.POSITIVE_INFINITY): Promise<number> {
  let at = 0
  for (; at < most && !enough.aborted; at += 50) {
    const part = Array.from({ length: 50 }, (_, step) => message(String(at + step), { key: `k${(at + step) % 20}` }))
    await Promise.all(
      part.map((one) =>
        until(
          async () => {
            await bus.publish(topic, one)
            return true
          },
          `a publish of ${one.body}`,
          60_000,
        ),
      ),
    )
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return at
}

async function createTopic(broker: OwnBroker, { name }: Topic, partitions: number): Promise<void> {
  const { Admin } = await import('@platformatic/kafka')
  const admin = new Admin({ clientId: randomUUID(), bootstrapBrokers: [broker.address()] })
  await admin.createTopics({ topics: [name], partitions, replicas: 1 })
  await admin.close()
}

/** A subscriber in a process of its own. */
class Victim {
  readonly lines: string[]
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, lines: string[]) {
    this.#child = child
    this.lines = lines
  }

  static async start(settings: BrokerSettings, topic: Topic, group: string, lines: string[] = []): Promise<Victim> {
    const args = [settings, topic, group].map((arg) => JSON.stringify(arg))
    const child = spawn(process.execPath, [join(import.meta.dirname, '../../fixtures/kafka-victim.ts'), ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const victim = new Victim(child, lines)
    onTestFinished(() => victim.kill())
    const before = lines.length
    createInterface({ input: child.stdout }).on('line', (line) => lines.push(line))
    await until(() => victim.gone || lines.slice(before).length > 0, 'the subscriber is there', 30_000)
    return victim
  }

  get gone(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  async kill(): Promise<void> {
    if (this.gone) return
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await gone
  }
}
