import { describe, expect, it } from 'vitest'
import { CoreWorld } from '../../helpers/core-world.ts'
import { until } from '../../helpers/until.ts'

interface Shown {
  id: string
  activity: string | null
  health: string | null
  ready: boolean | null
  conditions: { type: string; message: string }[]
  schedules: object[]
}

const command = (policy: object, name = 'web') => ({ agent: { kind: 'command', owner: 'alice', name, command: ['sleep', '1'], policy } })
const show = (world: CoreWorld, agent: string) => world.call<Shown>('agents.get', { agent })
const liveness = (more: object = {}) => ({ liveness: { type: 'tcp', port: 1, interval: 0.1, timeout: 0.1, ...more } })

describe('a policy that cannot be', () => {
  it.each([
    [{ schedules: [{ cron: 'every 1000' }, { cron: 'now and then' }] }, 'policy.schedules.1.cron', 'is not a cron expression'],
    [{ probes: { liveness: { type: 'heartbeat' } } }, 'policy.probes.liveness.type', 'for kinds with a runner'],
    [{ probes: { readiness: { type: 'heartbeat' } } }, 'policy.probes.readiness.type', 'for kinds with a runner'],
  ])('%j is refused at create, update and apply', async (policy, path, words) => {
    const world = await CoreWorld.open()
    const refused = { code: 'INVALID', fields: [{ path, message: expect.stringContaining(words) }] }
    await expect(world.call('agents.create', command(policy))).rejects.toMatchObject(refused)
    await world.call('agents.create', command({}))
    await expect(world.call('agents.update', { agent: 'alice/web', policy })).rejects.toMatchObject(refused)
    await expect(world.call('agents.apply', command(policy))).rejects.toMatchObject(refused)
  })
})

describe('what is seen from outside', () => {
  it('stands in the view while it runs, and follows a changed policy at once', async () => {
    const world = await CoreWorld.open()
    const { id } = await world.call('agents.create', command({ restart: 'never' }))
    await world.call('agents.start', { agent: id, wait: true })
    expect(await show(world, String(id))).toMatchObject({ health: null, ready: null })
    world.prober.outcome = { ok: false, message: 'TCP: nothing listens there' }
    await world.call('agents.update', { agent: id, policy: { probes: liveness() } })
    await until(async () => (await show(world, String(id))).health === 'unhealthy', 'unhealthy')
    expect((await show(world, String(id))).conditions).toMatchObject([
      { type: 'liveness', message: 'TCP: nothing listens there (3 times in a row)' },
    ])
    await world.call('agents.update', { agent: id, policy: { probes: {} } })
    expect(await show(world, String(id))).toMatchObject({ health: null, conditions: [] })
    await world.call('agents.stop', { agent: id, wait: true })
  })

  it('a runner is asked over its link; one that does not answer is replaced', async () => {
    const world = await CoreWorld.open()
    const id = await world.team()
    await world.call('agents.update', { agent: id, policy: { probes: { liveness: { type: 'heartbeat', interval: 0.1, timeout: 0.1 } } } })
    const runner = await world.running(id)
    await until(async () => (await show(world, id)).health === 'healthy', 'healthy')
    runner.lives = false
    await until(() => world.runtime.runs.length === 2, 'another run')
    const events = await world.store.read.events.list({ after: 0, limit: 100, agentId: id, types: ['agent.health_changed'] })
    expect(events.map(({ data }) => data.health)).toEqual(['healthy', 'unhealthy'])
    expect((await show(world, id)).health).not.toBe('unhealthy')
  })

  it('a stalled runner is shown so, and is nudged in its inbox', async () => {
    const world = await CoreWorld.open()
    const id = await world.team()
    await world.call('agents.update', { agent: id, policy: { stalled: { after: 1, steps: ['nudge'], nudge: 'Go on.' } } })
    const runner = await world.running(id)
    await runner.tell({ type: 'activity', activity: 'working' })
    expect(await runner.gets('message')).toMatchObject({ content: 'Go on.', sender: 'regent' })
    expect((await show(world, id)).activity).toBe('stalled')
    await runner.tell({ type: 'delta', message_id: 'm', author: 'a', text: 'So' })
    expect(await show(world, id)).toMatchObject({ activity: 'working', conditions: [] })
  })

  it('schedules act, and are shown with their next time', async () => {
    const world = await CoreWorld.open()
    const { id } = await world.call('agents.create', command({ schedules: [{ cron: 'every 200' }] }))
    expect((await show(world, String(id))).schedules).toMatchObject([{ cron: 'every 200', action: 'start', next: expect.any(Number) }])
    await until(() => world.runtime.runs.length === 1, 'its run')
    await world.reborn()
    await world.call('agents.delete', { agent: id, wait: true })
  })
})
