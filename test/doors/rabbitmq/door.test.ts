import { randomUUID } from 'node:crypto'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { AgentView } from '../../../src/contract/agents.ts'
import { type AgentCommandsDoor, openAgentCommands } from '../../../src/doors/rabbitmq/door.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { Customer, direct, events, tess } from '../../helpers/agent-bus.ts'
import { CoreWorld } from '../../helpers/core-world.ts'
import { collectingLogger } from '../../helpers/logs.ts'
import { until } from '../../helpers/until.ts'

interface World {
  readonly world: CoreWorld
  readonly customer: Customer
  door: AgentCommandsDoor
}

async function opened(healthMs = 3_600_000): Promise<World> {
  const world = await CoreWorld.open()
  const customer = await Customer.at(world.bus)
  const door = await openAgentCommands({ core: world.core, bus: world.bus, clock: systemClock, logger: collectingLogger(), healthMs })
  onTestFinished(() => door.close())
  return { world, customer, door }
}

const agentsOf = async (world: CoreWorld, owner = 'c1') => (await world.call<{ agents: AgentView[] }>('agents.list', { owner })).agents
const deadOf = (world: CoreWorld) => world.bus.deadLetters(direct('agent-manager'))

describe('commands', () => {
  it('[S1-18] [S1-24] [S1-25] create makes the agent, starts it, answers and tells', async () => {
    const { world, customer } = await opened()
    const id = randomUUID()
    const answer = await customer.asks('agent.create', tess(id))
    expect(answer).toMatchObject({ message_type: 'agent.create', agent_id: id, success: true, status: 'initializing' })
    const created = await customer.hears('agent.created', id)
    expect(created).toMatchObject({ source: 'agent-manager', customer_id: 'c1', correlation_id: answer.correlation_id })
    const started = await customer.hears('agent.started', id)
    const [agent] = await agentsOf(world)
    expect(agent).toMatchObject({ owner: 'c1', name: 'Tess', kind: 'team', state: 'RUNNING' })
    expect(Object.keys(started).toSorted()).toEqual(
      ['correlation_id', 'customer_id', 'data', 'event_id', 'event_type', 'metadata', 'source', 'timestamp'].toSorted(),
    )
    expect(started).toMatchObject({
      event_type: 'agent.started',
      correlation_id: answer.correlation_id,
      customer_id: 'c1',
      data: { agent_id: id, container_id: agent?.run_id, status: 'running', metrics: {}, metadata: {} },
    })
    expect(started.event_id).toMatch(new RegExp(`^agent-started-${id}-\\d+$`))
    const message = customer.messages.find(({ topic }) => topic.name === 'agent.started')
    expect(message).toMatchObject({ id: started.event_id, correlationId: answer.correlation_id })
  })

  it('[S1-20] [S1-21] [S1-22] [S1-23] [S1-26] [S1-27] start, stop, restart and delete, with their events', async () => {
    const { world, customer } = await opened()
    const id = randomUUID()
    await customer.asks('agent.create', tess(id))
    await customer.hears('agent.started', id)
    const stop = await customer.asks('agent.stop', { agent_id: id })
    expect(stop).toMatchObject({ success: true, status: 'terminated' })
    expect(await customer.hears('agent.stopped', id)).toMatchObject({
      correlation_id: stop.correlation_id,
      customer_id: 'c1',
      data: { status: 'terminated' },
    })
    const start = await customer.asks('agent.start', { agent_id: id })
    expect(start.success).toBe(true)
    await customer.hears('agent.started', id, (event) => event.correlation_id === start.correlation_id)
    const restart = await customer.asks('agent.restart', { agent_id: id })
    await customer.hears('agent.stopped', id, (event) => event.correlation_id === restart.correlation_id)
    await customer.hears('agent.started', id, (event) => event.correlation_id === restart.correlation_id)
    const gone = await customer.asks('agent.delete', { agent_id: id })
    expect(gone).toMatchObject({ success: true, status: 'terminated' })
    expect(await customer.hears('agent.deleted', id)).toMatchObject({ correlation_id: gone.correlation_id, customer_id: 'c1' })
    expect(await agentsOf(world)).toEqual([])
    expect(await customer.asks('agent.start', { agent_id: id })).toMatchObject({ success: false, code: 'NOT_FOUND' })
  })

  it('[S1-19] update merges the config, and a running agent is started anew with it', async () => {
    const { world, customer } = await opened()
    const id = randomUUID()
    await customer.asks('agent.create', tess(id, { config: { testnet: true, exchange: 'binance', api_key: 'very-secret-value' } }))
    await customer.hears('agent.started', id)
    const update = await customer.asks('agent.update', { agent_id: id, config: { risk_limit: 0.05, testnet: false } })
    expect(update).toMatchObject({ success: true, status: 'updating' })
    await customer.hears('agent.updated', id)
    await customer.hears('agent.started', id, (event) => event.correlation_id === update.correlation_id)
    const [agent] = await agentsOf(world)
    const detail = await world.call<{ definition: { json_config: { agent_config: object } } }>('agents.get', { agent: agent?.id })
    expect(detail.definition.json_config.agent_config).toMatchObject({
      agent_id: id,
      config: { testnet: false, exchange: 'binance', risk_limit: 0.05, api_key: '***' },
      autogen_config: { temperature: 0.2 },
    })
    expect(Object.values((await world.secrets.get(agent?.id ?? '')) ?? {})).toEqual(['very-secret-value'])
    expect(JSON.stringify(customer.heard)).not.toContain('very-secret-value')
  })

  it('[I4-CMD-02] [part of S1-43] pause, an admin stop that tells who and why, and team.orchestrate that is not there yet', async () => {
    const { customer } = await opened()
    const id = randomUUID()
    await customer.asks('agent.create', tess(id))
    await customer.hears('agent.started', id)
    expect(await customer.asks('agent.pause', { agent_id: id })).toMatchObject({ success: true, status: 'paused' })
    await customer.hears('agent.stopped', id, ({ data }) => data.status === 'paused')
    const start = await customer.asks('agent.start', { agent_id: id })
    await customer.hears('agent.started', id, (event) => event.correlation_id === start.correlation_id)
    const stop = await customer.asks('admin.agent.stop', { agent_id: id, admin_id: 'ada', reason: 'too risky', force: true })
    expect(stop.success).toBe(true)
    expect(await customer.hears('admin.agent.stopped', id)).toMatchObject({
      correlation_id: stop.correlation_id,
      data: { admin_id: 'ada', reason: 'too risky', force: true, stopped_by: 'admin:ada', status: 'terminated' },
    })
    const team = await customer.asks('team.orchestrate', { team_id: 't1' })
    expect(team).toMatchObject({ success: false, code: 'NOT_YET' })
    expect(team.error).toContain('not there yet')
  })

  it('[part of S1-44] answers and tells as agent.error why an agent could not be made', async () => {
    const { customer } = await opened()
    for (let made = 0; made < 3; made++) await customer.asks('agent.create', tess(randomUUID()))
    const id = randomUUID()
    const answer = await customer.asks('agent.create', tess(id))
    expect(answer).toMatchObject({ success: false, code: 'TOO_MANY' })
    expect(await customer.hears('agent.error', id)).toMatchObject({
      correlation_id: answer.correlation_id,
      customer_id: 'c1',
      data: { agent_id: id, error: expect.stringContaining('c1 has 3 agents') },
    })
  })

  it('makes an agent anew under the id of one that is being deleted', async () => {
    const { world, customer } = await opened()
    const id = randomUUID()
    for (let round = 0; round < 3; round++) {
      expect(await customer.asks('agent.create', tess(id))).toMatchObject({ success: true })
      expect(await customer.asks('agent.create', tess(id))).toMatchObject({ success: true })
      expect(await customer.asks('agent.create', tess(id, { config: {} }))).toMatchObject({ code: 'ALREADY_EXISTS' })
      expect(await customer.asks('agent.delete', { agent_id: id })).toMatchObject({ success: true })
    }
    expect(await customer.asks('agent.create', tess(id, { customer_id: 'c2' }))).toMatchObject({ success: expect.any(Boolean) })
    await until(() => customer.of('agent.deleted', id).length === 3, 'three ends')
    await until(async () => (await agentsOf(world)).length === 0, 'all are gone')
    expect(await customer.asks('agent.create', tess(id, { customer_id: 'c2' }))).toMatchObject({ success: true })
    expect(
      customer.of('agent.created', id).every(({ event_id }, at, all) => all.findIndex((one) => one.event_id === event_id) === at),
    ).toBe(true)
  })

  it('gives agents of one name names of their own', async () => {
    const { world, customer } = await opened()
    await customer.asks('agent.create', tess(randomUUID()))
    await customer.asks('agent.create', tess(randomUUID()))
    await customer.asks('agent.create', tess(randomUUID(), { name: '日本 !' }))
    const names = (await agentsOf(world)).map(({ name }) => name).toSorted()
    expect(names[0]).toBe('Tess')
    expect(names[1]).toMatch(/^Tess-[0-9a-f]{12}$/)
    expect(names[2]).toMatch(/^trading-[0-9a-f]{12}$/)
  })
})

describe('commands that come again, late or from strangers', () => {
  it('[F27] a command a thousand times has one effect and the same answer', async () => {
    const { world, customer } = await opened()
    const id = randomUUID()
    const create = {
      message_type: 'agent.create',
      payload: tess(id, { customer_id: 'rabbitmq' }),
      timestamp: '2026-01-02T03:04:05Z',
      correlation_id: 'k1',
    }
    const restart = { message_type: 'agent.restart', payload: { agent_id: id }, timestamp: '2026-01-02T03:05:05Z', correlation_id: 'k2' }
    await customer.sends(create, { id: 'm1' })
    await customer.hears('agent.started', id)
    await Promise.all(Array.from({ length: 1000 }, () => customer.sends(create, { id: 'm1' })))
    for (let sent = 0; sent < 1000; sent += 100) await Promise.all(Array.from({ length: 100 }, () => customer.sends(restart, { id: 'm2' })))
    await until(() => customer.answers.length === 2001, '2001 answers', 60_000)
    const answers = (key: string) =>
      new Set(customer.answers.filter((one) => one.correlation_id === key).map(({ success, status }) => `${success} ${status}`))
    expect(answers('k1')).toEqual(new Set(['true initializing']))
    expect(answers('k2').size).toBe(1)
    await customer.hears('agent.started', id, (event) => event.correlation_id === 'k2')
    expect(await agentsOf(world, 'rabbitmq')).toHaveLength(1)
    const { events: asked } = await world.call<{ events: unknown[] }>('events.list', { types: ['agent.restart_requested'], limit: 1000 })
    expect(asked).toHaveLength(1)
    expect(world.runtime.runs).toHaveLength(2)
  }, 90_000)

  it('[F29] what cannot be read or obeyed is answered, dead-lettered with its reason, and the queue goes on', async () => {
    const { world, customer } = await opened()
    const id = randomUUID()
    const bad: [string, string][] = [
      ['this is no JSON', 'not JSON'],
      ['[]', 'must be an object'],
      [JSON.stringify({ message_type: 'agent.stop', payload: {} }), 'payload.agent_id: is missing'],
      [
        JSON.stringify({ message_type: 'agent.create', payload: tess(id, { agent_type: 'gambler' }) }),
        'payload.agent_type: must be one of trading',
      ],
      [JSON.stringify({ message_type: 'agent.explode', payload: {} }), "message_type: 'agent.explode' is not known"],
      [`${'['.repeat(100_000)}${']'.repeat(100_000)}`, 'nested deeper'],
      ['null', 'must be an object'],
      [JSON.stringify({ message_type: 'agent.stop', payload: { agent_id: 'manager' } }), 'name of the command queue'],
    ]
    for (const [body] of bad) await customer.sends(body)
    expect(await customer.asks('agent.create', tess(id))).toMatchObject({ success: true })
    await until(async () => (await deadOf(world)).length === bad.length, 'dead letters')
    const dead = await deadOf(world)
    for (const [index, [, reason]] of bad.entries()) expect(dead[index]?.reason).toContain(reason)
    await until(() => customer.answers.length === bad.length + 1, 'answers')
    expect(customer.answers.filter(({ success }) => !success)).toHaveLength(bad.length)
  })

  it('[F31] keeps the order of one agent, and refuses a command that is older than the last', async () => {
    const { world, customer } = await opened()
    const id = randomUUID()
    await customer.asks('agent.create', tess(id))
    const ask = (type: string, sequence: number) => customer.asks(type, { agent_id: id, sequence })
    const answers = await Promise.all([ask('agent.stop', 1), ask('agent.start', 2), ask('agent.stop', 3), ask('agent.start', 4)])
    expect(answers.map(({ success }) => success)).toEqual([true, true, true, true])
    const stale = await ask('agent.stop', 3)
    expect(stale).toMatchObject({ success: false, code: 'STALE' })
    expect(stale.error).toContain('3 is not newer than 4')
    await until(async () => (await agentsOf(world))[0]?.state === 'RUNNING', 'the agent runs')
    const { events: asked } = await world.call<{ events: { type: string }[] }>('events.list', {
      types: ['agent.start_requested', 'agent.stop_requested'],
    })
    expect(asked.map(({ type }) => type.replace('agent.', ''))).toEqual([
      'start_requested',
      'stop_requested',
      'start_requested',
      'stop_requested',
      'start_requested',
    ])
  })

  it("[I4-CMD-04] [F34] refuses a command for another customer's agent, and writes it down", async () => {
    const { world, customer } = await opened()
    const id = randomUUID()
    await customer.asks('agent.create', tess(id))
    await customer.hears('agent.started', id)
    for (const [type, more] of [
      ['agent.stop', {}],
      ['agent.delete', {}],
      ['agent.update', { config: { risk_limit: 1 } }],
      ['admin.agent.stop', { force: true }],
      ['agent.create', tess(id, { customer_id: 'mallory' })],
    ] as const) {
      const answer = await customer.asks(type, { ...more, agent_id: id, customer_id: 'mallory' })
      expect(answer, type).toMatchObject({ success: false, code: 'FORBIDDEN' })
    }
    const event = { event_id: 'e1', event_type: 'agent.updated', source: 'x', data: tess(id, { config: {} }), customer_id: 'mallory' }
    await customer.sends(event, {}, events('agent.created'))
    const refused = async () =>
      (await world.call<{ events: { actor: string; owner: string; data: object }[] }>('events.list', { types: ['command.refused'] })).events
    const fresh = { ...event, event_id: 'e2', data: tess(randomUUID()) }
    await customer.sends(fresh, {}, events('agent.created'))
    await until(async () => (await refused()).length === 7, 'seven refusals')
    expect(await agentsOf(world)).toHaveLength(1)
    expect((await refused())[0]).toMatchObject({
      actor: 'mallory',
      owner: 'c1',
      data: { command: 'agent.stop', known_as: id, claimed: 'mallory', forged: true },
    })
    expect((await agentsOf(world))[0]).toMatchObject({ state: 'RUNNING', revision: 1 })
    expect(customer.of('agent.error', id)).toEqual([])
  })

  it('knows its agents again after a restart of Regent, and tells what happened meanwhile', async () => {
    const { world, customer, door } = await opened()
    const id = randomUUID()
    await customer.asks('agent.create', tess(id))
    await customer.hears('agent.started', id)
    await door.close()
    const [agent] = await agentsOf(world)
    await world.call('agents.delete', { agent: agent?.id, wait: true })
    await world.reborn()
    const again = await Customer.at(world.bus)
    const next = await openAgentCommands({ core: world.core, bus: world.bus, clock: systemClock, logger: collectingLogger() })
    onTestFinished(() => next.close())
    await until(async () => !(await agentsOf(world)).length, 'it is gone')
    expect(await again.asks('agent.stop', { agent_id: id })).toMatchObject({ code: 'NOT_FOUND' })
    expect(await again.asks('agent.create', tess(id))).toMatchObject({ success: true })
  })
})

describe('triggers', () => {
  it('[I4-CMD-02] makes, replaces and starts the agent of another program, and ignores its own events', async () => {
    const { world, customer } = await opened()
    const id = randomUUID()
    const event = (type: string, source: string, config: object) => ({
      event_id: randomUUID(),
      event_type: type,
      source,
      timestamp: new Date().toISOString(),
      data: tess(id, { config }),
      metadata: {},
      correlation_id: 'gateway-1',
      customer_id: 'c1',
    })
    await customer.sends(event('agent.created', 'agent-manager', {}), {}, events('agent.created'))
    await customer.sends(event('agent.created', 'api-gateway', { testnet: true }), {}, events('agent.created'))
    const started = await customer.hears('agent.started', id)
    expect(started.correlation_id).toBe('gateway-1')
    expect(await agentsOf(world)).toHaveLength(1)
    await customer.sends(event('agent.updated', 'api-gateway', { testnet: false }), {}, events('agent.created'))
    await customer.hears('agent.updated', id)
    await customer.hears('agent.started', id, ({ event_id }) => event_id !== started.event_id)
    expect(await agentsOf(world)).toHaveLength(1)
  })
})

describe('tasks and signs of life', () => {
  it('[part of S1-44] works on task.execute through the inbox, and tells its result or failure', async () => {
    const { world, customer } = await opened()
    const id = randomUUID()
    await customer.asks('agent.create', tess(id))
    await customer.hears('agent.started', id)
    const [agent] = await agentsOf(world)
    const runner = await world.connect(agent?.id ?? '')
    const task = (taskId: string) => ({
      message_type: 'task.execute',
      payload: { task_id: taskId, type: 'analyse', parameters: { prompt: 'How is ETH doing?' } },
      timestamp: new Date().toISOString(),
      correlation_id: `for-${taskId}`,
    })
    for (let times = 0; times < 3; times++) await customer.sends(task('t1'), {}, direct(`agent-${id}`))
    const first = await runner.gets('message')
    expect(first).toMatchObject({ content: 'How is ETH doing?' })
    await runner.answers(first.id, 'well')
    expect(await customer.hears('message.sent', id)).toMatchObject({
      event_id: 'task-result-t1',
      source: `agent-${id}`,
      customer_id: 'c1',
      correlation_id: 'for-t1',
      data: { task_id: 't1', agent_id: id, result: 'well' },
    })
    await customer.sends(task('t2'), {}, direct(`agent-${id}`))
    const second = await runner.gets('message', 1)
    await runner.tell({ type: 'accepted', message_id: second.id })
    await runner.did({ kind: 'failed', message_id: second.id, reason: 'no data' })
    expect(await customer.hears('message.failed', id)).toMatchObject({
      event_id: 'task-error-t2',
      data: { task_id: 't2', error: 'no data' },
    })
    expect(customer.of('message.sent', id)).toHaveLength(1)
    await customer.sends({ ...task('t3'), correlation_id: 'ü'.repeat(200) }, {}, direct(`agent-${id}`))
    const third = await runner.gets('message', 2)
    await runner.answers(third.id, '€\n'.repeat(400_000))
    const long = await customer.hears('message.sent', id, ({ event_id }) => event_id === 'task-result-t3')
    expect(long.correlation_id).toBe('ü'.repeat(200))
    expect(String(long.data.result)).toMatch(/^(€\n){100000}/)
    expect(customer.messages.find((one) => one.id === 'task-result-t3')?.correlationId).toBeUndefined()
  })

  it('lets agents of one customer talk, and no others', async () => {
    const { world, customer } = await opened()
    const [one, other, stranger] = [randomUUID(), randomUUID(), randomUUID()]
    await customer.asks('agent.create', tess(one))
    await customer.asks('agent.create', tess(other, { name: 'Rita' }))
    await customer.asks('agent.create', tess(stranger, { customer_id: 'c2' }))
    const start = (target: string) => ({ message_type: 'conversation.start', payload: { target_agent_id: target, message: 'hello' } })
    await customer.sends(start(stranger), {}, direct(`agent-${one}`))
    await customer.sends(start(other), {}, direct(`agent-${one}`))
    const rita = (await agentsOf(world)).find(({ name }) => name === 'Rita')
    const inbox = async () => (await world.call<{ messages: { conversation: string }[] }>('messages.list', { agent: rita?.id })).messages
    await until(async () => (await inbox()).length === 1, 'the message')
    expect(await inbox()).toMatchObject([{ content: 'hello', conversation: `agent-${one}` }])
    expect((await agentsOf(world, 'c2'))[0]?.queued).toBe(0)
  })

  it('[S1-28] [part of S1-44] tells health and heartbeats at each interval, and errors', async () => {
    const { world, customer } = await opened(50)
    const id = randomUUID()
    await customer.asks('agent.create', tess(id))
    await customer.hears('agent.started', id)
    const [agent] = await agentsOf(world)
    await world.connect(agent?.id ?? '')
    const health = await customer.hears('agent.health', id, ({ data }) => data.last_heartbeat !== null)
    expect(health).toMatchObject({ source: 'agent-manager', customer_id: 'c1', data: { agent_id: id, status: 'running' } })
    expect(health.data.metrics).toMatchObject({ restarts: 0, queued: 0 })
    const beat = await customer.hears('agent.heartbeat', id)
    expect(beat).toMatchObject({ source: `agent-${id}`, data: { agent_id: id, status: 'running' } })
    world.runtime.last.end({ kind: 'exited', code: 1, at: Date.now() })
    expect(await customer.hears('agent.error', id)).toMatchObject({ data: { agent_id: id, retrying: true } })
  })
})
