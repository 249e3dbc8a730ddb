import { describe, expect, it } from 'vitest'
import { type Policy, policy } from '../../../src/contract/policy.ts'
import { scheduleCursor } from '../../../src/core/supervision/schedules.ts'
import { Supervised } from '../../helpers/supervised.ts'
import { until } from '../../helpers/until.ts'

type Schedules = NonNullable<Policy['schedules']>
const HOUR = 3_600_000
/** Every hour; the fake calendar counts from the epoch. */
const hourly = (more: Partial<Schedules[number]> = {}): Schedules => [
  { cron: `every ${HOUR}`, timezone: 'UTC', action: 'start', missed: 'skip', ...more },
]

/** A world whose clock stands at a full hour, with one agent that its schedules know. */
async function planned(schedules: Schedules, given: Partial<Policy> = {}) {
  const world = await Supervised.open()
  world.clock.advance(HOUR - (world.clock.now() % HOUR))
  await world.watching.schedule()
  const agent = await world.agent({ startsecs: 0, restart: 'on-failure', schedules, ...given })
  await changed(world, agent, { schedules })
  return { world, agent }
}

async function changed(world: Supervised, agent: string, change: Partial<Policy>): Promise<void> {
  await world.store.transaction(async (tables) => {
    const row = await tables.agents.get(agent)
    if (row) await tables.agents.update(agent, { policy: policy.parse({ ...row.policy, ...change }), updatedAt: world.clock.now() })
  })
  const row = await world.store.read.agents.get(agent)
  if (row) world.watching.update(row)
}

const fired = async (world: Supervised, agent: string, count: number) => {
  await until(async () => (await world.events(agent, 'agent.schedule_fired')).length >= count, `${count} times`)
  const events = await world.events(agent, 'agent.schedule_fired')
  expect(events).toHaveLength(count)
  return events
}
const exits = (world: Supervised, code: number) => world.runtime.last.end({ kind: 'exited', code, at: world.clock.now() })
const advance = async (world: Supervised, ms: number) => {
  for (let left = ms; left > 0; left -= 60_000) {
    world.clock.advance(Math.min(left, 60_000))
    await settled(world)
  }
}

/** What was under way, and what followed from it, is on the disk. */
const settled = async (world: Supervised) => {
  for (let round = 0; round < 2; round++) {
    await new Promise((resolve) => setImmediate(resolve))
    await world.store.transaction(async (tables) => tables.cursors.get(''))
  }
}

describe('a schedule', () => {
  it('starts an agent at its time, as the actor schedule, and again at the next one after its run has ended', async () => {
    const { world, agent } = await planned(hourly())
    const from = world.clock.now()
    await advance(world, HOUR - 1)
    expect(world.runtime.runs).toHaveLength(0)
    await advance(world, 1)
    await world.reaches(agent, 'RUNNING')
    expect(await fired(world, agent, 1)).toEqual([
      { cron: `every ${HOUR}`, timezone: 'UTC', action: 'start', planned: from + HOUR, missed: false, done: 'started' },
    ])
    const [event] = await world.store.read.events.list({ after: 0, limit: 10, agentId: agent, types: ['agent.start_requested'] })
    expect(event).toMatchObject({ actor: 'schedule', data: { cause: `schedule every ${HOUR}` } })
    exits(world, 0)
    await world.reaches(agent, 'EXITED')
    await advance(world, HOUR / 2)
    expect(world.runtime.runs).toHaveLength(1)
    await advance(world, HOUR / 2)
    await until(() => world.runtime.runs.length === 2, 'the second run')
    await world.reaches(agent, 'RUNNING')
  })

  it('lets one that runs run', async () => {
    const { world, agent } = await planned(hourly())
    await world.ask('start', agent)
    await world.reaches(agent, 'RUNNING')
    await advance(world, HOUR)
    expect(await fired(world, agent, 1)).toMatchObject([{ done: 'skipped: runs already' }])
    expect(world.runtime.runs).toHaveLength(1)
  })

  it('restarts and stops what runs, and leaves alone what somebody stopped', async () => {
    const { world, agent } = await planned([...hourly({ action: 'restart' }), ...hourly({ cron: `every ${4 * HOUR}`, action: 'stop' })])
    await advance(world, HOUR - (world.clock.now() % (4 * HOUR)))
    await world.ask('start', agent)
    await world.reaches(agent, 'RUNNING')
    await advance(world, HOUR)
    await until(() => world.runtime.runs.length === 2, 'the second run')
    await world.reaches(agent, 'RUNNING')
    await changed(world, agent, { schedules: hourly({ action: 'stop' }) })
    await advance(world, HOUR)
    await world.reaches(agent, 'STOPPED')
    await changed(world, agent, { schedules: hourly({ action: 'restart' }) })
    await advance(world, HOUR)
    await until(
      async () => (await world.events(agent, 'agent.schedule_fired')).at(-1)?.done === 'skipped: it is stopped',
      'it is left alone',
    )
    expect(world.runtime.runs).toHaveLength(2)
  })

  it('takes effect at once when it is changed, and ends with it', async () => {
    const { world, agent } = await planned(hourly())
    await changed(world, agent, { schedules: hourly({ cron: 'every 60000' }) })
    await advance(world, 60_000)
    await fired(world, agent, 1)
    await changed(world, agent, { schedules: [] })
    await advance(world, 2 * HOUR)
    await fired(world, agent, 1)
    await until(async () => (await world.store.read.cursors.get(scheduleCursor(agent, 0))) === 0, 'its cursor is gone')
    expect(world.clock.nextIn).toBe(undefined)
  })

  it('goes with its agent', async () => {
    const { world, agent } = await planned(hourly())
    await advance(world, HOUR)
    await fired(world, agent, 1)
    await until(() => world.runtime.runs.length === 1, 'its run')
    await world.ask('delete', agent, true)
    expect(await world.store.read.cursors.get(scheduleCursor(agent, 0))).toBe(0)
    await advance(world, 2 * HOUR)
    expect(world.runtime.runs).toHaveLength(1)
  })

  it('a schedule of another agent is not held up', async () => {
    const { world, agent } = await planned(hourly())
    const other = await world.agent({ startsecs: 0 })
    await changed(world, other, { schedules: hourly({ cron: `every ${HOUR / 2}` }) })
    await advance(world, HOUR / 2)
    await fired(world, other, 1)
    await advance(world, HOUR / 2)
    await fired(world, agent, 1)
    await fired(world, other, 2)
  })
})

describe('what passed while Regent was down', () => {
  it.each([
    ['skip', 0, 'skipped: it was missed'],
    ['once', 1, 'started'],
  ] as const)('%s', async (missed, runs, done) => {
    const { world, agent } = await planned(hourly({ missed }))
    const from = world.clock.now()
    world.watching.close()
    world.clock.advance(3 * HOUR + 1)
    await world.reborn()
    await settled(world)
    await advance(world, 1000)
    expect(await fired(world, agent, 1)).toMatchObject([{ planned: from + HOUR, missed: true, done }])
    if (runs > 0) await world.reaches(agent, 'RUNNING')
    expect(world.runtime.runs).toHaveLength(runs)
    await advance(world, HOUR)
    expect((await fired(world, agent, 2))[1]).toMatchObject({ planned: from + 4 * HOUR, missed: false })
  })

  it('a restart repeats nothing and loses nothing [I3-CRON-01]', async () => {
    const { world, agent } = await planned(hourly({ missed: 'once' }))
    await advance(world, HOUR)
    await fired(world, agent, 1)
    for (let i = 0; i < 3; i++) await world.reborn()
    await advance(world, HOUR - 1)
    await fired(world, agent, 1)
    await world.reborn()
    await advance(world, 1)
    await fired(world, agent, 2)
  })

  it('nothing is made up for from before the schedule was there', async () => {
    const { world, agent } = await planned([])
    await advance(world, 5 * HOUR)
    await changed(world, agent, { schedules: hourly({ missed: 'once' }) })
    await world.reborn()
    await advance(world, HOUR - 1)
    expect(await world.events(agent, 'agent.schedule_fired')).toEqual([])
  })
})

describe('[part of F11] a clock that is set', () => {
  it('back by an hour repeats nothing', async () => {
    const { world, agent } = await planned(hourly())
    await advance(world, HOUR)
    await fired(world, agent, 1)
    world.clock.setWall(world.clock.now() - HOUR)
    await advance(world, HOUR + 1000)
    await fired(world, agent, 1)
    await world.reborn()
    await advance(world, HOUR / 2)
    await fired(world, agent, 1)
    await advance(world, HOUR / 2)
    await fired(world, agent, 2)
  })

  it('forward over a time counts it as missed', async () => {
    const { world, agent } = await planned(hourly())
    world.clock.setWall(world.clock.now() + 10 * HOUR + 120_000)
    await advance(world, 120_000)
    expect(await fired(world, agent, 1)).toMatchObject([{ missed: true, done: 'skipped: it was missed' }])
  })

  it('back by years, from a wrong time, does not silence a schedule for years', async () => {
    const { world, agent } = await planned(hourly())
    const right = world.clock.now()
    world.clock.setWall(right + 10_000 * HOUR)
    await advance(world, 60_000)
    await fired(world, agent, 1)
    world.clock.setWall(right + HOUR)
    await advance(world, HOUR + 60_000)
    await fired(world, agent, 2)
    await world.store.transaction((tables) => tables.cursors.set(scheduleCursor(agent, 0), right + 10_000 * HOUR))
    await world.reborn()
    await advance(world, HOUR + 60_000)
    await fired(world, agent, 3)
  })
})
