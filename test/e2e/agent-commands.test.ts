import { randomUUID } from 'node:crypto'
import { Connection } from 'rabbitmq-client'
import { expect, it, onTestFinished } from 'vitest'
import { openBroker } from '../../src/adapters/buses/open-broker.ts'
import { parseBrokerUrl } from '../../src/contract/brokers.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { silentLogger } from '../../src/kernel/logger.ts'
import type { Bus } from '../../src/ports/bus.ts'
import { Customer, direct, events, tess } from '../helpers/agent-bus.ts'
import { Regent } from '../helpers/regent.ts'
import { describeWith } from '../helpers/services.ts'
import { TcpProxy } from '../helpers/tcp-proxy.ts'
import { until } from '../helpers/until.ts'
import { freshVhost, type Vhost } from '../helpers/vhost.ts'

const quick = { REGENT_STARTSECS: '0' }

async function busAt(url: string): Promise<Bus> {
  const bus = await openBroker({ settings: parseBrokerUrl(url), clock: systemClock, logger: silentLogger })
  onTestFinished(() => bus.close())
  return bus
}

/** A client that knows nothing of Regent: bodies and a queue, as amqp-publish sends them. */
async function strangerAt(url: string): Promise<(body: string | Buffer) => Promise<void>> {
  const connection = new Connection(url)
  const publisher = connection.createPublisher({ confirm: true })
  onTestFinished(async () => {
    await publisher.close()
    await connection.close()
  })
  return (body) => publisher.send({ exchange: 'autogen.direct', routingKey: 'agent-manager' }, Buffer.from(body))
}

interface View {
  id: string
  owner: string
  name: string
  state: string
  pid: number
}
interface Told {
  type: string
  agent: string
  data: { origin?: { correlation_id: string } }
}

const eventsOf = async (regent: Regent, types: string): Promise<Told[]> =>
  (await regent.fetch(`/api/v1/events/history?limit=1000&types=${types}`)).body.events as Told[]

/** Until then a new broker has no queue, and what is sent there is lost. */
const isReading = (vhost: Vhost) => async () => (await vhost.queues()).some(({ name }) => name === 'autogen.direct.agent-manager')

async function customerOf(vhost: Vhost, bus?: Bus): Promise<Customer> {
  await until(isReading(vhost), 'Regent reads its queue')
  return Customer.at(bus ?? (await busAt(vhost.url)))
}

describeWith('rabbitmq', 'agents by messages, on RabbitMQ', (urls) => {
  it('[I4-CMD-01] [S1-18] [S1-19] [S1-20] [S1-21] [S1-22] [S1-23] [S1-42] the six commands, and what the broker shows of the contract', async () => {
    const vhost = await freshVhost(urls)
    const regent = await Regent.start({ RABBITMQ_URL: vhost.url, ...quick })
    const customer = await customerOf(vhost)
    const id = randomUUID()
    const created = await customer.asks('agent.create', tess(id))
    expect(created).toMatchObject({ agent_id: id, success: true, status: 'initializing' })
    await customer.hears('agent.created', id)
    const started = await customer.hears('agent.started', id)
    expect(started).toMatchObject({ correlation_id: created.correlation_id, customer_id: 'c1', data: { status: 'running' } })
    const [agent] = await regent.json<View[]>('ps')
    expect(agent).toMatchObject({ owner: 'c1', name: 'Tess' })
    for (const [type, event] of [
      ['agent.stop', 'agent.stopped'],
      ['agent.start', 'agent.started'],
      ['agent.restart', 'agent.started'],
      ['agent.update', 'agent.updated'],
      ['agent.delete', 'agent.deleted'],
    ] as const) {
      const answer = await customer.asks(type, { agent_id: id, ...(type === 'agent.update' && { config: { testnet: false } }) })
      expect(answer, type).toMatchObject({ success: true, message_type: type })
      await customer.hears(event, id, (one) => one.correlation_id === answer.correlation_id)
    }
    const queues = await vhost.queues()
    const queue = (name: string) => queues.find((one) => one.name === name)
    expect(queue('autogen.direct.agent-manager')).toMatchObject({ durable: true, arguments: {} })
    expect(queue('agent-manager-events')).toMatchObject({ durable: true, arguments: { 'x-message-ttl': 3600000, 'x-max-length': 10000 } })
    expect(queue(`autogen.direct.agent-${id}`)).toMatchObject({ durable: true, arguments: {} })
    expect(queue('autogen.broadcast.agent-manager')).toMatchObject({ durable: false })
    expect((await vhost.bindings('agent-manager-events')).filter(({ source }) => source !== '')).toMatchObject([
      { source: 'autogen.events', routing_key: 'agent.created' },
      { source: 'autogen.events', routing_key: 'agent.updated' },
    ])
    const exchanges = (await vhost.exchanges()).filter(({ name }) => name.startsWith('autogen.'))
    expect(exchanges.map(({ name, type, durable }) => `${name} ${type} ${durable}`).toSorted()).toEqual([
      'autogen.broadcast fanout true',
      'autogen.direct direct true',
      'autogen.events topic true',
    ])
  }, 60_000)

  it("[I4-CMD-02] [I4-CMD-03] [I4-CMD-04] [F34] another program's events make and replace an agent; its life is told, and strangers are refused", async () => {
    const vhost = await freshVhost(urls)
    const regent = await Regent.start({ RABBITMQ_URL: vhost.url, ...quick })
    const customer = await customerOf(vhost)
    const id = randomUUID()
    const event = (type: string, data: object) => ({
      event_id: randomUUID(),
      event_type: type,
      source: 'api-gateway',
      timestamp: new Date().toISOString(),
      data,
      metadata: {},
      correlation_id: null,
      customer_id: 'c1',
    })
    await customer.sends(event('agent.created', tess(id)), {}, events('agent.created'))
    const started = await customer.hears('agent.started', id)
    await customer.hears('agent.health', id, ({ data }) => data.status === 'running')
    expect(await customer.hears('agent.heartbeat', id)).toMatchObject({ source: `agent-${id}` })
    await customer.sends(event('agent.updated', tess(id, { config: { testnet: false } })), {}, events('agent.updated'))
    await customer.hears('agent.updated', id)
    await customer.hears('agent.started', id, ({ event_id }) => event_id !== started.event_id)
    const forged = await customer.asks('agent.stop', { agent_id: id, customer_id: 'mallory' })
    expect(forged).toMatchObject({ success: false, code: 'FORBIDDEN' })
    const told = await regent.run('events', '--type', 'command.refused')
    expect(told.stdout).toContain('mallory')
    const [agent] = await regent.json<View[]>('ps')
    expect(agent).toMatchObject({ name: 'Tess', owner: 'c1', state: 'RUNNING' })
    process.kill(agent?.pid as number, 'SIGKILL')
    expect(await customer.hears('agent.error', id)).toMatchObject({ customer_id: 'c1', data: { retrying: true } })
    expect(await regent.json<View[]>('ps')).toHaveLength(1)
  }, 60_000)

  it('[part of S1-44] does a task with the offline model and sends its result as an event', async () => {
    const vhost = await freshVhost(urls)
    await Regent.start({ RABBITMQ_URL: vhost.url, ...quick })
    const customer = await customerOf(vhost)
    const id = randomUUID()
    await customer.asks('agent.create', tess(id))
    const task = { message_type: 'task.execute', payload: { task_id: 't1', type: 'ask', parameters: { prompt: 'How is ETH doing?' } } }
    await customer.sends(task, {}, direct(`agent-${id}`))
    const result = await customer.hears('message.sent', id)
    expect(result).toMatchObject({ event_id: 'task-result-t1', source: `agent-${id}`, data: { task_id: 't1' } })
    expect(String(result.data.result)).toContain('How is ETH doing?')
  }, 60_000)

  it('obeys commands of a client that gives no ids, however alike they are', async () => {
    const vhost = await freshVhost(urls)
    const regent = await Regent.start({ RABBITMQ_URL: vhost.url, ...quick })
    const customer = await customerOf(vhost)
    const send = await strangerAt(vhost.url)
    const id = randomUUID()
    const command = (type: string, payload: object = { agent_id: id }) => JSON.stringify({ message_type: type, payload })
    await send(command('agent.create', tess(id)))
    await customer.hears('agent.started', id)
    for (const round of [1, 2]) {
      await send(command('agent.stop'))
      await until(() => customer.of('agent.stopped', id).length === round, `stop ${round}`)
      await send(command('agent.start'))
      await until(() => customer.of('agent.started', id).length === round + 1, `start ${round}`)
    }
    expect(await regent.json<View[]>('ps')).toMatchObject([{ name: 'Tess', owner: 'c1' }])
  }, 60_000)

  it('[F28] [F31] [P2] killed again and again between work and ack: each command is done once, in order, and answered', async () => {
    const vhost = await freshVhost(urls)
    const regent = await Regent.start({ RABBITMQ_URL: vhost.url, ...quick })
    const bus = await busAt(vhost.url)
    const customer = await customerOf(vhost, bus)
    const ids = [randomUUID(), randomUUID(), randomUUID()]
    const correlations: string[] = []
    const order: Promise<void>[] = []
    const ask = (agentId: string, step: number, type: string, payload: object) => {
      const correlation = `${agentId}/${step}`
      correlations.push(correlation)
      const body = { message_type: type, payload: { ...payload, agent_id: agentId, sequence: step }, correlation_id: correlation }
      order.push(customer.sends(body, { id: correlation }))
    }
    for (const id of ids) ask(id, 1, 'agent.create', tess(id, { name: id }))
    const round = ['agent.stop', 'agent.start', 'agent.restart', 'agent.restart']
    const steps = Array.from({ length: 10 }, () => round).flat()
    for (const [index, type] of steps.entries()) for (const id of ids) ask(id, index + 2, type, {})
    await Promise.all(order)
    const answered = () => new Set(customer.answers.map((one) => one.correlation_id)).size
    for (let kills = 0; kills < 5; kills++) {
      const before = answered()
      await until(() => answered() >= before + 5, 'five more answers', 30_000)
      await regent.kill()
      expect(answered()).toBeLessThan(correlations.length)
      await regent.serve()
    }
    await Promise.all(correlations.map((correlation) => customer.answerTo(correlation)))
    expect(customer.answers.filter(({ success }) => !success)).toEqual([])
    const asked = await eventsOf(regent, 'agent.created,agent.start_requested,agent.stop_requested,agent.restart_requested')
    for (const id of ids) {
      const mine = asked.filter(({ agent }) => agent === `c1/${id}`).map(({ data }) => data.origin?.correlation_id)
      expect(mine).toEqual([1, ...Array.from({ length: 41 }, (_, at) => at + 1)].map((step) => `${id}/${step}`))
    }
    await until(async () => (await regent.json<View[]>('ps')).every(({ state }) => state === 'RUNNING'), 'all run')
    for (const id of ids) {
      await customer.hears('agent.started', id, (event) => event.correlation_id === `${id}/41`)
      const told = customer.of('agent.created', id)
      expect(new Set(told.map(({ event_id }) => event_id)).size).toBe(1)
    }
    expect(await bus.deadLetters()).toEqual([])
  }, 150_000)

  it('[F29] poison from strangers goes to the dead letters with its reason, and the queue keeps moving', async () => {
    const vhost = await freshVhost(urls)
    await Regent.start({ RABBITMQ_URL: vhost.url, ...quick })
    const bus = await busAt(vhost.url)
    const customer = await customerOf(vhost, bus)
    const send = await strangerAt(vhost.url)
    const bad: [string | Buffer, string][] = [
      ['no JSON', 'not JSON'],
      [Buffer.from([0xff, 0xfe, 0x00]), 'not JSON'],
      [JSON.stringify({ message_type: 'agent.stop', payload: { agent_id: 7 } }), 'payload.agent_id'],
      [Buffer.alloc(10 * 1024 * 1024, 'x'), '10485760 bytes'],
      [JSON.stringify({ message_type: 'agent.explode', payload: {} }), 'agent.explode'],
      [`{"message_type":"agent.stop","payload":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}}`, 'nested deeper'],
    ]
    for (const [body] of bad) await send(body)
    const id = randomUUID()
    expect(await customer.asks('agent.create', tess(id))).toMatchObject({ success: true })
    await until(async () => (await bus.deadLetters()).length === bad.length, 'the dead letters')
    const reasons = (await bus.deadLetters()).map(({ reason }) => reason)
    for (const [, reason] of bad)
      expect(
        reasons.some((one) => one.includes(reason)),
        reason,
      ).toBe(true)
  }, 60_000)

  it('[F35] of two managers one answers the command queue; the other takes over when it is gone', async () => {
    const vhost = await freshVhost(urls)
    const first = await Regent.start({ RABBITMQ_URL: vhost.url, ...quick })
    const bus = await busAt(vhost.url)
    await until(isReading(vhost), 'the first reads')
    const second = await Regent.start({ RABBITMQ_URL: vhost.url, ...quick })
    const customer = await Customer.at(bus)
    for (let made = 0; made < 6; made++) expect((await customer.asks('agent.create', tess(randomUUID()))).success).toBe(true)
    expect(await first.json<View[]>('ps')).toHaveLength(6)
    expect(await second.json<View[]>('ps')).toEqual([])
    await first.kill()
    const id = randomUUID()
    expect(await customer.asks('agent.create', tess(id))).toMatchObject({ agent_id: id, success: true })
    expect(await second.json<View[]>('ps')).toHaveLength(1)
  }, 90_000)

  it('serves while the broker is away, obeys what waited there, and tells what happened meanwhile', async () => {
    const vhost = await freshVhost(urls)
    const { host } = new URL(vhost.url)
    const proxy = await TcpProxy.open(host)
    const regent = await Regent.start({ RABBITMQ_URL: vhost.url.replace(host, proxy.address), ...quick })
    const customer = await customerOf(vhost)
    await regent.kill()
    proxy.refuse()
    await regent.serve()
    expect((await regent.fetch('/api/v1/status')).status).toBe(200)
    const id = randomUUID()
    const asked = customer.asks('agent.create', tess(id))
    proxy.heal()
    expect((await asked).success).toBe(true)
    await customer.hears('agent.started', id)
    proxy.refuse()
    expect((await regent.run('stop', 'c1/Tess')).code).toBe(0)
    const send = await strangerAt(vhost.url)
    await send(JSON.stringify({ message_type: 'agent.start', payload: { agent_id: id } }))
    proxy.heal()
    await customer.hears('agent.stopped', id)
    await until(() => customer.of('agent.started', id).length === 2, 'started again', 40_000)
  }, 90_000)
})
