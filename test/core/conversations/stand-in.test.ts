import { describe, expect, it, onTestFinished } from 'vitest'
import { listenerEvent } from '../../../src/contract/envelopes.ts'
import { StandIn } from '../../../src/core/conversations/stand-in.ts'
import { Journal } from '../../../src/core/events/journal.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { RegentError } from '../../../src/kernel/errors.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import type { Brokers } from '../../../src/ports/brokers.ts'
import { CoreWorld } from '../../helpers/core-world.ts'
import { SharedBroker } from '../../helpers/shared-bus.ts'
import { until } from '../../helpers/until.ts'

const topic = { name: 'agent:c', fleeting: true }
const settings = { kind: 'redis', addresses: ['h:1'] } as const

async function standing() {
  const world = await CoreWorld.open()
  const agent = await world.team()
  const broker = new SharedBroker()
  const { store } = world
  const delivered: string[] = []
  let released = 0
  const at = async () => broker.client()
  const brokers: Brokers = { configured: [], ofKind: () => undefined, at, release: async () => void released++ }
  const open = async () => {
    const journal = new Journal(store, silentLogger)
    await journal.open()
    const links = { deliver: (id: string) => void delivered.push(id) }
    const standIn = new StandIn({ store, journal, brokers, clock: systemClock, logger: silentLogger, links })
    onTestFinished(() => standIn.close())
    standIn.begin()
    standIn.stand(agent, [topic, { name: 'agent:c:stream' }], settings)
    await until(async () => (await broker.bus.topics()).some(({ name }) => name === topic.name), 'Regent to listen')
    return standIn
  }
  const say = (body: string) => broker.bus.publish(topic, { id: `${Math.random()}`, body })
  const mark = (what: 'here' | 'gone', run: string) => say(JSON.stringify(listenerEvent(what, 'news', run, 0)))
  const kept = async () =>
    (await world.call<{ messages: { content: string }[] }>('messages.list', { agent, limit: 500 })).messages.map(({ content }) => content)
  return { world, agent, broker, open, say, mark, kept, delivered, released: () => released }
}

describe('Regent in the stead of an agent', () => {
  it('takes what comes while the agent is stopped, on topics that keep nothing alone, and ignores what is no prompt', async () => {
    const { agent, broker, open, say, kept, delivered } = await standing()
    await open()
    await say('{"type":"user","content":"one"}')
    await say('{"type":"info","message":"no prompt"}')
    await say('two')
    await broker.bus.publish({ name: 'agent:c:stream' }, { id: 's', body: 'the stream keeps it' })
    expect(await kept()).toEqual(['one', 'two'])
    expect(delivered).toEqual([agent, agent])
  })

  it('leaves from the very message on at which the run says that it listens, and takes over where it says that it does not', async () => {
    const { world, agent, open, say, mark, kept } = await standing()
    await open()
    await world.running(agent)
    const run = world.runtime.last.handle.runId
    await say('before')
    await mark('here', 'a forged run')
    await say('still before')
    await mark('here', run)
    await say('for the agent')
    await mark('gone', 'another run')
    await say('for the agent')
    await mark('gone', run)
    await say('after')
    expect(await kept()).toEqual(['before', 'still before', 'after'])
  })

  it('does not take what stands behind the word of a run that is still being looked up, and takes many in their order', async () => {
    const { world, agent, open, say, mark, kept } = await standing()
    const { lives, runs } = world.store.read
    await world.running(agent)
    // As if it had begun after Regent looked, and the journal were late.
    const { get } = lives
    lives.get = async () => undefined
    await open()
    lives.get = get
    const gate = Promise.withResolvers<void>()
    const look = runs.get
    let looked = false
    runs.get = async (id) => {
      looked = true
      await gate.promise
      return look.call(runs, id)
    }
    const early = Array.from({ length: 100 }, (_, at) => `early ${at}`)
    await Promise.all(early.map((body) => say(body)))
    const said = [mark('here', world.runtime.last.handle.runId), say('for the agent')]
    await until(() => looked, 'the run to be looked up')
    gate.resolve()
    await Promise.all(said)
    expect(await kept()).toEqual(early)
  })

  it('takes over when the run ends without a word', async () => {
    const { world, agent, open, say, mark, kept } = await standing()
    await open()
    await world.running(agent)
    await mark('here', world.runtime.last.handle.runId)
    await world.call('agents.stop', { agent, wait: true })
    await until(async () => {
      await say('anybody')
      return (await kept()).length > 0
    }, 'Regent to take over')
    await mark('here', world.runtime.last.handle.runId)
    await say('after the run')
    expect(await kept()).toContain('after the run')
  })

  it('leaves it to a run that lives when Regent begins', async () => {
    const { world, agent, open, say, kept } = await standing()
    await world.running(agent)
    await open()
    await say('for the agent')
    expect(await kept()).toEqual([])
    await world.call('agents.stop', { agent, wait: true })
    await until(async () => {
      await say('anybody')
      return (await kept()).length > 0
    }, 'Regent to take over')
  })

  it('tries again, about once a minute, where the broker refuses it, and tells of it', async () => {
    const world = await CoreWorld.open()
    const agent = await world.team()
    const broker = new SharedBroker()
    const pauses: number[] = []
    let failures = 3
    let next = () => {}
    // A minute passes when the test says so.
    const sleep = (ms: number) => {
      pauses.push(ms)
      return new Promise<void>((resolve) => {
        next = resolve
      })
    }
    const clock = { ...systemClock, sleep }

    const client = () => {
      const bus = broker.client()
      const { subscribe } = bus
      bus.subscribe = async (...given) => {
        if (failures-- > 0) throw new RegentError('FORBIDDEN', 'NOAUTH Authentication required')
        return subscribe(...given)
      }
      return bus
    }
    const brokers: Brokers = { configured: [], ofKind: () => undefined, at: async () => client(), release: async () => {} }
    const journal = new Journal(world.store, silentLogger)
    await journal.open()
    const standIn = new StandIn({ store: world.store, journal, brokers, clock, logger: silentLogger, links: { deliver() {} } })
    onTestFinished(() => standIn.close())
    standIn.begin()
    standIn.stand(agent, [topic], settings)
    for (const tries of [1, 2, 3]) {
      await until(() => pauses.length === tries, `try ${tries} to fail`)
      expect(standIn.troubleOf(agent)).toMatchObject({ reason: 'NOAUTH Authentication required' })
      next()
    }
    await until(async () => (await broker.bus.topics()).some(({ name }) => name === topic.name), 'Regent to listen')
    await until(() => standIn.troubleOf(agent) === undefined, 'the trouble to be over')
    for (const pause of pauses) expect(Math.abs(pause - 60_000)).toBeLessThanOrEqual(15_000)
  })

  it('lets go of the broker when the channel is another one or gone', async () => {
    const { agent, open, released } = await standing()
    const standIn = await open()
    standIn.stand(agent, [topic, { name: 'agent:c:stream' }], settings)
    expect(released()).toBe(0)
    standIn.stand(agent, [{ name: 'agent:d', fleeting: true }], settings)
    await until(() => released() === 1, 'the first to be let go')
    standIn.leave(agent)
    await until(() => released() === 2, 'the second to be let go')
  })
})
