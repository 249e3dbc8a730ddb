import { describe, expect, it } from 'vitest'
import type { Policy } from '../../../src/contract/policy.ts'
import type { Activity } from '../../../src/contract/states.ts'
import { Supervised } from '../../helpers/supervised.ts'
import { until } from '../../helpers/until.ts'

const rule = (more: Partial<NonNullable<Policy['stalled']>> = {}): Partial<Policy> => ({
  startsecs: 0,
  stalled: { after: 60, every: 30, steps: ['warn', 'nudge', 'restart'], ...more },
})

async function running(world: Supervised, given: Partial<Policy>, kind: 'command' | 'team' = 'command'): Promise<string> {
  const agent = await world.agent(given, kind)
  await world.ask('start', agent)
  await world.reaches(agent, 'RUNNING')
  return agent
}
const does = (world: Supervised, agent: string, activity: Activity) => {
  world.presence.set(agent, { activity, conditions: [], linked: true })
  world.watching.worked(agent)
}
const steps = async (world: Supervised, agent: string, count: number) => {
  await until(async () => (await world.events(agent, 'agent.stalled')).length >= count, `${count} events`)
  const events = await world.events(agent, 'agent.stalled')
  expect(events).toHaveLength(count)
  return events
}

describe('a plain program that prints nothing', () => {
  it('is warned of, sent SIGCONT, and restarted, one step after the other [I3-STALL-01]', async () => {
    const world = await Supervised.open()
    const agent = await running(world, rule())
    const signals: string[] = []
    world.runtime.last.signal = async (name?: string) => signals.push(String(name)) > 0
    await world.passes(59)
    expect(world.observed.stalled(agent)).toBe(false)
    await world.passes(2)
    expect(world.observed.stalled(agent)).toBe(true)
    expect(world.observed.conditions(agent)).toMatchObject([{ type: 'stalled', message: 'no sign of work for 60 s' }])
    expect(await steps(world, agent, 1)).toMatchObject([{ step: 'warn', silent_seconds: 60 }])
    expect(signals).toEqual([])
    await world.passes(30)
    expect(await steps(world, agent, 2)).toMatchObject([{}, { step: 'nudge' }])
    expect(signals).toEqual(['SIGCONT'])
    await world.passes(30)
    await until(() => world.runtime.runs.length === 2, 'it is restarted')
    expect(await steps(world, agent, 3)).toMatchObject([{}, {}, { step: 'restart' }])
    expect((await world.reaches(agent, 'RUNNING')).restarts).toBe(1)
    expect(await world.events(agent, 'run.exited')).toMatchObject([{ reason: 'stalled: no sign of work for 120 s (ended by SIGTERM)' }])
    expect(world.observed.stalled(agent)).toBe(false)
    expect(world.observed.conditions(agent)).toEqual([])
  })

  it('is left alone while it prints, and once it prints again', async () => {
    const world = await Supervised.open()
    const agent = await running(world, rule())
    for (let i = 0; i < 10; i++) {
      await world.passes(50)
      world.runtime.last.outputAt = world.clock.now()
    }
    expect(world.observed.stalled(agent)).toBe(false)
    await world.passes(80)
    expect(world.observed.stalled(agent)).toBe(true)
    world.runtime.last.outputAt = world.clock.now()
    await world.passes(6)
    expect(world.observed.stalled(agent)).toBe(false)
    expect(await steps(world, agent, 2)).toMatchObject([{ step: 'warn' }, { cleared: true }])
    await world.passes(50)
    expect(world.observed.stalled(agent)).toBe(false)
    await world.passes(10)
    expect(await steps(world, agent, 3)).toMatchObject([{}, {}, { step: 'warn' }])
  })

  it('the restart policy never only tells', async () => {
    const world = await Supervised.open()
    const agent = await running(world, { ...rule({ steps: ['restart'] }), restart: 'never' })
    await world.passes(300)
    expect(await steps(world, agent, 1)).toMatchObject([{ step: 'restart', kept: 'its restart policy is never' }])
    expect(world.runtime.last.stops).toBe(0)
    expect(world.observed.stalled(agent)).toBe(true)
  })

  it('without the rule nothing is looked at', async () => {
    const world = await Supervised.open()
    const agent = await running(world, { startsecs: 0 })
    expect(world.clock.nextIn).toBe(undefined)
    await world.passes(600)
    expect(world.observed.stalled(agent)).toBe(false)
  })

  it('what Regent could not see while it stood still does not count', async () => {
    const world = await Supervised.open()
    const agent = await running(world, rule())
    await world.passes(10)
    world.clock.stall(600_000)
    await world.passes(55)
    expect(world.observed.stalled(agent)).toBe(false)
    await world.passes(10)
    expect(world.observed.stalled(agent)).toBe(true)
  })
})

describe('an agent with a runner', () => {
  it('is stalled only while it should work: not idle, not waiting for an answer, not without a link', async () => {
    const world = await Supervised.open()
    const agent = await running(world, rule(), 'team')
    await world.passes(200)
    for (const activity of ['idle', 'needs_input', 'rate_limited', 'starting'] as const) {
      does(world, agent, activity)
      await world.passes(200)
      expect(world.observed.stalled(agent)).toBe(false)
    }
    does(world, agent, 'working')
    await world.passes(59)
    expect(world.observed.stalled(agent)).toBe(false)
    await world.passes(2)
    expect(world.observed.stalled(agent)).toBe(true)
    does(world, agent, 'needs_input')
    expect(world.observed.stalled(agent)).toBe(false)
    expect((await steps(world, agent, 2))[1]).toMatchObject({ cleared: true })
  })

  it('every row and every piece of an answer is a sign', async () => {
    const world = await Supervised.open()
    const agent = await running(world, rule(), 'team')
    does(world, agent, 'working')
    for (let i = 0; i < 10; i++) {
      await world.passes(50)
      world.watching.worked(agent)
    }
    expect(await world.events(agent, 'agent.stalled')).toEqual([])
  })

  it('is nudged by a message, whose arrival is no sign of work', async () => {
    const world = await Supervised.open()
    const agent = await running(world, rule({ steps: ['nudge', 'restart'], nudge: 'Go on, please.' }), 'team')
    does(world, agent, 'working')
    await world.passes(61)
    await until(() => world.delivered.includes(agent), 'its inbox is announced')
    expect(await world.store.read.messages.waiting(agent, 0, 10)).toMatchObject([
      { content: 'Go on, please.', sender: 'regent', conversation: 'main', metadata: { nudge: true } },
    ])
    world.runtime.last.outputAt = world.clock.now()
    await world.passes(20)
    expect(world.observed.stalled(agent)).toBe(true)
    await world.passes(10)
    await until(() => world.runtime.runs.length === 2, 'it is restarted')
  })
})
