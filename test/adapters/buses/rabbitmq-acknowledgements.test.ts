import { EventEmitter } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { Consumer } from '../../../src/adapters/buses/rabbitmq/consumer.ts'
import type { Channel, RawMessage } from '../../../src/adapters/buses/rabbitmq/library.ts'
import type { Delivery } from '../../../src/adapters/buses/rabbitmq/work.ts'
import { systemClock } from '../../../src/kernel/clock.ts'

/** A channel that hands out what it is told to, and remembers what is acknowledged. */
class FakeChannel extends EventEmitter {
  active = true
  readonly acknowledged: { deliveryTag: number; multiple?: boolean }[] = []
  #deliver: (raw: RawMessage) => void = () => {}

  async basicQos(): Promise<void> {}
  async basicConsume(_: unknown, deliver: (raw: RawMessage) => void): Promise<{ consumerTag: string }> {
    this.#deliver = deliver
    return { consumerTag: 'c' }
  }
  basicAck(told: { deliveryTag: number; multiple?: boolean }): void {
    this.acknowledged.push(told)
  }
  bring(...tags: number[]): void {
    for (const deliveryTag of tags) this.#deliver({ deliveryTag, redelivered: false } as RawMessage)
  }
  end(): void {
    this.active = false
    this.emit('close')
  }
}

async function consuming() {
  const channel = new FakeChannel()
  const [got, untold] = [new Map<number, Delivery>(), [] as number[]]
  const consumer = new Consumer(channel as unknown as Channel, {
    concurrency: 10,
    prefetch: 10,
    exclusive: false,
    counts: false,
    mayChange: true,
    clock: systemClock,
    onMessage: (session, raw) => got.set(raw.deliveryTag, { session, raw, message: {} } as Delivery),
    onUntold: ({ raw }) => untold.push(raw.deliveryTag),
  })
  await consumer.start('q')
  const done = (...tags: number[]) => {
    for (const tag of tags) consumer.acknowledge(got.get(tag) as Delivery)
  }
  return { channel, untold, done }
}

it('acknowledges together what came to an end together, and never what is behind one that is still at work', async () => {
  const { channel, done } = await consuming()
  channel.bring(1, 2, 3, 4, 5, 6)
  done(2, 1, 4, 6)
  expect(channel.acknowledged).toEqual([])
  await turn()
  expect(channel.acknowledged).toEqual([{ deliveryTag: 2, multiple: true }, { deliveryTag: 4 }, { deliveryTag: 6 }])
  done(3)
  await turn()
  done(5)
  await turn()
  expect(channel.acknowledged.slice(3)).toEqual([
    { deliveryTag: 3, multiple: true },
    { deliveryTag: 5, multiple: true },
  ])
})

it('acknowledges each by itself once a delivery was not seen: it must not be lost', async () => {
  const { channel, done } = await consuming()
  channel.bring(1, 3, 4)
  done(1, 3, 4)
  await turn()
  expect(channel.acknowledged).toEqual([{ deliveryTag: 1 }, { deliveryTag: 3 }, { deliveryTag: 4 }])
})

it('tells what the broker does not know of when the channel ends in between', async () => {
  const { channel, untold, done } = await consuming()
  channel.bring(1, 2, 3)
  done(1, 3)
  channel.end()
  await turn()
  expect([channel.acknowledged, untold]).toEqual([[], [1, 3]])
})
