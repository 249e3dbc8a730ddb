import { describe, expect, it } from 'vitest'
import type { Exit } from '../../../src/ports/runtime.ts'
import { Supervised } from '../../helpers/supervised.ts'
import { until } from '../../helpers/until.ts'

const exit = (code: number): Exit => ({ kind: 'exited', code, at: 0 })

describe('an agent that is started', () => {
  it('is STARTING until startsecs have passed, then RUNNING', async () => {
    const world = await Supervised.open()
    const id = await world.agent()
    await world.ask('start', id)
    await world.reaches(id, 'STARTING')
    await until(() => world.runtime.runs.length === 1 && world.clock.nextIn !== undefined, 'the run and its timer')
    world.clock.advance(999)
    expect((await world.life(id)).state).toBe('STARTING')
    world.clock.advance(1)
    await world.reaches(id, 'RUNNING')
    expect(await world.told(id)).toEqual(['agent.start_requested', 'run.starting', 'run.running'])
  })

  it('is RUNNING at once with startsecs 0, and the waiting caller is answered', async () => {
    const world = await Supervised.open()
    const id = await world.agent({ startsecs: 0 })
    expect(await world.ask('start', id, true)).toMatchObject({ state: 'RUNNING', pid: 1000, restarts: 0 })
  })

  it('[I2-SUP-01] has one run however often it is started', async () => {
    const world = await Supervised.open()
    const id = await world.agent({ startsecs: 0 })
    await Promise.all(Array.from({ length: 100 }, () => world.ask('start', id, true)))
    expect(world.runtime.runs).toHaveLength(1)
  })

  it('is not started again when an exit with code 0 was no failure', async () => {
    const world = await Supervised.open()
    const id = await world.agent({ startsecs: 0, restart: 'on-failure' })
    await world.ask('start', id, true)
    world.runtime.last.end(exit(0))
    expect(await world.reaches(id, 'EXITED')).toMatchObject({ exitCode: 0, desired: 'running' })
    await world.ask('start', id, true)
    expect(world.runtime.runs).toHaveLength(2)
  })
})

describe('an agent that dies', () => {
  it('[part of F02] [I2-SUP-02] comes back at once, then after 1, 2 seconds, and is FATAL at its fourth death before RUNNING', async () => {
    const world = await Supervised.open()
    // Another time than its delays have, so that the timers can be told apart.
    const id = await world.agent({ startsecs: 7 })
    await world.ask('start', id)
    for (const [run, delay] of [0, 1000, 2000].entries()) {
      await until(() => world.runtime.runs.length === run + 1, `run ${run + 1}`)
      world.runtime.last.end(exit(1))
      if (delay === 0) continue
      await world.reaches(id, 'BACKOFF')
      await until(() => world.clock.nextIn === delay, `a timer of ${delay} ms`)
      world.clock.advance(delay)
    }
    await until(() => world.runtime.runs.length === 4, 'the fourth run')
    world.runtime.last.end(exit(1))
    expect(await world.reaches(id, 'FATAL')).toMatchObject({ restarts: 3, exitCode: 1 })
    await world.ask('start', id)
    await until(() => world.runtime.runs.length === 5, 'a run after a caller asked for it')
    expect(await world.life(id)).toMatchObject({ restarts: 0, deaths: 0, earlyDeaths: 0 })
  })

  it.each([-3_600_000, 3_600_000])(
    '[F11] waits on the monotonic clock, where the wall clock is set by %i ms, over a restart of Regent too',
    async (jump) => {
      const world = await Supervised.open()
      const id = await world.agent({ startsecs: 0 })
      await world.ask('start', id, true)
      world.runtime.last.end(exit(1))
      await until(() => world.runtime.runs.length === 2, 'the immediate restart')
      world.runtime.last.end(exit(1))
      await world.reaches(id, 'BACKOFF')
      await until(() => world.clock.nextIn === 1000, 'the timer')
      world.clock.setWall(world.clock.now() + jump)
      world.clock.advance(999)
      expect(world.runtime.runs).toHaveLength(2)
      world.clock.advance(1)
      await until(() => world.runtime.runs.length === 3, 'the restart one monotonic second later')
      expect((await world.reaches(id, 'RUNNING')).restarts).toBe(2)
      world.runtime.last.end(exit(1))
      await until(() => world.clock.nextIn === 2000, 'the next timer')
      world.clock.setWall(world.clock.now() + jump)
      await world.reborn()
      // What is left is read off the wall clock then: never more than the longest delay, and one start.
      await until(() => world.runtime.runs.length === 4 || world.clock.nextIn !== undefined, 'the start or its timer')
      world.clock.advance(72_000)
      await until(() => world.runtime.runs.length === 4, 'the fourth run')
      expect((await world.reaches(id, 'RUNNING')).restarts).toBe(3)
    },
  )

  it('does not come back while all agents together are restarted too often', async () => {
    const world = await Supervised.open(2)
    const ids = await Promise.all(Array.from({ length: 4 }, () => world.agent({ startsecs: 0 })))
    for (const id of ids) await world.ask('start', id, true)
    for (const run of [...world.runtime.runs]) run.end(exit(1))
    await until(() => world.runtime.runs.length === 6, 'two restarts at once')
    for (const step of [7, 8]) {
      world.clock.advance(500)
      await until(() => world.runtime.runs.length === step, `${step - 4} restarts`)
    }
    expect(world.runtime.alive).toHaveLength(4)
  })

  it('that cannot be started at all goes the same way', async () => {
    const world = await Supervised.open()
    const id = await world.agent({ startretries: 0 })
    world.runtime.failure = new Error('EAGAIN')
    await world.ask('start', id)
    expect((await world.reaches(id, 'FATAL')).reason).toContain('EAGAIN')
  })
})

describe('an agent that is stopped', () => {
  it('[I2-SUP-01] is STOPPED after its run has ended, and stopping it again succeeds', async () => {
    const world = await Supervised.open()
    const id = await world.agent({ startsecs: 0 })
    await world.ask('start', id, true)
    expect(await world.ask('stop', id, true)).toMatchObject({ state: 'STOPPED', desired: 'stopped', pid: null })
    expect(await world.ask('stop', id, true)).toMatchObject({ state: 'STOPPED' })
    expect(world.runtime.last.stops).toBe(1)
    expect(await world.told(id)).toEqual([
      'agent.start_requested',
      'run.starting',
      'run.running',
      'agent.stop_requested',
      'run.stopping',
      'run.stopped',
    ])
  })

  it('in BACKOFF is STOPPED without a run', async () => {
    const world = await Supervised.open()
    const id = await world.agent({ startsecs: 0 })
    await world.ask('start', id, true)
    world.runtime.last.end(exit(1))
    await until(() => world.runtime.runs.length === 2, 'the restart')
    world.runtime.last.end(exit(1))
    await world.reaches(id, 'BACKOFF')
    await world.ask('stop', id, true)
    expect(world.runtime.alive).toHaveLength(0)
    expect(await world.life(id)).toMatchObject({ state: 'STOPPED', retryAt: null })
  })

  it('[part of F08] ends as the last accepted command says, with never two live copies', async () => {
    const world = await Supervised.open()
    const id = await world.agent({ startsecs: 0 })
    const commands = Array.from({ length: 100 }, (_, index) => (['start', 'stop', 'restart'] as const)[index % 3] ?? 'start')
    let most = 0
    for (const command of commands) {
      await world.ask(command, id)
      most = Math.max(most, world.runtime.alive.length)
    }
    await world.ask('restart', id)
    // The run before the last restart may be RUNNING still when that is accepted.
    const isOfLast = async () => {
      const { state, runId, start } = await world.life(id)
      return state === 'RUNNING' && (await world.store.read.runs.get(runId ?? ''))?.start === start
    }
    await until(async () => (await isOfLast()) && world.runtime.alive.length === 1, 'one live run, of the last command')
    expect(most).toBeLessThanOrEqual(1)
  })

  it('is gone with everything when it is deleted while it runs [part of F24]', async () => {
    const world = await Supervised.open()
    const id = await world.agent({ startsecs: 0 })
    await world.ask('start', id, true)
    expect(await world.ask('delete', id, true)).toMatchObject({ id, deleted: true })
    expect(world.runtime.alive).toHaveLength(0)
    expect(await world.store.read.agents.get(id)).toBeUndefined()
    expect(await world.store.read.lives.get(id)).toBeUndefined()
  })
})

describe('after Regent was killed', () => {
  it('[part of P1] the same runs go on', async () => {
    const world = await Supervised.open()
    const ids = await Promise.all(Array.from({ length: 20 }, () => world.agent({ startsecs: 0 })))
    for (const id of ids) await world.ask('start', id, true)
    await world.reborn()
    expect(world.runtime.runs).toHaveLength(20)
    for (const id of ids) expect((await world.life(id)).state).toBe('RUNNING')
    await world.ask('stop', ids[0] ?? '', true)
    expect(world.runtime.alive).toHaveLength(19)
  })

  it('[part of P2] a start that was accepted and not begun is begun, under the same run', async () => {
    const world = await Supervised.open()
    const id = await world.agent({ startsecs: 0 })
    world.supervisor.close()
    await world.ask('start', id)
    await world.reborn()
    await world.reaches(id, 'RUNNING')
    expect(world.runtime.runs).toHaveLength(1)
  })

  it('an end that nobody saw is judged then', async () => {
    const world = await Supervised.open()
    const id = await world.agent({ startsecs: 0, restart: 'never' })
    await world.ask('start', id, true)
    world.supervisor.close()
    world.runtime.last.end(exit(3))
    await world.reborn()
    expect(await world.reaches(id, 'EXITED')).toMatchObject({ exitCode: 3 })
  })

  it('a run without a trace is lost, which is a failure', async () => {
    const world = await Supervised.open()
    const id = await world.agent({ startsecs: 0, restart: 'on-failure' })
    await world.ask('start', id, true)
    world.supervisor.close()
    world.runtime.runs.length = 0
    await world.reborn()
    await until(() => world.runtime.runs.length === 1, 'a new run')
    expect((await world.reaches(id, 'RUNNING')).restarts).toBe(1)
    const lost = (await world.store.read.runs.ofAgent(id, 2)).find((run) => run.endedAt !== null)
    expect(lost).toMatchObject({ exitReason: 'lost: no trace of its process is left', exitCode: null })
  })

  it('a half-done delete is finished', async () => {
    const world = await Supervised.open()
    const id = await world.agent({ startsecs: 0 })
    await world.ask('start', id, true)
    world.supervisor.close()
    await world.ask('delete', id)
    await world.reborn()
    await until(async () => (await world.store.read.agents.get(id)) === undefined, 'the delete')
    expect(world.runtime.alive).toHaveLength(0)
  })
})
