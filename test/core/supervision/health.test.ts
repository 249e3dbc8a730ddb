import { describe, expect, it } from 'vitest'
import { type Policy, policy } from '../../../src/contract/policy.ts'
import { ProbeLoop } from '../../../src/core/supervision/probe-loop.ts'
import { Slots } from '../../../src/core/supervision/slots.ts'
import type { ProbeOutcome } from '../../../src/ports/prober.ts'
import { FakeClock } from '../../helpers/fake-clock.ts'
import { Supervised } from '../../helpers/supervised.ts'
import { until } from '../../helpers/until.ts'

type Given = NonNullable<Policy['probes']>['liveness']
const http = (more: object = {}) =>
  policy.parse({ restart: 'never', probes: { liveness: { type: 'http', url: 'http://127.0.0.1/', ...more } } }).probes
    ?.liveness as NonNullable<Given>
const timing = { interval: 10, timeout: 5, failures: 1, successes: 1, delay: 0 }
const bad: ProbeOutcome = { ok: false, message: 'GET / answered 503' }
const good: ProbeOutcome = { ok: true, message: 'GET / answered 200' }

async function running(world: Supervised, given: Partial<Policy>, kind: 'command' | 'team' = 'command'): Promise<string> {
  const agent = await world.agent({ startsecs: 0, ...given }, kind)
  await world.ask('start', agent)
  await world.reaches(agent, 'RUNNING')
  return agent
}

describe('liveness', () => {
  it('is unknown, then healthy, and told once', async () => {
    const world = await Supervised.open()
    const agent = await running(world, { probes: { liveness: http() } })
    expect(world.observed.health(agent)).toEqual({ health: 'unknown', ready: null })
    await world.passes(1)
    expect(world.observed.health(agent)).toEqual({ health: 'healthy', ready: null })
    await world.passes(60)
    await until(async () => (await world.events(agent, 'agent.health_changed')).length === 1, 'one event')
    expect(await world.events(agent, 'agent.health_changed')).toMatchObject([{ health: 'healthy', probe: 'http', message: 'well' }])
    expect(world.runtime.runs).toHaveLength(1)
  })

  it('three misses in a row make it unhealthy and have it restarted, as after a death', async () => {
    const world = await Supervised.open()
    const agent = await running(world, { probes: { liveness: http({ interval: 2 }) } })
    await world.passes(1)
    world.prober.outcome = bad
    await world.passes(4)
    expect(world.observed.health(agent).health).toBe('healthy')
    world.prober.outcome = good
    await world.passes(2)
    world.prober.outcome = bad
    await until(async () => {
      await world.passes(1)
      return world.runtime.runs.length === 2
    }, 'it is restarted')
    const life = await world.reaches(agent, 'RUNNING')
    expect(life.restarts).toBe(1)
    expect(life.deaths).toBe(1)
    expect(await world.events(agent, 'agent.health_changed')).toMatchObject([
      { health: 'healthy' },
      { health: 'unhealthy', message: 'GET / answered 503 (3 times in a row)', run_id: world.runtime.runs[0]?.handle.runId },
    ])
    expect(await world.events(agent, 'run.exited')).toMatchObject([
      { reason: 'unhealthy: GET / answered 503 (3 times in a row) (ended by SIGTERM)' },
    ])
    expect((await world.events(agent, 'run.starting')).at(-1)).toMatchObject({
      reason: expect.stringContaining('restart 1 after: unhealthy'),
    })
    expect(world.observed.health(agent)).toEqual({ health: 'unknown', ready: null })
    expect(world.observed.conditions(agent)).toEqual([])
    expect(await world.told(agent)).not.toContain('agent.restart_requested')
  })

  it('an end with code 0 is no success where Regent ended it', async () => {
    const world = await Supervised.open()
    const agent = await running(world, { restart: 'on-failure', probes: { liveness: http({ failures: 1 }) } })
    world.runtime.last.holdStop = true
    world.prober.outcome = bad
    await until(async () => {
      await world.passes(1)
      return world.runtime.last.stops === 1
    }, 'it is stopped')
    expect((await world.life(agent)).state).toBe('RUNNING')
    // What it answers while it is being ended makes it no better.
    world.prober.outcome = good
    await world.passes(30)
    expect(world.observed.health(agent).health).toBe('unhealthy')
    world.runtime.last.end({ kind: 'exited', code: 0, at: world.clock.now() })
    await until(() => world.runtime.runs.length === 2, 'it is restarted')
  })

  it('the restart policy never only shows it, with a condition that goes when it is well again', async () => {
    const world = await Supervised.open()
    const agent = await running(world, { restart: 'never', probes: { liveness: http({ interval: 1, successes: 2 }) } })
    world.prober.outcome = bad
    await world.passes(5)
    expect(world.observed.health(agent).health).toBe('unhealthy')
    expect(world.observed.conditions(agent)).toMatchObject([
      { type: 'liveness', subject: 'http', message: 'GET / answered 503 (3 times in a row)' },
    ])
    world.prober.outcome = good
    await world.passes(1)
    expect(world.observed.health(agent).health).toBe('unhealthy')
    await world.passes(1)
    expect(world.observed.health(agent).health).toBe('healthy')
    expect(world.observed.conditions(agent)).toEqual([])
    expect(world.runtime.runs).toHaveLength(1)
    expect(world.runtime.last.stops).toBe(0)
  })

  it('a stop that somebody asked for meanwhile is a stop', async () => {
    const world = await Supervised.open()
    const agent = await running(world, { probes: { liveness: http({ failures: 1 }) } })
    world.runtime.last.holdStop = true
    world.prober.outcome = bad
    await until(async () => {
      await world.passes(1)
      return world.runtime.last.stops > 0
    }, 'it is stopped')
    await world.ask('stop', agent)
    world.runtime.last.end({ kind: 'signalled', signal: 'SIGTERM', code: 143, at: world.clock.now() })
    await world.reaches(agent, 'STOPPED')
    expect(world.runtime.runs).toHaveLength(1)
  })

  it('is looked at from its delay on, and no more once it is stopped', async () => {
    const world = await Supervised.open()
    const agent = await running(world, { probes: { liveness: http({ delay: 30 }) } })
    await world.passes(29)
    expect(world.prober.asked).toBe(0)
    await world.passes(2)
    expect(world.prober.asked).toBe(1)
    await world.ask('stop', agent)
    await world.reaches(agent, 'STOPPED')
    await world.passes(60)
    expect(world.prober.asked).toBe(1)
    expect(world.observed.health(agent)).toEqual({ health: null, ready: null })
    expect(world.clock.nextIn).toBe(undefined)
  })

  it('[part of F20] a Regent that comes back knows nothing of health and restarts nobody', async () => {
    const world = await Supervised.open()
    const agent = await running(world, { probes: { liveness: http({ interval: 1, failures: 2 }) } })
    world.prober.outcome = bad
    await world.passes(1)
    await world.reborn()
    expect(world.observed.health(agent).health).toBe('unknown')
    await world.passes(1)
    expect(world.observed.health(agent).health).toBe('unknown')
    world.prober.outcome = good
    await world.passes(2)
    expect(world.observed.health(agent).health).toBe('healthy')
    expect(world.runtime.runs).toHaveLength(1)
  })

  it('other probes of a policy take effect at once', async () => {
    const world = await Supervised.open()
    const agent = await running(world, { probes: { liveness: http() } })
    await world.passes(2)
    await world.store.transaction((tables) =>
      tables.agents.update(agent, { policy: policy.parse({ restart: 'always', probes: { readiness: http() } }) }),
    )
    const row = await world.store.read.agents.get(agent)
    if (row) world.watching.update(row)
    expect(world.observed.health(agent)).toEqual({ health: null, ready: false })
    await world.passes(2)
    expect(world.observed.health(agent)).toEqual({ health: null, ready: true })
  })

  it('a program beside it: 0 is well, its last line is told otherwise', async () => {
    const world = await Supervised.open()
    const agent = await running(world, {
      restart: 'never',
      probes: { liveness: { ...timing, type: 'exec', command: ['check', '-q'], failures: 1 } },
    })
    await world.passes(1)
    expect(world.observed.health(agent).health).toBe('healthy')
    world.runtime.last.execAnswers = { code: 3, output: 'looking\nthe queue is full\n' }
    await world.passes(11)
    expect(world.observed.conditions(agent)).toMatchObject([{ message: 'check: exited with 3: the queue is full' }])
    world.runtime.last.exec = () => Promise.reject(new Error('no descriptors left'))
    await world.passes(60)
    expect(world.observed.health(agent).health).toBe('unhealthy')
  })
})

describe('readiness', () => {
  it('is false until it is well, restarts nobody, and is told on change only', async () => {
    const world = await Supervised.open()
    world.prober.outcome = bad
    const agent = await running(world, { probes: { readiness: http({ interval: 1 }) } })
    expect(world.observed.health(agent)).toEqual({ health: null, ready: false })
    await world.passes(10)
    expect(world.observed.conditions(agent)).toMatchObject([{ type: 'readiness' }])
    world.prober.outcome = good
    await world.passes(2)
    expect(world.observed.health(agent)).toEqual({ health: null, ready: true })
    world.prober.outcome = bad
    await world.passes(5)
    expect(world.observed.health(agent)).toEqual({ health: null, ready: false })
    await until(async () => (await world.events(agent, 'agent.ready_changed')).length === 2, 'two events')
    expect((await world.events(agent, 'agent.ready_changed')).map(({ ready }) => ready)).toEqual([true, false])
    expect(world.runtime.runs).toHaveLength(1)
  })
})

describe('the heartbeat of a runner', () => {
  const silent = (signal: AbortSignal) =>
    new Promise<'silent'>((resolve) => signal.addEventListener('abort', () => resolve('silent'), { once: true }))

  it('[part of F13] is looked at by default: three silences, and it is restarted', async () => {
    const world = await Supervised.open()
    world.heartbeat = async () => 'answered'
    const agent = await running(world, {}, 'team')
    expect(world.observed.health(agent).health).toBe('unknown')
    await world.passes(2)
    expect(world.observed.health(agent).health).toBe('healthy')
    world.heartbeat = silent
    await world.passes(10)
    expect(world.observed.health(agent).health).toBe('healthy')
    await until(async () => {
      await world.passes(1)
      return world.runtime.runs.length === 2
    }, 'it is restarted')
    expect((await world.events(agent, 'agent.health_changed')).at(-1)).toMatchObject({
      health: 'unhealthy',
      message: 'its runner did not answer within 5 s (3 times in a row)',
    })
  })

  it('one that never had a link is not known, and lives', async () => {
    const world = await Supervised.open()
    const agent = await running(world, {}, 'team')
    await world.passes(300)
    expect(world.observed.health(agent).health).toBe('unknown')
    expect(world.runtime.runs).toHaveLength(1)
  })

  it('a lost link counts once it should be back', async () => {
    const world = await Supervised.open()
    world.heartbeat = async () => 'answered'
    const agent = await running(world, { restart: 'never' }, 'team')
    await world.passes(2)
    world.heartbeat = async () => 'absent'
    await world.passes(15)
    world.heartbeat = async () => 'answered'
    await world.passes(20)
    expect(world.observed.health(agent).health).toBe('healthy')
    world.heartbeat = async () => 'absent'
    await world.passes(60)
    expect(world.observed.conditions(agent)).toMatchObject([{ message: expect.stringContaining('has lost its link to Regent') }])
  })
})

describe('the loop', () => {
  const tick = () => new Promise((resolve) => setImmediate(resolve))

  function loop(
    look: (signal: AbortSignal) => Promise<ProbeOutcome | undefined>,
    more: Partial<ConstructorParameters<typeof ProbeLoop>[0]> = {},
  ) {
    const clock = new FakeClock()
    const verdicts: boolean[] = []
    const probe = new ProbeLoop({
      ...{ clock, random: () => 0.5, timing, look, silence: 'no answer' },
      onVerdict: (well) => void verdicts.push(well),
      ...more,
    })
    probe.start(0)
    return { clock, verdicts, probe }
  }
  const hang = () => new Promise<undefined>(() => {})

  it('counts no answer in time as a miss, and never looks twice at once', async () => {
    let looks = 0
    const { clock, verdicts } = loop(() => {
      looks++
      return hang()
    })
    clock.advance(500)
    clock.advance(4999)
    expect(looks).toBe(1)
    expect(verdicts).toEqual([])
    clock.advance(100)
    await tick()
    expect(verdicts).toEqual([false])
  })

  it('[part of F20] what was missed while Regent itself stood still does not count', async () => {
    const { clock, verdicts } = loop(hang)
    clock.advance(500)
    clock.stall(8000)
    clock.advance(100)
    await tick()
    expect(verdicts).toEqual([])
    clock.advance(1000)
    clock.advance(5100)
    await tick()
    expect(verdicts).toEqual([false])
  })

  it('[part of F20] nor what was missed while the machine slept', async () => {
    const { clock, verdicts } = loop(hang)
    clock.advance(500)
    clock.setWall(clock.now() + 3_600_000)
    clock.advance(6000)
    await tick()
    expect(verdicts).toEqual([])
  })

  it('an answer that was there before the deadline was seen is one', async () => {
    let answer = (_outcome: ProbeOutcome): void => {}
    const { clock, verdicts } = loop(() => new Promise((resolve) => (answer = resolve)))
    clock.advance(500)
    clock.stall(5100)
    clock.advance(0)
    answer(good)
    await tick()
    expect(verdicts).toEqual([true])
  })

  it('agents that start at once are looked at one after the other', () => {
    const clock = new FakeClock()
    const ticks: number[] = []
    for (let i = 0; i < 1000; i++) {
      const look = async () => {
        ticks.push(clock.elapsed())
        return good
      }
      new ProbeLoop({ clock, random: Math.random, timing, look, silence: '', onVerdict: () => {} }).start(0)
    }
    for (let ms = 0; ms < 1100; ms += 10) clock.advance(10)
    expect(ticks).toHaveLength(1000)
    const most = Math.max(...Array.from({ length: 110 }, (_, i) => ticks.filter((at) => at >= i * 10 && at < i * 10 + 10).length))
    expect(most).toBeLessThan(60)
  })

  it('slots bound how many looks go on; waiting for one is not yet the time of a look', async () => {
    const clock = new FakeClock()
    const slots = new Slots(2, 60_000, clock)
    let open = 0
    let most = 0
    const ends: (() => void)[] = []
    const verdicts: boolean[] = []
    const look = async () => {
      most = Math.max(most, ++open)
      await new Promise<void>((resolve) => ends.push(resolve))
      open--
      return good
    }
    for (let i = 0; i < 5; i++)
      new ProbeLoop({ clock, random: () => 0.5, timing, look, slots, silence: '', onVerdict: (well) => void verdicts.push(well) }).start(0)
    clock.advance(500)
    for (let round = 0; round < 5; round++) {
      clock.advance(4000)
      for (const end of ends.splice(0)) end()
      await tick()
    }
    expect(most).toBe(2)
    expect(verdicts).toEqual([true, true, true, true, true])
  })
})
