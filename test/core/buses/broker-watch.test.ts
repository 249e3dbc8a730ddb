import { describe, expect, it, onTestFinished } from 'vitest'
import { BrokerWatch } from '../../../src/core/buses/broker-watch.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import { admin, CoreWorld } from '../../helpers/core-world.ts'
import { FakeBroker } from '../../helpers/fake-bus.ts'
import { FakeClock } from '../../helpers/fake-clock.ts'
import { until } from '../../helpers/until.ts'

const told = async (world: CoreWorld) =>
  (await world.store.read.events.list({ after: 0, limit: 1000 }))
    .filter(({ type }) => type.startsWith('broker.'))
    .map(({ type, data }) => [type, data.broker, data.message])

const withKafka = async (away = false) => {
  const kafka = new FakeBroker('kafka')
  if (away) kafka.leave()
  const world = await CoreWorld.open([{ name: 'kafka', address: 'kafka at h:1', bus: kafka.bus }])
  const check = async () => (await world.core.checks()).find(({ name }) => name === 'broker kafka')
  await until(async () => (await check())?.message !== 'kafka at h:1: not asked yet', 'the first look')
  return { world, kafka, check }
}

describe('the watch over brokers', () => {
  it('[I4-OPS-08] names each broker in the checks and the metrics, with what waits and what is dead', async () => {
    const { world, kafka, check } = await withKafka()
    expect(await check()).toEqual({ name: 'broker kafka', ok: true, required: false, message: 'kafka at h:1' })
    await kafka.bus.subscribe({ name: 't' }, () => Promise.reject(new Error('poison')), { group: 'g', maxAttempts: 1 })
    await world.call('bus.publish', { topic: 't', broker: 'kafka', message: 'x' })
    await world.call('bus.status', {})
    expect((await check())?.message).toBe('kafka at h:1: 1 dead letter: see regent bus dead list')
    const families = await world.core.metrics(admin)
    const value = (name: string) =>
      families.find((one) => one.name === name)?.samples.find(({ labels }) => labels.broker === 'kafka')?.value
    expect(
      ['regent_broker_up', 'regent_broker_waiting', 'regent_broker_dead_letters', 'regent_broker_reconnects_total'].map(value),
    ).toEqual([1, 0, 1, 0])
    kafka.leave()
    expect(await check()).toEqual({ name: 'broker kafka', ok: false, required: false, message: 'kafka at h:1: nobody listens there' })
    const { ready, checks } = await world.call<{ ready: boolean; checks: { name: string }[] }>('system.status', {})
    expect([ready, checks.some(({ name }) => name === 'broker kafka')]).toEqual([true, true])
  })

  it('[I4-OPS-09] tells a lost and a restored broker, each once', async () => {
    const { world, kafka } = await withKafka()
    expect(await told(world)).toEqual([])
    kafka.leave()
    kafka.leave()
    await until(async () => (await told(world)).length === 1, 'it is told as lost')
    kafka.comeBack()
    await until(async () => (await told(world)).length === 2, 'it is told as back')
    expect(await told(world)).toEqual([
      ['broker.lost', 'kafka', 'nobody listens there'],
      ['broker.restored', 'kafka', 'it answers'],
    ])
  })

  it('tells a broker that is not there at the start', async () => {
    const { world } = await withKafka(true)
    await until(async () => (await told(world)).length === 1, 'it is told as lost')
    expect(await told(world)).toEqual([['broker.lost', 'kafka', 'nobody listens there']])
  })

  it('[I4-OPS-09] finds out a frozen broker by asking, one question at a time', async () => {
    const world = await CoreWorld.open()
    const redis = new FakeBroker('redis')
    let asked = 0
    const bus = Object.create(redis.bus, {
      check: {
        value: () => {
          asked++
          return redis.bus.check()
        },
      },
    })
    const clock = new FakeClock()
    const brokers = { ...world.brokers, configured: [{ name: 'redis', address: 'redis at h:1', bus }] } as unknown as typeof world.brokers
    const watch = new BrokerWatch({ brokers, store: world.store, clock, logger: silentLogger })
    onTestFinished(() => watch.close())
    watch.begin()
    await until(() => watch.checks()[0]?.ok === true, 'the first look')
    redis.freeze()
    for (let count = asked; count === asked; ) {
      clock.advance(5000)
      await new Promise(setImmediate)
    }
    const before = asked
    const views = watch.views()
    clock.advance(5000)
    expect((await views)[0]).toMatchObject({ connected: false, reason: 'it has not answered for 5 s' })
    expect(asked).toBe(before)
    await until(async () => (await told(world)).length === 1, 'it is told as lost')
    redis.comeBack()
    await until(async () => (await told(world)).length === 2, 'it is told as back')
  })
})
