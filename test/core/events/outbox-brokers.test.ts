import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { openBroker } from '../../../src/adapters/buses/open-broker.ts'
import { openSqliteStore } from '../../../src/adapters/stores/sqlite/sqlite-store.ts'
import { parseBrokerUrl } from '../../../src/contract/brokers.ts'
import { Journal } from '../../../src/core/events/journal.ts'
import { Outbox } from '../../../src/core/events/outbox.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import type { Bus } from '../../../src/ports/bus.ts'
import { temporaryFolder } from '../../helpers/folder.ts'
import { OwnRedis } from '../../helpers/own-redis.ts'
import { describeWith } from '../../helpers/services.ts'
import { until } from '../../helpers/until.ts'

const connected = async (url: string): Promise<Bus> => {
  const bus = await openBroker({ settings: parseBrokerUrl(url), clock: systemClock, logger: silentLogger })
  onTestFinished(() => bus.close())
  return bus
}

/** An outbox whose one relay carries every event to a topic, under a key of ten. */
async function relaying(bus: Bus, topic: string) {
  const store = await openSqliteStore({ file: join(temporaryFolder(), 'regent.db'), logger: silentLogger, clock: systemClock })
  const journal = new Journal(store, silentLogger)
  await journal.open()
  const outbox = new Outbox({ store, journal, bus, clock: systemClock, logger: silentLogger })
  onTestFinished(async () => {
    await outbox.close()
    await store.close()
  })
  await outbox.start({
    name: 'test',
    messages: async ({ number, data }) => [
      { topic: { name: topic }, message: { id: `event-${number}`, body: String(data.n), key: `${Number(data.n) % 10}` } },
    ],
  })
  const happen = (n: number) =>
    store.transaction((tables) =>
      tables.events.append({ at: n, type: 'run.running', agentId: null, agent: null, owner: null, actor: 'test', data: { n } }),
    )
  return { outbox, happen }
}

describeWith('redis', 'the outbox over a broker that flaps', () => {
  it('[P9] loses no event, keeps the order of keys, and poison ends as a dead letter with its reason', { timeout: 180_000 }, async () => {
    const redis = await OwnRedis.prepare()
    const topic = `outbox-${randomUUID()}`
    const publisher = await connected(redis.url)
    const { outbox, happen } = await relaying(publisher, topic)
    const reader = await connected(redis.url)
    const got: { id: string; body: string }[] = []
    let tries = 0
    const take = async ({ id, body }: { id: string; body: string }) => {
      if (body === '13') {
        tries++
        throw new Error('thirteen cannot be read')
      }
      got.push({ id, body })
    }
    const subscribed = reader.subscribe({ name: topic }, take, { group: 'g', from: 'earliest' })
    const total = 500
    const writing = (async () => {
      for (let n = 1; n <= total; n++) {
        await happen(n)
        if (n % 5 === 0) await systemClock.sleep(5)
      }
    })()
    for (let round = 0; round < 4; round++) {
      await redis.start()
      const before = outbox.relays()[0]?.sent ?? 0
      await until(() => (outbox.relays()[0]?.sent ?? 0) > before || outbox.relays()[0]?.backlog === 0, 'something gets through', 60_000)
      if (round % 2 === 0) await redis.kill()
      else {
        redis.freeze()
        await until(
          () => !publisher.status().connected || outbox.relays()[0]?.retrying !== null || outbox.relays()[0]?.backlog === 0,
          'it is noticed',
          30_000,
        )
        redis.thaw()
        await redis.kill()
      }
    }
    await writing
    await redis.start()
    await subscribed
    await until(() => new Set(got.map(({ body }) => body)).size === total - 1, 'every event arrives', 90_000)
    const ids = new Map<string, string>()
    for (const { id, body } of got) {
      expect(ids.get(body) ?? id).toBe(id)
      ids.set(body, id)
    }
    for (let key = 0; key < 10; key++) {
      const firsts = [...new Set(got.map(({ body }) => Number(body)).filter((n) => n % 10 === key))]
      expect(firsts).toEqual(firsts.toSorted((a, b) => a - b))
    }
    await until(async () => (await reader.deadLetters({ name: topic })).length > 0, 'the dead letter', 60_000)
    const letters = await reader.deadLetters({ name: topic })
    expect(
      letters.every(({ reason, message }) => reason === 'thirteen cannot be read' && message.body === '13' && message.attempt <= 5),
    ).toBe(true)
    expect(tries).toBeLessThanOrEqual(5 * letters.length)
    expect(outbox.relays()).toMatchObject([{ backlog: 0, dropped: 0, refused: 0, retrying: null }])
  })
})
