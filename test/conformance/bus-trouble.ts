import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, it, onTestFinished } from 'vitest'
import type { BrokerSettings } from '../../src/contract/brokers.ts'
import type { Bus, Incoming, Topic } from '../../src/ports/bus.ts'
import { TcpProxy } from '../helpers/tcp-proxy.ts'
import { until } from '../helpers/until.ts'
import { bodies, freshTopic, listen, message } from './bus-talk.ts'

/** A broker outside this process; a bus without one has none of these troubles. */
export interface Outside {
  readonly settings: BrokerSettings
  /** Opens another client of it at another address; undefined where a proxy cannot stand before it (its clients are told where to go). */
  readonly openAt?: (address: string) => Promise<Bus>
}

const PATIENCE_MS = 60_000

export function crashing(open: () => Promise<Bus>, outside: Outside | undefined): void {
  it('brings again what a killed subscriber held, under the same ids, or has nothing to lose [part of I4-BUS-08]', {
    timeout: PATIENCE_MS,
  }, async () => {
    const bus = await open()
    if (!outside) return expect(bus.can.durable).toBe(false)
    const [topic, group] = [freshTopic(), `g-${randomUUID().slice(0, 8)}`]
    const victim = await Victim.start(outside.settings, topic, group)
    const sent = ['1', '2', '3'].map((body) => message(body, { key: 'k' }))
    for (const one of sent) await bus.publish(topic, one)
    await until(() => victim.lines.some((line) => line === `got ${sent[0]?.id}`), 'the first, at the victim')
    await victim.kill()
    const { got } = await listen(bus, topic, { group })
    await until(() => new Set(bodies(got)).size === 3, 'all three again', 30_000)
    expect(got.map(({ id }) => id)).toEqual(expect.arrayContaining(sent.map(({ id }) => id)))
    return expect(got.find(({ id }) => id === sent[0]?.id)?.body).toBe('1')
  })
}

export function disconnecting(open: () => Promise<Bus>, outside: Outside | undefined): void {
  it('outlives lost connections and loses nothing by them [I4-BUS-09]', { timeout: PATIENCE_MS }, async () => {
    const direct = await open()
    const openAt = outside?.openAt
    if (!openAt) return expect(direct.status()).toMatchObject({ connected: true, reconnects: 0, reason: null })
    const proxy = await TcpProxy.open(outside.settings.addresses[0] ?? '')
    const bus = await openAt(proxy.address)
    const [topic, group] = [freshTopic(), `g-${randomUUID().slice(0, 8)}`]
    const { got } = await listen(bus, topic, { group })
    for (let round = 0; round < 3; round++) {
      for (let at = 0; at < 20; at++) await direct.publish(topic, message(`${round}-${at}`, { key: 'k' }))
      proxy.cut()
    }
    await until(() => new Set(bodies(got)).size === 60, 'all sixty', 30_000)
    await until(() => bus.status().connected, 'the connection', 30_000)
    await until(() => published(bus, topic, 'last'), 'a publish through the healed connection', 30_000)
    await until(() => bodies(got).includes('last'), 'the last', 30_000)
    return expect(bus.status().reconnects).toBeGreaterThan(0)
  })

  it('says in bounded time that the broker is away or hangs, and goes on when it is back', { timeout: PATIENCE_MS * 2 }, async () => {
    const openAt = outside?.openAt
    if (!openAt) return expect((await open()).status().connected).toBe(true)
    const proxy = await TcpProxy.open(outside.settings.addresses[0] ?? '')
    const bus = await openAt(proxy.address)
    const topic = freshTopic()
    const { got } = await listen(bus, topic, { group: 'g' })
    for (const trouble of ['refuse', 'freeze'] as const) {
      proxy[trouble]()
      const begun = performance.now()
      await expect(bus.publish(topic, message(trouble))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
      await expect(bus.check()).rejects.toMatchObject({ code: 'UNAVAILABLE' })
      expect(performance.now() - begun).toBeLessThan(15_000)
      await until(() => !bus.status().connected, `that it is seen: ${trouble}`, 15_000)
      expect(bus.status().reason).toEqual(expect.any(String))
      proxy.heal()
      await until(() => published(bus, topic, `after ${trouble}`), `a publish after ${trouble}`, 40_000)
      await until(() => bodies(got).includes(`after ${trouble}`), `what was published after ${trouble}`, 40_000)
    }
    return expect(bus.status().connected).toBe(true)
  })
}

export function awaiting(open: () => Promise<Bus>, outside: Outside | undefined): void {
  it('waits with a subscription for a broker that is away, until it is there or the caller gives up', {
    timeout: PATIENCE_MS,
  }, async () => {
    const openAt = outside?.openAt
    if (!openAt) return expect((await open()).status().connected).toBe(true)
    const proxy = await TcpProxy.open(outside.settings.addresses[0] ?? '')
    proxy.refuse()
    const bus = await openAt(proxy.address)
    const topic = freshTopic()
    const reason = new Error('never mind')
    const patience = new AbortController()
    const given = bus.subscribe(topic, async () => {}, { signal: patience.signal })
    patience.abort(reason)
    await expect(given).rejects.toBe(reason)
    const got: Incoming[] = []
    const subscribed = bus.subscribe(topic, async (one) => void got.push(one), { group: 'g' })
    proxy.heal()
    const subscription = await subscribed
    onTestFinished(() => subscription.close())
    await until(() => published(bus, topic, 'at last'), 'a publish', 30_000)
    await until(() => bodies(got).includes('at last'), 'the message')
    return undefined
  })
}

export function pressing(open: () => Promise<Bus>): void {
  it('does not make publishers or others wait for a subscriber that is stuck', { timeout: PATIENCE_MS }, async () => {
    const bus = await open()
    const topic = freshTopic()
    const gate = Promise.withResolvers<void>()
    const stuck = await listen(bus, topic, { group: 'stuck' }, () => gate.promise)
    const other = await listen(bus, topic, { group: 'other' })
    const body = 'x'.repeat(10_000)
    const published = Array.from({ length: 500 }, (_, at) => bus.publish(topic, message(`${at} ${body}`, { key: 'k' })))
    // Memory makes a publisher wait for a while, since it keeps nothing elsewhere.
    if (bus.can.durable) await Promise.all(published)
    await until(() => other.got.length === 500, 'all, at the other group', 30_000)
    expect(stuck.got).toHaveLength(1)
    gate.resolve()
    await until(() => stuck.got.length === 500, 'all, at the one that was stuck', 30_000)
    expect(stuck.got.map((one) => Number(one.body.split(' ')[0]))).toEqual(Array.from({ length: 500 }, (_, at) => at))
    await Promise.all(published)
  })

  it('hands over to the rest of its group when it is closed under load: each message once', { timeout: PATIENCE_MS }, async () => {
    const [bus, second] = [await open(), await open()]
    const topic = freshTopic()
    const leaving = await listen(bus, topic, { group: 'g' })
    if (!bus.can.durable || !bus.can.groups) return expect(leaving.got).toEqual([])
    const sent = Array.from({ length: 300 }, (_, at) => message(String(at)))
    const published = Promise.all(sent.map((one) => second.publish(topic, one)))
    await until(() => leaving.got.length >= 20, 'the first twenty')
    await bus.close()
    await published
    const staying = await listen(second, topic, { group: 'g' })
    await until(
      () => new Set([...bodies(leaving.got), ...bodies(staying.got)]).size === 300,
      'all of them, at the one or the other',
      30_000,
    )
    await second.publish(topic, message('last'))
    await until(() => bodies(staying.got).includes('last'), 'the last')
    return expect(leaving.got.length + staying.got.length).toBe(301)
  })
}

async function published(bus: Bus, topic: Topic, body: string): Promise<boolean> {
  await bus.publish(topic, message(body))
  return true
}

/** A subscriber in a process of its own, to be killed. */
class Victim {
  readonly lines: string[] = []
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  static async start(...args: readonly [BrokerSettings, Topic, string]): Promise<Victim> {
    const file = join(import.meta.dirname, '../fixtures/bus-victim.ts')
    const child = spawn(process.execPath, [file, ...args.map((arg) => JSON.stringify(arg))], { stdio: ['ignore', 'pipe', 'inherit'] })
    const victim = new Victim(child)
    onTestFinished(() => victim.kill())
    createInterface({ input: child.stdout }).on('line', (line) => victim.lines.push(line))
    await until(() => victim.lines.includes('subscribed'), 'the victim subscribes', 20_000)
    return victim
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await gone
  }
}
