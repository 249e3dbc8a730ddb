import { describe, expect, it } from 'vitest'
import type { Exit } from '../../../src/ports/runtime.ts'
import type { LifeRow } from '../../../src/ports/store.ts'
import { CoreWorld, userCalled } from '../../helpers/core-world.ts'
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

  it('waits for its health, liveness and readiness [part of I3-DEP-01]', async () => {
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
    await until(
      async () => (await world.life(b)).reason.includes('waits for a (exited), which is FATAL'),
      'that the one between says so too',
    )
  })

  it('names one that is missing or stopped, and starts when it is there [I3-DEP-01]', async () => {
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

describe('a definition with dependencies', () => {
  const alice = userCalled('alice')
  const create = (world: CoreWorld, name: string, policy: object, start = false) =>
    world.call('agents.create', { agent: { kind: 'command', name, command: ['sleep', '9'], policy }, start }, alice)

  it('may name what is not there yet, but makes no cycle [I3-DEP-02]', async () => {
    const world = await CoreWorld.open()
    await create(world, 'a', on('b'))
    await create(world, 'b', on('c'))
    const message = 'policy.depends_on: is a cycle: c → a → b → c'
    await expect(create(world, 'c', on('a'))).rejects.toMatchObject({ code: 'INVALID', message, fields: [{ path: 'policy.depends_on' }] })
    await create(world, 'c', {})
    await expect(world.call('agents.update', { agent: 'c', policy: on('a') }, alice)).rejects.toThrow(message)
    await expect(world.call('agents.update', { agent: 'c', policy: on('c') }, alice)).rejects.toThrow('is a cycle: c → c')
  })

  it('cannot wait for the health of one without probes', async () => {
    const world = await CoreWorld.open()
    await create(world, 'db', {})
    await expect(create(world, 'web', on('db', 'healthy'))).rejects.toMatchObject({
      code: 'INVALID',
      fields: [{ path: 'policy.depends_on.db.condition' }],
    })
    await create(world, 'web', on('later', 'healthy'))
    await create(world, 'later', {}, true)
    await expect(world.call('agents.start', { agent: 'web', wait: true }, alice)).rejects.toThrow(
      'waits for later (healthy), which has no probes, so it is never healthy',
    )
  })

  it('starts what it needs when it is created to be started, and looks again when it is changed', async () => {
    const world = await CoreWorld.open()
    await create(world, 'db', { startsecs: 60 })
    const { id } = (await create(world, 'web', on('db'), true)) as { id: string }
    const life = async () => (await world.store.read.lives.get(id)) as LifeRow
    await until(async () => (await life()).reason === 'waits for db (started)', 'the wait')
    await world.call('agents.update', { agent: 'web', policy: { depends_on: {} } }, alice)
    await until(async () => (await life()).state === 'RUNNING', 'RUNNING')
    expect(world.runtime.alive).toHaveLength(2)
  })

  it('is of the same owner only', async () => {
    const world = await CoreWorld.open()
    await world.call('agents.create', { agent: { kind: 'command', name: 'db', command: ['sleep', '9'] }, start: true }, userCalled('bo'))
    await create(world, 'web', on('db'))
    await expect(world.call('agents.start', { agent: 'web', wait: true }, alice)).rejects.toThrow('which does not exist')
  })

  it('agents.stop_all stops what the caller may touch, or those that are named', async () => {
    const world = await CoreWorld.open()
    for (const name of ['a', 'b']) await create(world, name, {}, true)
    const bo = userCalled('bo')
    await world.call('agents.create', { agent: { kind: 'command', name: 'x', command: ['sleep', '9'] }, start: true }, bo)
    await until(() => world.runtime.alive.length === 3, 'three runs')
    await expect(world.call('agents.stop_all', { agents: ['a', 'bo/x'] }, alice)).rejects.toThrow("there is no agent 'bo/x'")
    expect(world.runtime.alive).toHaveLength(3)
    expect(await world.call('agents.stop_all', { agents: ['b', 'alice/b'], wait: true }, alice)).toMatchObject({
      agents: [{ name: 'b', state: 'STOPPED', survivors: [] }],
    })
    expect(((await world.call('agents.stop_all', { wait: true }, alice)).agents as object[]).length).toBe(2)
    expect(world.runtime.alive.map(({ spec }) => spec.label)).toEqual(['bo/x'])
  })
})
