import { randomUUID } from 'node:crypto'
import { expect, it, onTestFinished } from 'vitest'
import { openBroker } from '../../../src/adapters/buses/open-broker.ts'
import { parseBrokerUrl } from '../../../src/contract/brokers.ts'
import { type AgentCommandsDoor, openAgentCommands } from '../../../src/doors/rabbitmq/door.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import type { Bus } from '../../../src/ports/bus.ts'
import { Customer, tess } from '../../helpers/agent-bus.ts'
import { CoreWorld } from '../../helpers/core-world.ts'
import { describeWith } from '../../helpers/services.ts'
import { until } from '../../helpers/until.ts'
import { freshVhost } from '../../helpers/vhost.ts'

/** The same bus, but that handlers of commands come to no end once their work is done: the broker hears of no success. */
function neverAcknowledging(bus: Bus, done: () => void): Bus {
  return new Proxy(bus, {
    get(target, name) {
      if (name === 'subscribe')
        return (...[topic, handler, options]: Parameters<Bus['subscribe']>) =>
          target.subscribe(
            topic,
            async (message, signal) => {
              await handler(message, signal)
              if (options?.queue?.name !== 'autogen.direct.agent-manager') return
              done()
              await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
            },
            options,
          )
      const value = target[name as keyof Bus]
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

describeWith('rabbitmq', 'commands whose acknowledgement is lost', (urls) => {
  it('[F28] [F27] come again, have no second effect, and get the same answer', async () => {
    const vhost = await freshVhost(urls)
    const world = await CoreWorld.open()
    const busAt = async () => {
      const bus = await openBroker({ settings: parseBrokerUrl(vhost.url), clock: systemClock, logger: silentLogger })
      onTestFinished(() => bus.close())
      return bus
    }
    const open = async (bus: Bus): Promise<AgentCommandsDoor> =>
      openAgentCommands({ core: world.core, bus, clock: systemClock, logger: silentLogger })
    const id = randomUUID()
    let done = 0
    const first: AgentCommandsDoor = await open(neverAcknowledging(await busAt(), () => done++))
    await until(async () => (await vhost.queues()).some(({ name }) => name === 'autogen.direct.agent-manager'), 'the queue')
    const customer = await Customer.at(await busAt())
    const send = (type: string, payload: object) =>
      customer.sends({ message_type: type, payload, correlation_id: type, timestamp: 'now' }, { id: type })
    await send('agent.create', tess(id))
    await send('agent.restart', { agent_id: id })
    await send('agent.delete', { agent_id: id })
    await until(() => done === 3, 'three commands done and not acknowledged')
    await first.close()
    await world.reborn()
    const second = await open(await busAt())
    onTestFinished(() => second.close())
    await until(() => customer.answers.length === 6, 'each answered again')
    for (const type of ['agent.create', 'agent.restart', 'agent.delete']) {
      const [one, other] = customer.answers.filter(({ correlation_id }) => correlation_id === type)
      expect(one).toMatchObject({ success: true })
      expect(other).toMatchObject({ success: true, status: one?.status })
    }
    await until(async () => (await vhost.queues()).every(({ messages = 0 }) => messages === 0), 'nothing is left')
    const { events } = await world.call<{ events: { type: string }[] }>('events.list', {
      types: ['agent.created', 'agent.restart_requested', 'agent.deleted'],
    })
    expect(events.map(({ type }) => type)).toEqual(['agent.created', 'agent.restart_requested', 'agent.deleted'])
  }, 40_000)
})
