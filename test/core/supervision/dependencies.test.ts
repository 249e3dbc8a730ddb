import { describe, expect, it } from 'vitest'
import type { Exit } from '../../../src/ports/runtime.ts'
import { Supervised } from '../../helpers/supervised.ts'
import { until } from '../../helpers/until.ts'

const exit = (code: number): Exit => ({ kind: 'exited', code, at: 0 })
const on = (name: string, condition: 'started' | 'healthy' | 'exited' = 'started') => ({ depends_on: { [name]: { condition } } })
const probe = { type: 'tcp', port: 1 } as const

/** db, and web that depends on it. */
async function pair(condition: 'started' | 'healthy' | 'exited', db = {}) {
  const world = await Supervised.open()
  const database = await world.agent({ startsecs: 0, ...db }, 'command', 'db')
  const web = await world.agent({ startsecs: 0, ...on('db', condition) }, 'command', 'web')
  return { world, db: database, web }
}

const reasonIs = (world: Supervised, agent: string, reason: string) =>
  until(async () => (await world.life(agent)).reason === reason, reason)

describe('an agent that depends on another', () => {
  it('wants it too, and is started once it is RUNNING', async () => {
    const { world, db, web } = await pair('started', { startsecs: 1 })
    await world.ask('start', web)
    await reasonIs(world, web, 'waits for db (started)')
    expect(await world.life(web)).toMatchObject({ state: 'STOPPED', desired: 'running' })
    await until(() => world.runtime.runs.length === 1 && world.clock.nextIn === 1000, 'the run of db')
    world.clock.advance(1000)
    await world.reaches(web, 'RUNNING')
    expect(world.runtime.runs.map(({ spec }) => spec.agentId)).toEqual([db, web])
    expect(await world.told(web)).toEqual(['agent.start_requested', 'agent.start_held', 'run.starting', 'run.running'])
    const [asked] = await world.store.read.events.list({ after: 0, limit: 1, agentId: db })
    expect(asked).toMatchObject({ type: 'agent.start_requested', actor: 'root', data: { cause: 'needed by alice/web' } })
  })

  it('waits for its health, liveness and readiness', async () => {
    const { world, db, web } = await pair('healthy', { probes: { liveness: probe, readiness: probe } })
    await world.ask('start', web)
    await world.reaches(db, 'RUNNING')
    world.observed.setHealth(db, { health: 'healthy', ready: false })
    world.supervisor.wakeDependents(db)
    await reasonIs(world, web, 'waits for db (healthy)')
    world.observed.setHealth(db, { health: 'healthy', ready: true })
    world.supervisor.wakeDependents(db)
    expect((await world.reaches(web, 'RUNNING')).restarts).toBe(0)
  })

  it('waits for its success, and is not held up by one that was successful before', async () => {
    const { world, db, web } = await pair('exited', { restart: 'never', exit_codes: [0, 3] })
    await world.ask('start', web)
    await world.reaches(db, 'RUNNING')
    world.runtime.last.end(exit(3))
    await world.reaches(web, 'RUNNING')
    await world.ask('restart', web, true)
    expect(world.runtime.runs.filter(({ spec }) => spec.agentId === db)).toHaveLength(1)
  })

  it('says why it will never come, and a caller that waits is told so', async () => {
    const { world, db, web } = await pair('exited', { restart: 'never' })
    const waiting = world.ask('start', web, true)
    await world.reaches(db, 'RUNNING')
    world.runtime.last.end(exit(1))
    await expect(waiting).rejects.toThrow(
      'alice/web was not started: it waits for db (exited), which is EXITED: exited with code 1; its restart policy is never',
    )
    await world.ask('start', db)
    await until(() => world.runtime.alive.length === 1, 'the second run of db')
    await reasonIs(world, web, 'waits for db (exited)')
    world.runtime.last.end(exit(0))
    await world.reaches(web, 'RUNNING')
  })

  it('tells through others what is given up', async () => {
    const world = await Supervised.open()
    await world.agent({ restart: 'never', startsecs: 0 }, 'command', 'a')
    const b = await world.agent({ startsecs: 0, ...on('a', 'exited') }, 'command', 'b')
    const c = await world.agent({ startsecs: 0, ...on('b') }, 'command', 'c')
    const waiting = world.ask('start', c, true)
    await until(() => world.runtime.runs.length === 1, 'the run of a')
    world.runtime.last.end(exit(127))
    await expect(waiting).rejects.toThrow('which waits for a (exited), which is FATAL: no such program')
    expect((await world.life(b)).reason).toContain('waits for a (exited), which is FATAL')
  })

  it('names one that is missing or stopped, and starts when it is there', async () => {
    const { world, db, web } = await pair('started')
    await world.ask('delete', db, true)
    await expect(world.ask('start', web, true)).rejects.toThrow('waits for db (started), which does not exist')
    const again = await world.agent({ startsecs: 0 }, 'command', 'db')
    world.supervisor.wake(again)
    await reasonIs(world, web, 'waits for db (started), which is stopped')
    await world.ask('start', again)
    await world.reaches(web, 'RUNNING')
    await world.ask('stop', again, true)
    expect((await world.life(web)).state).toBe('RUNNING')
  })

  it('that dies waits until its dependency is back', async () => {
    const { world, db, web } = await pair('started')
    await world.ask('start', web, true)
    await world.ask('stop', db, true)
    world.runtime.of(web).end(exit(1))
    await reasonIs(world, web, 'waits for db (started), which is stopped')
    expect(await world.life(web)).toMatchObject({ state: 'BACKOFF', desired: 'running' })
    await world.ask('start', db)
    expect((await world.reaches(web, 'RUNNING')).restarts).toBe(1)
  })

  it('and is stopped while it waits, says so', async () => {
    const { world, db, web } = await pair('healthy', { probes: { liveness: probe } })
    await world.ask('start', web)
    await world.reaches(db, 'RUNNING')
    await reasonIs(world, web, 'waits for db (healthy)')
    expect(await world.ask('stop', web, true)).toMatchObject({ state: 'STOPPED', reason: 'stopped as asked, before it was started' })
    world.observed.setHealth(db, { health: 'healthy', ready: null })
    world.supervisor.wakeDependents(db)
    await world.ask('stop', db, true)
    expect(world.runtime.runs).toHaveLength(1)
  })

  it('goes on waiting after Regent was killed', async () => {
    const { world, db, web } = await pair('started', { startsecs: 1 })
    await world.ask('start', web)
    await reasonIs(world, web, 'waits for db (started)')
    await world.reborn()
    await until(() => world.clock.nextIn !== undefined, 'the timer of db')
    world.clock.advance(1000)
    await world.reaches(db, 'RUNNING')
    await world.reaches(web, 'RUNNING')
    expect((await world.told(web)).filter((type) => type === 'agent.start_held')).toHaveLength(1)
  })
})
