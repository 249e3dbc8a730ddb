import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openSqliteStore } from '../../../src/adapters/stores/sqlite/sqlite-store.ts'
import { droppableEvents, type EventType, eventTypes } from '../../../src/contract/events.ts'
import { Journal } from '../../../src/core/events/journal.ts'
import { Outbox, type OutboxOptions, type Relay } from '../../../src/core/events/outbox.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import type { Bus } from '../../../src/ports/bus.ts'
import type { EventRow, NewEvent, Store } from '../../../src/ports/store.ts'
import { admin, CoreWorld } from '../../helpers/core-world.ts'
import { FakeBroker } from '../../helpers/fake-bus.ts'
import { temporaryFolder } from '../../helpers/folder.ts'
import { until } from '../../helpers/until.ts'

const messageOf = ({ number, data, agentId }: EventRow) => ({
  topic: { name: 'events' },
  message: { id: `${number}`, body: String(data.n), ...(agentId !== null && { key: agentId }) },
})
const relayTo = (broker: FakeBroker, more: Partial<Relay> = {}): Relay => ({
  name: 'test',
  bus: broker.bus,
  messages: async (event) => [messageOf(event)],
  ...more,
})

async function opened(options: Partial<OutboxOptions> = {}) {
  const store = await openSqliteStore({ file: join(temporaryFolder(), 'regent.db'), logger: silentLogger, clock: systemClock })
  const running: Outbox[] = []
  onTestFinished(async () => {
    for (const outbox of running) await outbox.close()
    await store.close()
  })
  const begin = async (...relays: Relay[]) => {
    const journal = new Journal(store, silentLogger)
    await journal.open()
    const outbox = new Outbox({
      store,
      journal,
      bus: new FakeBroker().bus,
      clock: systemClock,
      logger: silentLogger,
      random: () => 0,
      ...options,
    })
    running.push(outbox)
    for (const relay of relays) await outbox.start(relay)
    return outbox
  }
  return { store, begin }
}

const event = (n: number, type: EventType = 'run.running', agentId: string | null = null): NewEvent => ({
  ...{ at: n, type, agentId, agent: null, owner: null, actor: 'test', data: { n } },
})
const happen = (store: Store, events: readonly NewEvent[]) =>
  store.transaction(async (tables) => {
    for (const one of events) await tables.events.append(one)
  })
const upTo = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index)
const texts = (numbers: readonly number[]) => numbers.map(String)

describe('what a relay has not sent', () => {
  it('[I4-OUT-01] is not forgotten with old events', async () => {
    const { store, begin } = await opened()
    const broker = new FakeBroker()
    const outbox = await begin(relayTo(broker))
    broker.leave()
    await happen(
      store,
      upTo(1, 50).map((n) => event(n)),
    )
    await until(() => outbox.relays()[0]?.backlog === 50, 'the backlog')
    const { newest } = await store.read.events.window()
    await store.transaction((tables) => tables.events.prune(Math.max(10, newest - outbox.settled)))
    broker.comeBack()
    await until(() => broker.taken.length === 50, 'all of them')
    expect(broker.taken).toEqual(texts(upTo(1, 50)))
    await until(() => outbox.settled === newest, 'it is done')
  })

  it('[I4-OUT-02] loses health events only, over the bounds, counted and told; the journal keeps the rest', async () => {
    const { store, begin } = await opened({ bounds: { events: 100, bytes: 1e9 }, eventsKept: 20 })
    const [broker, well] = [new FakeBroker(), new FakeBroker()]
    const relays = [relayTo(broker), relayTo(well, { name: 'well' }), relayTo(broker, { name: 'lives', types: ['run.running'] })]
    await happen(store, [event(0)])
    const outbox = await begin(...relays)
    broker.leave()
    const lifecycle = eventTypes.filter((type) => !droppableEvents.includes(type))
    const all = upTo(1, 400).map((n) => event(n, n % 2 ? 'agent.health_changed' : (lifecycle[n % lifecycle.length] ?? 'run.running')))
    await happen(store, all)
    await until(() => well.taken.length === 400, 'one relay is done')
    expect(await outbox.guard()).toBe(150)
    expect(await outbox.guard()).toBe(0)
    const views = outbox.relays().map(({ name, dropped }) => [name, dropped])
    expect(views).toEqual([
      ['test', 150],
      ['well', 0],
      ['lives', 0],
    ])
    expect(outbox.checks().map(({ name, ok, required }) => ({ name, ok, required }))).toEqual([
      { name: 'relay test', ok: false, required: false },
      { name: 'relay lives', ok: false, required: false },
    ])
    await outbox.close()
    broker.comeBack()
    const second = await begin(...relays)
    const left = all.filter(({ data, type }) => Number(data.n) > 300 || type !== 'agent.health_changed').map(({ data }) => Number(data.n))
    const running = all.filter(({ type }) => type === 'run.running').map(({ data }) => Number(data.n))
    await until(() => broker.taken.length >= left.length + running.length, 'what is left')
    const counts = new Map<string, number>()
    for (const body of broker.taken) counts.set(body, (counts.get(body) ?? 0) + 1)
    expect([...counts.keys()].sort((a, b) => Number(a) - Number(b))).toEqual(texts(left))
    expect(
      [...counts]
        .filter(([, count]) => count === 2)
        .map(([body]) => Number(body))
        .sort((a, b) => a - b),
    ).toEqual(running)
    await until(() => second.checks().length === 0, 'no warning is left')
  })

  it('[I4-OUT-02] is bounded in bytes as well, and remembers over a restart what it dropped', async () => {
    const { store, begin } = await opened({ bounds: { events: 1000, bytes: 50_000 }, eventsKept: 10 })
    const broker = new FakeBroker()
    await happen(store, [event(0)])
    const first = await begin(relayTo(broker))
    broker.leave()
    const heavy = upTo(1, 200).map((n) => {
      const one = event(n, n % 2 ? 'usage.recorded' : 'message.sent')
      return { ...one, data: { ...one.data, text: 'x'.repeat(1000) } }
    })
    await happen(store, heavy)
    await until(() => first.relays()[0]?.backlog === 200, 'the backlog')
    expect(await first.guard()).toBe(95)
    await first.close()
    broker.comeBack()
    const second = await begin(relayTo(broker))
    await until(() => broker.taken.at(-1) === '200', 'the rest')
    expect(broker.taken).toEqual(texts(upTo(1, 200).filter((n) => n % 2 === 0 || n > 190)))
    expect(second.relays()).toMatchObject([{ dropped: 95 }])
  })

  it('[I4-OUT-02] goes on where the very next events were dropped', async () => {
    const { store, begin } = await opened({ bounds: { events: 10, bytes: 1e9 } })
    const broker = new FakeBroker()
    await happen(store, [event(0)])
    const first = await begin(relayTo(broker))
    await first.close()
    await store.transaction((tables) => tables.events.prune(0))
    await happen(store, [...upTo(1, 20).map((n) => event(n, 'usage.recorded')), ...upTo(21, 40).map((n) => event(n))])
    broker.leave()
    const second = await begin(relayTo(broker))
    await until(() => second.relays()[0]?.backlog === 40, 'the backlog')
    expect(await second.guard()).toBe(20)
    await second.close()
    broker.comeBack()
    await begin(relayTo(broker))
    await until(() => broker.taken.length === 20, 'the rest')
    expect(broker.taken).toEqual(texts(upTo(21, 40)))
  })
})

describe('how the outbox sends', () => {
  it('[I4-OUT-03] has a hundred messages under way at most, and those of one key one after the other', async () => {
    const { store, begin } = await opened()
    const broker = new FakeBroker()
    broker.delayMs = 2
    await begin(relayTo(broker))
    await happen(
      store,
      upTo(1, 1000).map((n) => event(n, 'run.running', `agent${n % 150}`)),
    )
    await until(() => broker.taken.length === 1000, 'all of them')
    expect(broker.mostOpen).toBeGreaterThan(50)
    expect(broker.mostOpen).toBeLessThanOrEqual(100)
    for (let key = 0; key < 150; key++) {
      const ofKey = broker.taken.map(Number).filter((n) => n % 150 === key)
      expect(ofKey).toEqual(ofKey.toSorted((a, b) => a - b))
    }
  })

  it('[I4-OUT-03] keeps the order of a key through an outage, and sends again what was not confirmed', async () => {
    const { store, begin } = await opened()
    const broker = new FakeBroker()
    broker.delayMs = 1
    const outbox = await begin(relayTo(broker))
    const writing = (async () => {
      for (let n = 1; n <= 300; n++) await happen(store, [event(n, 'run.running', `agent${n % 7}`)])
    })()
    await until(() => broker.taken.length > 50, 'a part of them')
    broker.leave()
    await writing
    await until(() => outbox.relays()[0]?.retrying === 'nobody listens there', 'it says why it waits')
    broker.comeBack()
    await until(() => broker.taken.length === 300, 'the rest')
    for (let key = 0; key < 7; key++) {
      const ofKey = broker.taken.map(Number).filter((n) => n % 7 === key)
      expect(ofKey).toEqual(ofKey.toSorted((a, b) => a - b))
    }
    await until(() => outbox.relays()[0]?.backlog === 0, 'nothing is left')
  })

  it('[I4-OUT-03] goes on after a crash with what was not confirmed, whatever was confirmed after it', async () => {
    const { store, begin } = await opened()
    const broker = new FakeBroker()
    const stuck = new Set(['3'])
    const holding: Relay = relayTo(broker)
    const { publish } = broker.bus
    const bus: Bus = Object.create(broker.bus, {
      publish: {
        value: (...args: Parameters<typeof publish>) => (stuck.has(args[1].body) ? new Promise<never>(() => {}) : publish(...args)),
      },
    })
    const first = await begin({ ...holding, bus })
    await happen(
      store,
      upTo(1, 10).map((n) => event(n, 'run.running', `agent${n}`)),
    )
    await until(() => broker.taken.length === 9, 'all but one')
    await first.close()
    expect(first.relays()).toMatchObject([{ position: 2 }])
    await begin(holding)
    await until(() => broker.taken.length === 17, 'from the first that was not confirmed')
    expect(broker.taken.slice(9).sort((a, b) => Number(a) - Number(b))).toEqual(texts(upTo(3, 10)))
  })

  it('[I4-OUT-04] holds back nobody else while one broker is away or frozen', async () => {
    const { store, begin } = await opened()
    const [away, frozen, well] = [new FakeBroker(), new FakeBroker(), new FakeBroker()]
    away.leave()
    frozen.freeze()
    await begin(relayTo(away, { name: 'a' }), relayTo(frozen, { name: 'b' }), relayTo(well, { name: 'c' }))
    await happen(
      store,
      upTo(1, 500).map((n) => event(n)),
    )
    await until(() => well.taken.length === 500, 'the one that is well')
    expect([away.taken, frozen.taken]).toEqual([[], []])
    away.comeBack()
    await until(() => away.taken.length === 500, 'the one that is back')
  })

  it('leaves out what a broker will never take, and counts it', async () => {
    const { store, begin } = await opened()
    const broker = new FakeBroker()
    const outbox = await begin(
      relayTo(broker, {
        messages: async (one) => [
          { topic: { name: 't' }, message: { id: `${one.number}`, body: 'x'.repeat(one.data.n === 2 ? 2 ** 20 + 1 : 1) } },
        ],
      }),
    )
    await happen(
      store,
      upTo(1, 3).map((n) => event(n)),
    )
    await until(() => outbox.relays()[0]?.sent === 2, 'the others are sent')
    expect(outbox.relays()).toMatchObject([{ sent: 2, refused: 1, retrying: null }])
  })

  it('asks again a relay that fails', async () => {
    const { store, begin } = await opened()
    const broker = new FakeBroker()
    let fails = 1
    const messages: Relay['messages'] = async (one) => {
      if (fails-- > 0) throw new Error('the store is away')
      return [messageOf(one)]
    }
    await begin(relayTo(broker, { messages }))
    await happen(store, [event(1)])
    await until(() => broker.taken.length === 1, 'it is sent')
    expect(fails).toBe(-1)
  })
})

describe('a core with brokers', () => {
  it('[I4-OUT-01] does not prune what its relays still need, and names them', async () => {
    const world = await CoreWorld.open()
    const broker = new FakeBroker('rabbitmq')
    broker.leave()
    await world.core.relay(relayTo(broker, { name: 'door' }))
    await happen(
      world.store,
      upTo(1, 30).map((n) => event(n)),
    )
    const relays = async () => (await world.call<{ relays: { name: string; backlog: number }[] }>('bus.status', {})).relays
    await until(async () => (await relays()).some(({ name, backlog }) => name === 'door' && backlog >= 30), 'the backlog is told')
    const families = await world.core.metrics(admin)
    const backlog = families.find(({ name }) => name === 'regent_outbox_backlog')?.samples.find(({ labels }) => labels.relay === 'door')
    expect(backlog?.value).toBeGreaterThanOrEqual(30)
  })
})
