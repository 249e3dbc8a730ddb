import { randomUUID } from 'node:crypto'
import { expect, it, onTestFinished } from 'vitest'
import { openAgentCommands } from '../../../src/doors/rabbitmq/door.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { RegentError } from '../../../src/kernel/errors.ts'
import type { Bus, BusStatus } from '../../../src/ports/bus.ts'
import { Customer, tess } from '../../helpers/agent-bus.ts'
import { CoreWorld } from '../../helpers/core-world.ts'
import { collectingLogger } from '../../helpers/logs.ts'
import { until } from '../../helpers/until.ts'

/** A bus whose broker the test takes away and gives back. */
function switchable(bus: Bus): { readonly bus: Bus; away(): void; back(): void; readonly refused: number } {
  let connected = true
  let refused = 0
  const listeners = new Set<(status: BusStatus) => void>()
  const status = (): BusStatus => ({ ...bus.status(), connected })
  const proxy = new Proxy(bus, {
    get(target, name) {
      if (name === 'status') return status
      if (name === 'onStatus')
        return (listener: (status: BusStatus) => void) => {
          listeners.add(listener)
          return () => void listeners.delete(listener)
        }
      if (name === 'publish')
        return (...args: Parameters<Bus['publish']>) => {
          if (connected) return target.publish(...args)
          refused++
          return Promise.reject(new RegentError('UNAVAILABLE', 'the broker is away'))
        }
      const value = target[name as keyof Bus]
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  const turn = (to: boolean) => {
    connected = to
    for (const listener of listeners) listener(status())
  }
  return {
    bus: proxy,
    away: () => turn(false),
    back: () => turn(true),
    get refused() {
      return refused
    },
  }
}

it('[S1-28] keeps the newest health of each agent while the broker is away, and tells how many it took the place of', async () => {
  const world = await CoreWorld.open()
  const broker = switchable(world.bus)
  const customer = await Customer.at(world.bus)
  const logger = collectingLogger()
  const door = await openAgentCommands({ core: world.core, bus: broker.bus, clock: systemClock, logger, healthMs: 20 })
  onTestFinished(() => door.close())
  const ids = [randomUUID(), randomUUID()]
  for (const id of ids) {
    await customer.asks('agent.create', tess(id, { name: id }))
    await customer.hears('agent.health', id, ({ data }) => data.status === 'running')
  }
  broker.away()
  await world.call('agents.stop', { agent: `c1/${ids[0]}`, wait: true })
  const heard = customer.heard.filter(({ event_type }) => event_type === 'agent.health').length
  const looks = world.runtime.runs.length
  expect(looks).toBe(2)
  // Long enough for several rounds: each would tell, and takes the place of the one before.
  const deadline = Date.now() + 200
  await until(() => Date.now() > deadline, 'some rounds')
  expect(customer.heard.filter(({ event_type }) => event_type === 'agent.health')).toHaveLength(heard)
  const timesBack = Date.now()
  broker.back()
  await until(() => logger.lines.some(({ message }) => message.includes('replaced by newer ones')), 'the count')
  const told = logger.lines.find(({ message }) => message.includes('replaced by newer ones'))
  expect(told?.fields).toMatchObject({ dropped: expect.any(Number) })
  const first = customer.of('agent.health', ids[0] as string).find(({ timestamp }) => Date.parse(timestamp) >= timesBack - 100)
  expect(first?.data.status).toBe('terminated')
  expect(await customer.hears('agent.stopped', ids[0] as string)).toMatchObject({ correlation_id: null })
})
