import { describe, expect, it, onTestFinished } from 'vitest'
import { openBroker } from '../../../src/adapters/buses/open-broker.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import type { Bus, Outgoing, Topic } from '../../../src/ports/bus.ts'
import { bodies, freshTopic, listen, message } from '../../conformance/bus-talk.ts'
import { until } from '../../helpers/until.ts'
import { noBroker, OwnRabbitMq } from './rabbitmq-own.ts'

const skip = noBroker === undefined ? {} : { skip: true, meta: { skipReason: noBroker } }

describe('RabbitMQ that is killed, frozen and short of memory', skip, () => {
  it('loses nothing, says so in time, and is used again when it is back', { timeout: 240_000 }, async () => {
    const broker = await OwnRabbitMq.start()
    const open = async () => {
      const bus = await openBroker({
        settings: { kind: 'rabbitmq', addresses: [broker.address] },
        clock: systemClock,
        logger: silentLogger,
      })
      onTestFinished(() => bus.close())
      return bus
    }
    const [publisher, subscriber] = [await open(), await open()]
    const topic = freshTopic()
    const { got } = await listen(subscriber, topic, { group: 'g' })

    const begun = performance.now()
    const sent = persistently(publisher, topic, 8000)
    // RabbitMQ 3.10 never finds the leader of a quorum queue again that was declared a moment before the broker was killed.
    await until(() => got.length > 200 && performance.now() - begun > 3000, 'the first messages', 30_000)
    await broker.kill()
    await until(() => !publisher.status().connected && !subscriber.status().connected, 'that it is seen')
    await refusesInTime(publisher, topic)
    await broker.run()
    await sent
    await until(() => new Set(got.map(({ id }) => id)).size >= 8000, 'all of them', 60_000)

    broker.signal('SIGSTOP')
    await refusesInTime(publisher, topic)
    await until(() => !subscriber.status().connected, 'that the subscriber sees it too', 20_000)
    broker.signal('SIGCONT')
    await until(() => publisher.publish(topic, message('thawed')).then(() => true), 'a publish', 60_000)
    await until(() => bodies(got).includes('thawed'), 'what was published then', 60_000)

    await broker.kill()
    await broker.run(1000)
    await until(() => subscriber.status().connected && publisher.status().connected, 'both are back', 60_000)
    await refusesInTime(publisher, topic)
    await until(() => publisher.status().reason?.includes('takes no messages') ?? false, 'that it is told')
    await expect(publisher.check()).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('takes no messages') })
    expect(subscriber.status().connected).toBe(true)
  })
})

/** As an outbox does: each in turn until it is confirmed, under the same id. */
async function persistently(bus: Bus, topic: Topic, count: number): Promise<void> {
  const send = async (one: Outgoing) => {
    await until(() => bus.publish(topic, one).then(() => true), `${one.id} is taken`, 120_000)
  }
  let next = 0
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      while (next < count) await send(message(String(next++), { key: 'k' }))
    }),
  )
}

async function refusesInTime(bus: Bus, topic: Topic): Promise<void> {
  const begun = performance.now()
  await expect(bus.publish(topic, message('not now'))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  expect(performance.now() - begun).toBeLessThan(7000)
}
