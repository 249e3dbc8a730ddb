import { randomUUID } from 'node:crypto'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { createStompBus } from '../../../src/adapters/buses/stomp/stomp-bus.ts'
import { type BrokerSettings, parseBrokerUrl } from '../../../src/contract/brokers.ts'
import { createDesk } from '../../../src/core/desk.ts'
import { controlQueues, openTestbedControl } from '../../../src/doors/stomp/testbed-control.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import { createFakeCore, newAgent } from '../../helpers/fake-core.ts'
import { temporaryFolder } from '../../helpers/folder.ts'
import { Regent } from '../../helpers/regent.ts'
import { describeWith } from '../../helpers/services.ts'
import { StompPeer } from '../../helpers/stomp-peer.ts'
import { openTestStore } from '../../helpers/stores.ts'
import { TcpProxy } from '../../helpers/tcp-proxy.ts'
import { until } from '../../helpers/until.ts'

const stamp = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00$/)

/** The door of a user that nobody else has, over a core that is made up; closed with the test. */
async function openDoor(settings: BrokerSettings, over: { user?: string; store?: string } = {}) {
  const { user = `ann-${randomUUID().slice(0, 8)}`, store = join(temporaryFolder(), 'regent.db') } = over
  const bus = createStompBus({ settings, clock: systemClock, logger: silentLogger })
  const rows = await openTestStore(store)
  const { core, agents } = createFakeCore()
  const identity = { ...core.identity, localAdmin: (via: string) => ({ user, role: 'admin' as const, via }) }
  const restarts: number[] = []
  const door = openTestbedControl({
    core: { call: core.call, identity, desk: createDesk({ store: rows, clock: systemClock }) },
    bus,
    restart: () => void restarts.push(1),
    clock: systemClock,
    logger: silentLogger,
  })
  const close = async () => {
    await door.close()
    await bus.close()
    await rows.close()
  }
  let closing: Promise<void> | undefined
  const once = () => (closing ??= close())
  onTestFinished(once)
  const [queue = '', other = ''] = controlQueues(user)
  return { user, store, bus, agents, restarts, queue, other, close: once }
}

async function openSender(settings: BrokerSettings, user: string) {
  const peer = await StompPeer.open(settings)
  const reply = `/queue/testbed.${user}.reply`
  await peer.subscribe(reply)
  const answers = () => peer.messages.map(({ body }) => JSON.parse(body) as Record<string, unknown>)
  const answer = async (count: number) => {
    await until(() => peer.messages.length >= count, `${count} answers`)
    return answers()[count - 1]
  }
  return { peer, reply, answer, answers }
}

const brokers = [
  ['activemq', 'url'],
  ['rabbitmq', 'stomp'],
] as const

for (const [service, which] of brokers) {
  describeWith(service, `the testbed control queue at ${service}`, (urls) => {
    const settings = parseBrokerUrl((urls as Record<string, string>)[which] ?? '')

    it("[part of S3-10] [I4-STOMP-01] answers ping and status on both of its names, to a stranger's client", async () => {
      const { user, queue, other, agents } = await openDoor(settings)
      const { peer, reply, answer } = await openSender(settings, user)
      peer.send(queue, JSON.stringify({ command: 'ping', reply_to: reply }))
      expect(await answer(1)).toEqual({ status: 'alive', username: user, timestamp: stamp })
      peer.send(other, JSON.stringify({ command: 'status', reply_to: reply }))
      expect(await answer(2)).toEqual({ username: user, agents_running: false, supervisord_status: '', timestamp: stamp })
      for (const [owner, name] of [
        [user, 'news'],
        ['somebody-else', 'hidden'],
      ] as const) {
        const agent = { ...newAgent(owner, name), state: 'RUNNING' as const, pid: 4711, uptime_ms: 61_000 }
        agents.set(agent.id, agent)
      }
      const idle = newAgent(user, 'idle')
      agents.set(idle.id, { ...idle, reason: 'Not started' })
      peer.send(queue, JSON.stringify({ command: 'status', reply_to: reply }))
      expect(await answer(3)).toMatchObject({ username: user, agents_running: true })
      const { supervisord_status: table } = (await answer(3)) as { supervisord_status: string }
      expect(table).toMatch(
        new RegExp(`^${user}_idle_agent +STOPPED +Not started\\n${user}_news_agent +RUNNING +pid 4711, uptime 0:01:01\\n$`),
      )
    })

    it('[I4-STOMP-02] says of what needs testbeds that they are not there yet, and what is wrong with what it cannot read', async () => {
      const { user, queue } = await openDoor(settings)
      const { peer, reply, answer } = await openSender(settings, user)
      const sent = [
        ['start_testbed', 'not there yet'],
        ['stop_testbed', 'not there yet'],
        ['dance', "'dance' is not known"],
      ]
      for (const [at, [command, words]] of sent.entries()) {
        peer.send(queue, JSON.stringify({ command, config_name: 'testbed.toml', reply_to: reply }))
        expect(await answer(at + 1)).toEqual({ command, success: false, error: expect.stringContaining(words ?? ''), timestamp: stamp })
      }
    })

    it('puts aside at once, with the reason, what it can answer nobody, and goes on', { timeout: 30_000 }, async () => {
      const { user, queue, bus } = await openDoor(settings)
      const { peer, reply, answer } = await openSender(settings, user)
      const bad = ['not JSON', '{"command":"ping","reply_to":"nowhere"}', '{"command":"start_testbed"}', `"${'x'.repeat(70_000)}"`]
      for (const body of bad) peer.send(queue, body)
      peer.send(queue, JSON.stringify({ command: 'ping', reply_to: reply }))
      expect(await answer(1)).toMatchObject({ status: 'alive' })
      await until(async () => (await bus.deadLetters({ name: queue })).length === bad.length, 'the dead letters')
      const reasons = (await bus.deadLetters({ name: queue })).map((letter) => [letter.message.body, letter.reason, letter.message.attempt])
      expect(reasons).toEqual([
        [bad[0], expect.stringContaining('JSON object'), 1],
        [bad[1], expect.stringContaining("destination must start with '/queue/' or '/topic/', got: 'nowhere'"), 1],
        [bad[2], expect.stringContaining('not there yet'), 1],
        [bad[3], expect.stringContaining('at most'), 1],
      ])
      for (const { id } of await bus.deadLetters({ name: queue })) expect(await bus.drop(id)).toBe(true)
    })

    it('restarts Regent once, however often the command comes, before and after the restart', { timeout: 30_000 }, async () => {
      const first = await openDoor(settings)
      const { peer, reply, answers } = await openSender(settings, first.user)
      const command = JSON.stringify({ command: 'restart', reply_to: reply })
      const id = randomUUID()
      for (let at = 0; at < 100; at++) peer.send(first.queue, command, { 'regent-id': id })
      await until(() => answers().length === 100, 'all answers')
      await until(() => first.restarts.length > 0, 'the restart')
      await first.close()
      const second = await openDoor(settings, first)
      peer.send(first.queue, command, { 'regent-id': id })
      await until(() => answers().length === 101, 'an answer of the next one')
      peer.send(first.queue, command)
      await until(() => second.restarts.length > 0, 'a restart that is asked for anew')
      expect([first.restarts.length, second.restarts.length]).toEqual([1, 1])
      expect(answers().every((one) => one.command === 'restart' && one.success === true)).toBe(true)
    })

    it('of two Regents of a user one answers, and the other when that is gone', { timeout: 40_000 }, async () => {
      const first = await openDoor(settings)
      const { peer, reply, answer, answers } = await openSender(settings, first.user)
      peer.send(first.queue, JSON.stringify({ command: 'status', reply_to: reply }))
      await answer(1)
      const second = await openDoor(settings, { user: first.user })
      const agent = { ...newAgent(first.user, 'x'), state: 'RUNNING' as const }
      second.agents.set(agent.id, agent)
      for (let at = 0; at < 20; at++) peer.send(first.queue, JSON.stringify({ command: 'status', reply_to: reply }))
      await answer(21)
      expect(answers().filter(({ agents_running: running }) => running === true)).toEqual([])
      await first.close()
      peer.send(first.queue, JSON.stringify({ command: 'status', reply_to: reply }))
      await until(() => answers().length === 22, 'the answer of the second', 20_000)
      expect(answers().at(-1)).toMatchObject({ agents_running: true })
    })

    it('opens and closes without its broker, and answers what waited when it comes', { timeout: 60_000 }, async () => {
      const proxy = await TcpProxy.open(settings.addresses[0] ?? '')
      proxy.refuse()
      const away = { ...settings, addresses: [proxy.address] }
      await (await openDoor(away)).close()
      const { user, queue } = await openDoor(away)
      const { peer, reply, answer } = await openSender(settings, user)
      peer.send(queue, JSON.stringify({ command: 'ping', reply_to: reply }))
      proxy.heal()
      await until(() => peer.messages.length === 1, 'the answer', 40_000)
      expect(await answer(1)).toMatchObject({ status: 'alive' })
    })
  })
}

describeWith('activemq', 'Regent at a STOMP broker', ({ url }) => {
  it('[S3-10] answers /queue/testbed.{username}.control of who runs it, and restarts in place', { timeout: 60_000 }, async () => {
    const settings = parseBrokerUrl(url)
    const [host = '', port = ''] = (settings.addresses[0] ?? '').split(':')
    const regent = await Regent.start({ ACTIVEMQ_HOST: host, ACTIVEMQ_PORT: port })
    const user = userInfo().username
    const peer = await StompPeer.open(settings)
    const reply = `/queue/testbed.${user}.reply.${randomUUID()}`
    await peer.subscribe(reply)
    const answered = async (fields: Record<string, unknown>) => {
      await until(
        () => peer.messages.some(({ body }) => Object.entries(fields).every(([name, value]) => JSON.parse(body)[name] === value)),
        JSON.stringify(fields),
        20_000,
      )
    }
    expect((await regent.run('run', 'ticker', '--', 'sleep', '1000')).code).toBe(0)
    peer.send(`/queue/testbed.${user}.control`, JSON.stringify({ command: 'ping', reply_to: reply }))
    await answered({ status: 'alive', username: user })
    await until(async () => {
      peer.send(`/queue/agent_control.${user}`, JSON.stringify({ command: 'status', reply_to: reply }))
      await answered({ username: user })
      return peer.messages.some(({ body }) => JSON.parse(body).agents_running === true)
    }, 'the agent runs')
    const before = regent.log.split('Regent is ready').length
    peer.send(`/queue/testbed.${user}.control`, JSON.stringify({ command: 'restart', reply_to: reply }))
    await answered({ command: 'restart', success: true })
    await until(() => regent.log.split('Regent is ready').length === before + 1, 'the next Regent', 20_000)
    expect(regent.log).not.toContain(settings.password ?? 'admin:admin')
  })
})
