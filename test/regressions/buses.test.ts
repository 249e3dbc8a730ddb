import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { BrokerPool } from '../../src/adapters/buses/broker-pool.ts'
import { Track } from '../../src/adapters/buses/kafka/track.ts'
import { Worker } from '../../src/adapters/buses/kafka/worker.ts'
import { createMemoryBus } from '../../src/adapters/buses/memory/memory-bus.ts'
import { openSqliteStore } from '../../src/adapters/stores/sqlite/sqlite-store.ts'
import { brokerKey, parseBrokerUrl } from '../../src/contract/brokers.ts'
import { post } from '../../src/core/conversations/inbox.ts'
import { Journal } from '../../src/core/events/journal.ts'
import { Outbox } from '../../src/core/events/outbox.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { RegentError } from '../../src/kernel/errors.ts'
import { silentLogger } from '../../src/kernel/logger.ts'
import type { Bus } from '../../src/ports/bus.ts'
import type { Store } from '../../src/ports/store.ts'
import { CoreWorld, userCalled } from '../helpers/core-world.ts'
import { FakeBroker } from '../helpers/fake-bus.ts'
import { temporaryFolder } from '../helpers/folder.ts'
import { until } from '../helpers/until.ts'

const alice = userCalled('alice')
const bob = userCalled('bob')

async function team(world: CoreWorld, owner: string, name: string, pubsub_config: object, more: object = {}): Promise<string> {
  const json_config = { pubsub_enabled: true, pubsub_config, ...more }
  return (await world.call<{ id: string }>('agents.create', { agent: { kind: 'team', owner, name, subagents: [], json_config } })).id
}

const happen = (store: Store, count: number) =>
  store.transaction((tables) =>
    tables.events.appendAll(
      Array.from({ length: count }, (_, at) => ({
        ...{ at, type: 'regent.started' as const, agentId: null, agent: null, owner: null, actor: 'test', data: {} },
      })),
    ),
  )

it('an agent with a secret among the variables of a tool server had no channel', async () => {
  const world = await CoreWorld.open()
  const mcp = { servers: { search: { command: 'true', env: { BRAVE_API_KEY: 'a-secret-key' } } } }
  await team(world, 'alice', 'news', { backend: 'memory', channel_name: 'shared' }, { mcp })
  const second = await team(world, 'bob', 'news', { backend: 'memory', channel_name: 'shared' })
  expect(await world.call('bus.publish', { agent: 'news', message: 'hello' }, alice)).toMatchObject({ topic: 'agent:shared' })
  const { conditions } = await world.call<{ conditions: { type: string }[] }>('agents.get', { agent: second })
  expect(conditions.map(({ type }) => type)).toContain('channel')
})

it("a topic that was named by a secret was not checked for its owner: others' channels could be read and written", async () => {
  const world = await CoreWorld.open()
  await team(world, 'alice', 'news', { backend: 'memory', channel_name: 'private' })
  const channel_name = `\${secret:json_config.mine.token}`
  await team(world, 'bob', 'spy', { backend: 'memory', channel_name }, { mine: { token: 'private' } })
  await expect(world.call('bus.publish', { agent: 'spy', message: 'x' }, bob)).rejects.toMatchObject({ code: 'INVALID' })
})

it('files that an agent names for its broker were read by Regent for any user', async () => {
  const world = await CoreWorld.open()
  const kafka = { bootstrap_servers: ['127.0.0.1:1'], security_protocol: 'SSL', ssl_config: { cafile: '/dev/zero' } }
  await team(world, 'alice', 'news', { backend: 'kafka', kafka })
  await expect(world.call('bus.publish', { agent: 'news', message: 'x' }, alice)).rejects.toMatchObject({ code: 'FORBIDDEN' })
})

it("a message with an id was not published when another agent's broker had been given one of that id on a topic of that name", async () => {
  const world = await CoreWorld.open()
  const brokers = new Map<string, FakeBroker>()
  world.brokers.at = async (settings) => {
    const broker = brokers.get(brokerKey(settings)) ?? new FakeBroker('redis')
    brokers.set(brokerKey(settings), broker)
    return broker.bus
  }
  for (const port of [1, 2])
    await team(world, 'alice', `a${port}`, { backend: 'redis', channel_name: 'c', redis: { host: '127.0.0.1', port } })
  for (const agent of ['a1', 'a2', 'a2']) await world.call('bus.publish', { agent, message: 'x', id: 'one' }, alice)
  expect([...brokers.values()].map(({ taken }) => taken.length)).toEqual([1, 1])
})

it('what a relay of a door had not sent was pruned at the start, before the door told of its relay', async () => {
  const world = await CoreWorld.open()
  let away = true
  const seen: number[] = []
  const bus: Bus = Object.assign(Object.create(world.bus), {
    publish: async (_topic: unknown, { id }: { id: string }) => {
      if (away) throw new RegentError('UNAVAILABLE', 'the broker is away')
      seen.push(Number(id))
    },
  })
  const relay = {
    name: 'door',
    bus,
    messages: async ({ number }: { number: number }) => [{ topic: { name: 't' }, message: { id: `${number}`, body: '' } }],
  }
  await world.core.relay(relay)
  const first = (await world.store.read.cursors.get('relay:door')) + 1
  await happen(world.store, 10_500)
  await world.reborn()
  await world.store.transaction(async () => undefined)
  away = false
  await world.core.relay(relay)
  await until(() => seen.length > 10_000, 'most of them')
  expect(seen[0]).toBe(first)
})

it('a relay that was stopped while it waited for room could count an event as sent that was not', async () => {
  for (let turns = 0; turns < 10; turns++) {
    const store = await openSqliteStore({ file: join(temporaryFolder(), 'regent.db'), logger: silentLogger, clock: systemClock })
    const journal = new Journal(store, silentLogger)
    await journal.open()
    const held: (() => void)[] = []
    const bus: Bus = Object.assign(Object.create(createMemoryBus({ clock: systemClock, logger: silentLogger })), {
      publish: () => new Promise<void>((resolve) => held.push(resolve)),
    })
    const outbox = new Outbox({ store, journal, bus, clock: systemClock, logger: silentLogger })
    onTestFinished(() => store.close())
    await outbox.start({
      name: 'test',
      messages: async ({ number }) => [{ topic: { name: 't' }, message: { id: `${number}`, key: `${number}`, body: '' } }],
    })
    const before = await store.read.cursors.get('relay:test')
    await happen(store, 101)
    await until(() => held.length === 100, 'no room')
    await new Promise((resolve) => setImmediate(resolve))
    for (const done of held) done()
    for (let turn = 0; turn < turns; turn++) await undefined
    const sent = held.length
    await outbox.close()
    expect(await store.read.cursors.get('relay:test')).toBeLessThanOrEqual(before + sent)
  }
})

it('of messages that Kafka brought together the first was handed over last where many are handled at once', async () => {
  const seen: string[] = []
  const worker = new Worker({
    handler: async ({ id }) => void seen.push(id),
    ...{ concurrency: 64, maxAttempts: 5, clock: systemClock, bury: async () => {}, mark: async () => {}, onDone: () => {} },
  })
  const track = new Track(0, 0n, new AbortController().signal)
  track.lastMark = Number.NEGATIVE_INFINITY
  const order = Array.from({ length: 20 }, (_, at) => `${at}`)
  track.take(
    order.map((id, at) => ({ offset: BigInt(at), message: { id, body: '', topic: { name: 't' } }, size: 0, attempt: 1 })),
    20n,
  )
  worker.add(track)
  await until(() => seen.length === 20, 'all of them')
  expect(seen).toEqual(order)
})

it('Regent did not stop while its own bus had been away since it subscribed to a channel', async () => {
  const world = await CoreWorld.open()
  world.bus.subscribe = (_topic, _handler, { signal } = {}) =>
    new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason), { once: true }))
  await world.team()
  await expect(world.reborn()).resolves.toBeUndefined()
})

it('prompts on a channel became dead letters while the store was away for two seconds', async () => {
  const world = await CoreWorld.open()
  const agent = await world.team()
  const { transaction } = world.store
  let failures = 0
  world.store.transaction = async (work) => {
    if (failures++ < 7) throw new RegentError('UNAVAILABLE', 'the database is away')
    return transaction.call(world.store, work) as never
  }
  const published = world.bus.publish({ name: 'agent:alice-news' }, { id: 'm', body: 'hello' })
  await until(async () => (await world.call<{ messages: object[] }>('messages.list', { agent })).messages.length === 1, 'the prompt')
  await published
  expect(await world.bus.deadLetters()).toEqual([])
})

it.each(['pa/ss', 'pa?ss', '12/ss', '12?ss', 'pa@ss'])('a password %s that was not encoded stood in addresses and errors', (password) => {
  const read = () => parseBrokerUrl(`amqp://user:${password}@broker:5672/vhost`)
  expect(read).toThrow(/no broker's address: amqp:\/\/\*\*\*@broker:5672\/vhost$/)
})

it('who stopped listening at a broker that others use, too, was told of its connection for ever', async () => {
  const broker = new FakeBroker()
  const world = await CoreWorld.open([{ name: 'redis', address: 'a', bus: broker.bus }])
  world.brokers.at = async () => broker.bus
  const before = broker.listeners
  for (const name of ['a', 'b', 'c']) {
    const agent = await team(world, 'alice', name, { backend: 'redis', channel_name: name, redis: { host: '127.0.0.1', port: 1 } })
    await until(() => broker.listeners === before + 1, 'Regent to listen')
    await world.call('agents.delete', { agent, wait: true })
    await until(() => broker.listeners === before, 'nobody to listen')
  }
  await world.core.relay({ name: 'door', bus: broker.bus, messages: async () => [] })
  await world.core.close()
  expect(broker.listeners).toBe(0)
})

it.each(['amqp://user:%zz@broker:5672', 'redis://%E0%A4%A@broker:6379', 'amqp://user:secret@broker:5672/%zz'])(
  'an address with a code that is none, %s, was an error of the program',
  (url) => {
    expect(() => parseBrokerUrl(url)).toThrow(RegentError)
    expect(() => parseBrokerUrl(url)).toThrow(/no broker's address: (amqp|redis):\/\/\*\*\*@broker/)
  },
)

it('the pool of brokers did not wait for the others when one did not close in order', async () => {
  const gate = Promise.withResolvers<void>()
  const named = (kind: Bus['kind'], close: () => Promise<void>) => ({
    ...{ key: kind, broker: { name: kind, address: 'a', bus: Object.assign(Object.create(new FakeBroker(kind).bus), { close }) } },
  })
  const failing = named('redis', () => Promise.reject(new Error('the first')))
  const slow = named('kafka', () => gate.promise)
  const bus = createMemoryBus({ clock: systemClock, logger: silentLogger })
  const options = { bus: { bus, settings: undefined }, settings: [], allowInsecureTls: false, clock: systemClock, logger: silentLogger }
  const pool = new BrokerPool(options, [named('memory', async () => {}), failing, slow])
  let closed = false
  const closing = pool.close().finally(() => {
    closed = true
  })
  closing.catch(() => undefined)
  await new Promise((resolve) => setImmediate(resolve))
  expect(closed).toBe(false)
  gate.resolve()
  await expect(closing).rejects.toThrow('the first')
})

it('a prompt that could not be stored at the first try stood behind those that had come after it', async () => {
  const world = await CoreWorld.open()
  const agent = await world.team()
  const { transaction } = world.store
  let failures = 0
  world.store.transaction = async (work) => {
    if (failures++ < 1) throw new RegentError('UNAVAILABLE', 'the database is away')
    return transaction.call(world.store, work) as never
  }
  const order = Array.from({ length: 100 }, (_, at) => `prompt ${at}`)
  await Promise.all(order.map((content) => world.bus.publish({ name: 'agent:alice-news' }, { id: content, body: content })))
  const { messages } = await world.call<{ messages: { content: string }[] }>('messages.list', { agent, limit: 500 })
  expect(messages.map(({ content }) => content)).toEqual(order)
  expect(failures).toBeLessThan(20)
})

it('one prompt that can never be stored kept back none of those that came with it', async () => {
  const world = await CoreWorld.open()
  const agent = await world.team()
  const other = await world.team('other')
  const row = await world.store.read.agents.get(other)
  const taken = { id: `channel:${agent}:two`, conversation: 'main', content: 'x', metadata: {}, sender: 'test', actor: 'test' }
  if (row) await world.store.transaction((tables) => post(tables, row, taken, systemClock).then(() => undefined))
  const bodies = ['one', 'two', 'three']
  await Promise.all(bodies.map((content) => world.bus.publish({ name: 'agent:alice-news' }, { id: content, body: content })))
  const { messages } = await world.call<{ messages: { content: string }[] }>('messages.list', { agent })
  expect(messages.map(({ content }) => content)).toEqual(['one', 'three'])
  await until(async () => (await world.bus.deadLetters()).length === 1, 'the dead letter')
})

it('nobody was told that Regent cannot listen for an agent that is stopped', async () => {
  const world = await CoreWorld.open()
  world.brokers.at = async () => {
    throw new RegentError('INVALID', 'the ca file is not there')
  }
  const agent = await team(world, 'alice', 'news', { backend: 'redis', channel_name: 'c', redis: { host: '127.0.0.1', port: 1 } })
  const conditions = async () => (await world.call<{ conditions: object[] }>('agents.get', { agent })).conditions
  await until(async () => (await conditions()).length > 0, 'the condition')
  const message = expect.stringMatching(/while it is stopped: the ca file is not there; tried again/)
  expect(await conditions()).toMatchObject([{ type: 'broker', subject: 'redis:c', message }])
})

it("nobody but the log told that Regent's own bus refuses the channel of an agent", async () => {
  const world = await CoreWorld.open()
  world.bus.subscribe = async ({ name }) => {
    throw new RegentError('FORBIDDEN', `not allowed to read ${name}`)
  }
  const agent = await world.team()
  const conditions = async () => (await world.call<{ conditions: object[] }>('agents.get', { agent })).conditions
  await until(async () => (await conditions()).length > 0, 'the condition')
  expect(await conditions()).toMatchObject([
    { type: 'broker', subject: 'memory:alice-news', message: expect.stringContaining('not allowed to read agent:alice-news') },
    { type: 'broker', message: expect.stringContaining('not allowed to read agent_alice-news') },
  ])
  await expect(world.reborn()).resolves.toBeUndefined()
})

it("a user could take the id that another customer's agent was to have on the bus of agent commands, and its queue with it", async () => {
  const world = await CoreWorld.open()
  const agent_config = { agent_id: '7f3a', customer_id: 'eve', agent_type: 'custom', name: 'x' }
  const eve = userCalled('eve')
  const agent = { kind: 'team', name: 'spy', subagents: [] }
  const refused = { code: 'INVALID', message: expect.stringContaining('json_config.agent_config') }
  await expect(world.call('agents.create', { agent: { ...agent, json_config: { agent_config } } }, eve)).rejects.toMatchObject(refused)
  await expect(world.call('agents.apply', { agent: { ...agent, json_config: { agent_config } } }, eve)).rejects.toMatchObject(refused)
  await world.call('agents.create', { agent: { ...agent, json_config: {} } }, eve)
  const update = (json_config: object) => world.call('agents.update', { agent: 'spy', definition: { json_config } }, eve)
  await expect(update({ agent_config })).rejects.toMatchObject(refused)
  const door = { user: 'eve', role: 'user', via: 'rabbitmq' } as const
  await world.call('agents.update', { agent: 'spy', definition: { json_config: { agent_config } } }, door)
  await expect(update({ agent_config, default_model: 'm' })).resolves.toMatchObject({ revision: 3 })
  await expect(update({ agent_config: { ...agent_config, agent_id: 'another' } })).rejects.toMatchObject(refused)
})
