import { randomUUID } from 'node:crypto'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createMemoryBus } from '../../../src/adapters/buses/memory/memory-bus.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import type { Bus, Outgoing, Topic } from '../../../src/ports/bus.ts'
import { busConformance } from '../../conformance/bus.ts'
import { FakeClock } from '../../helpers/fake-clock.ts'
import { until } from '../../helpers/until.ts'

busConformance('Memory', async () => {
  const bus = createMemoryBus({ clock: systemClock, logger: silentLogger })
  onTestFinished(() => bus.close())
  return bus
})

const topic = { name: 't' }
const message = (body: string, key?: string): Outgoing => ({ id: randomUUID(), body, ...(key !== undefined && { key }) })
const turn = () => new Promise((resolve) => setImmediate(resolve))

/** Whether it has settled by now. */
async function settled(work: Promise<unknown>): Promise<boolean> {
  let done = false
  work.then(
    () => (done = true),
    () => (done = true),
  )
  await turn()
  return done
}

function stoppedBus(): { bus: Bus; clock: FakeClock } {
  const clock = new FakeClock()
  const bus = createMemoryBus({ clock, logger: silentLogger })
  onTestFinished(async () => {
    const closed = bus.close()
    clock.advance(10_000)
    await closed
  })
  return { bus, clock }
}

describe('a publish on the memory bus', () => {
  it('resolves after every handler acknowledged', async () => {
    const { bus } = stoppedBus()
    const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    for (const gate of gates) await bus.subscribe(topic, () => gate.promise)
    const published = bus.publish(topic, message('1'))
    gates[0]?.resolve()
    expect(await settled(published)).toBe(false)
    gates[1]?.resolve()
    expect(await settled(published)).toBe(true)
  })

  it('resolves when a handler failed and will have the message again', async () => {
    const { bus, clock } = stoppedBus()
    let attempts = 0
    await bus.subscribe(topic, async () => {
      attempts += 1
      if (attempts < 2) throw new Error('not yet')
    })
    await bus.publish(topic, message('1'))
    expect(attempts).toBe(1)
    clock.advance(clock.nextIn ?? 0)
    await until(() => attempts === 2, 'the second attempt')
  })

  it('waits a bounded time for a handler that hangs', async () => {
    const { bus, clock } = stoppedBus()
    const gate = Promise.withResolvers<void>()
    await bus.subscribe(topic, () => gate.promise)
    const published = bus.publish(topic, message('1'))
    clock.advance(4999)
    expect(await settled(published)).toBe(false)
    clock.advance(1)
    expect(await settled(published)).toBe(true)
    gate.resolve()
  })

  it('stops waiting when its caller gives up', async () => {
    const { bus } = stoppedBus()
    const gate = Promise.withResolvers<void>()
    await bus.subscribe(topic, () => gate.promise)
    const caller = new AbortController()
    const published = bus.publish(topic, message('1'), caller.signal)
    caller.abort(new Error('gone'))
    await expect(published).rejects.toThrow('gone')
    gate.resolve()
  })

  it('resolves when the last subscriber leaves', async () => {
    const { bus } = stoppedBus()
    const subscription = await bus.subscribe(
      topic,
      (_, signal) => new Promise((_resolve, reject) => signal.addEventListener('abort', reject)),
    )
    const published = [bus.publish(topic, message('1', 'k')), bus.publish(topic, message('2', 'k')), bus.publish(topic, message('3'))]
    await turn()
    await subscription.close()
    await Promise.all(published)
    expect(await bus.topics()).toEqual([])
  })
})

describe('the memory bus', () => {
  it('pauses longer after each failed attempt', async () => {
    const { bus, clock } = stoppedBus()
    const pauses: number[] = []
    await bus.subscribe(topic, () => Promise.reject(new Error('no')), { maxAttempts: 10 })
    await bus.publish(topic, message('1'))
    for (let attempt = 2; attempt <= 10; attempt += 1) {
      pauses.push(clock.nextIn ?? 0)
      clock.advance(clock.nextIn ?? 0)
      await turn()
    }
    expect(pauses).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000])
    expect(await bus.deadLetters(topic)).toHaveLength(1)
  })

  it('finds dead letters by the name of their topic, at whatever exchange', async () => {
    const { bus } = stoppedBus()
    const direct: Topic = { name: 'agent-manager', exchange: 'autogen.direct', exchangeType: 'direct' }
    await bus.subscribe(direct, () => Promise.reject(new Error('no')), { maxAttempts: 1 })
    await bus.publish(direct, message('1'))
    await until(async () => (await bus.deadLetters(direct)).length === 1, 'the dead letter')
    expect(await bus.deadLetters({ name: 'agent-manager' })).toHaveLength(1)
    expect(await bus.deadLetters({ name: 'agent-manager', exchange: 'another' })).toEqual([])
  })

  it('hands what a leaving member had to the others of its group', async () => {
    const { bus, clock } = stoppedBus()
    const got: string[] = []
    const stuck = await bus.subscribe(
      topic,
      (_, signal) => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      { group: 'g', maxAttempts: 1 },
    )
    const published = bus.publish(topic, message('1'))
    await turn()
    await bus.subscribe(topic, async ({ body }) => void got.push(body), { group: 'g' })
    await stuck.close()
    clock.advance(clock.nextIn ?? 0)
    await published
    await until(() => got.length === 1, 'the message at the other member')
    expect(await bus.deadLetters(topic)).toEqual([])
  })

  it('refuses what is more than a topic may hold, in messages and in bytes, and takes again when there is room', async () => {
    const { bus, clock } = stoppedBus()
    const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const other = { name: 'bytes' }
    await bus.subscribe(topic, () => gates[0]?.promise ?? Promise.resolve())
    await bus.subscribe(other, () => gates[1]?.promise ?? Promise.resolve())
    const taken = Array.from({ length: 10_000 }, (_, at) => bus.publish(topic, message(String(at))))
    await expect(bus.publish(topic, message('more'))).rejects.toMatchObject({ code: 'UNAVAILABLE', retryAfter: 1 })
    const large = 'x'.repeat(1024 * 1024 - 1024)
    for (let at = 0; at < 64; at += 1) taken.push(bus.publish(other, message(large)))
    await expect(bus.publish(other, message(large))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    expect(await bus.topics()).toEqual([
      { name: 'bytes', subscribers: 1, waiting: 64 },
      { name: 't', subscribers: 1, waiting: 10_000 },
    ])
    for (const gate of gates) gate.resolve()
    await Promise.all(taken)
    clock.advance(1)
    await bus.publish(topic, message('again'))
    expect((await bus.topics()).map((one) => one.waiting)).toEqual([0, 0])
  })

  it('keeps a bounded number of dead letters, the newest', async () => {
    const { bus } = stoppedBus()
    await bus.subscribe(topic, () => Promise.reject(new Error('no')), { maxAttempts: 1 })
    for (let at = 0; at < 1003; at += 1) await bus.publish(topic, message(String(at)))
    const letters = await bus.deadLetters(topic, 2000)
    expect(letters).toHaveLength(1000)
    expect([letters[0]?.message.body, letters.at(-1)?.message.body]).toEqual(['3', '1002'])
  })

  it('forgets topics that nobody uses, and keeps those with dead letters, up to a bound', async () => {
    const { bus } = stoppedBus()
    for (let at = 0; at < 1010; at += 1) {
      const subscription = await bus.subscribe({ name: `t${at}` }, () => Promise.reject(new Error('no')), { maxAttempts: 1 })
      await bus.publish({ name: `t${at}` }, message('x'))
      await subscription.close()
    }
    const used = await bus.subscribe({ name: 'used' }, async () => {})
    await used.close()
    expect(await bus.topics()).toHaveLength(1000)
    expect(await bus.deadLetters({ name: 't9' })).toHaveLength(0)
    expect(await bus.deadLetters({ name: 't10' })).toHaveLength(1)
  })

  it('lets a handler publish, subscribe and close from within', async () => {
    const { bus } = stoppedBus()
    const got: string[] = []
    const first = await bus.subscribe(topic, async ({ body }) => {
      await bus.subscribe({ name: 'next' }, async (next) => void got.push(next.body))
      await bus.publish({ name: 'next' }, message(`${body}!`))
      void first.close()
    })
    await bus.publish(topic, message('1'))
    expect(got).toEqual(['1!'])
  })

  it('tells apart the same name in two exchanges', async () => {
    const { bus } = stoppedBus()
    const got: string[] = []
    await bus.subscribe({ name: 't', exchange: 'a' }, async ({ body }) => void got.push(body))
    await bus.publish({ name: 't', exchange: 'b' }, message('b'))
    await bus.publish({ name: 't' }, message('none'))
    await bus.publish({ name: 't', exchange: 'a' }, message('a'))
    expect(got).toEqual(['a'])
  })
})
