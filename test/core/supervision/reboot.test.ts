import { describe, expect, it } from 'vitest'
import { Supervised } from '../../helpers/supervised.ts'
import { until } from '../../helpers/until.ts'

/** As when the machine was restarted: every run is over, and Regent comes back. */
async function reboot(world: Supervised): Promise<void> {
  world.supervisor.close()
  for (const run of world.runtime.alive)
    run.end({ kind: 'lost', reason: 'the machine was restarted', at: world.clock.now(), rebooted: true })
  await world.reborn()
}

describe('a restart of the machine', () => {
  it('[part of F23] starts what was wanted exactly once, and counts no death', async () => {
    const world = await Supervised.open()
    const ids = await Promise.all((['always', 'on-failure', 'never'] as const).map((restart) => world.agent({ startretries: 0, restart })))
    const stopped = await world.agent({ startsecs: 0 })
    await world.ask('start', stopped, true)
    await world.ask('stop', stopped, true)
    for (const id of ids) await world.ask('start', id)
    await until(() => world.runtime.runs.length === 4 && world.clock.nextIn === 1000, 'the runs')
    await reboot(world)
    await until(() => world.runtime.runs.length === 7, 'three new runs')
    for (const id of ids) expect(await world.life(id)).toMatchObject({ state: 'STARTING', deaths: 0, earlyDeaths: 0, restarts: 1 })
    expect((await world.life(stopped)).state).toBe('STOPPED')
    await reboot(world)
    await until(() => world.runtime.runs.length === 10, 'three more')
    expect(world.runtime.alive).toHaveLength(3)
  })

  it('[part of F23] leaves one with autostart: false stopped, and says so', async () => {
    const world = await Supervised.open()
    const id = await world.agent({ startsecs: 0, autostart: false })
    await world.ask('start', id, true)
    await reboot(world)
    expect(await world.reaches(id, 'STOPPED')).toMatchObject({
      desired: 'stopped',
      reason: 'the machine was restarted, and it is not to be started again after that (autostart: false)',
    })
    await world.ask('start', id, true)
    await world.reborn()
    expect((await world.life(id)).state).toBe('RUNNING')
  })

  it('makes no storm', async () => {
    const world = await Supervised.open(2)
    const ids = await Promise.all(Array.from({ length: 4 }, () => world.agent({ startsecs: 0 })))
    for (const id of ids) await world.ask('start', id, true)
    await reboot(world)
    await until(() => world.runtime.runs.length === 6, 'two starts at once')
    for (const runs of [7, 8]) {
      world.clock.advance(500)
      await until(() => world.runtime.runs.length === runs, `${runs} runs`)
    }
    expect(world.runtime.alive).toHaveLength(4)
  })

  it('keeps what had ended by itself before it', async () => {
    const world = await Supervised.open()
    const id = await world.agent({ startsecs: 0, restart: 'on-failure' })
    await world.ask('start', id, true)
    world.supervisor.close()
    world.runtime.last.end({ kind: 'exited', code: 0, at: world.clock.now(), rebooted: true })
    await world.reborn()
    expect(await world.reaches(id, 'EXITED')).toMatchObject({ exitCode: 0 })
  })
})
