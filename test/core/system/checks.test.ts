import { describe, expect, it } from 'vitest'
import type { Check } from '../../../src/contract/system.ts'
import { Checks } from '../../../src/core/system/checks.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import { admin, CoreWorld, userCalled } from '../../helpers/core-world.ts'
import { FakeClock } from '../../helpers/fake-clock.ts'
import { until } from '../../helpers/until.ts'

const machine: Check = { name: 'disk', ok: true, message: 'much is free', required: false }

/** Checks over parts that behave as the test says. */
function checked() {
  const clock = new FakeClock()
  const parts = { store: async () => {}, runtime: async () => {}, bus: async () => {} }
  const asked = { bus: 0 }
  const options = {
    store: { kind: 'sqlite', check: () => parts.store() },
    runtime: { kind: 'process', can: { stopLevel: 'A' }, check: () => parts.runtime(), checks: async () => [] },
    bus: {
      kind: 'memory',
      check: () => {
        asked.bus++
        return parts.bus()
      },
    },
    moreChecks: async () => [machine],
    clock,
    logger: silentLogger,
  }
  return { clock, parts, asked, checks: new Checks(options as unknown as ConstructorParameters<typeof Checks>[0]) }
}

describe('the checks', () => {
  it('name every part, and what is wrong with one', async () => {
    const { parts, checks } = checked()
    expect(await checks.read()).toEqual([
      { name: 'store', ok: true, message: 'sqlite answers', required: true },
      { name: 'runtime', ok: true, message: 'process runs, stop level A', required: true },
      { name: 'bus', ok: true, message: 'memory bus', required: true },
      machine,
    ])
    parts.bus = () => Promise.reject(new Error('nobody listens'))
    expect(await checks.read()).toContainEqual({ name: 'bus', ok: false, message: 'nobody listens', required: true })
    parts.bus = () => {
      throw new Error('broken')
    }
    expect(await checks.read()).toContainEqual({ name: 'bus', ok: false, message: 'broken', required: true })
  })

  it('tell of the others while one hangs, and ask it once', async () => {
    const { clock, parts, asked, checks } = checked()
    const held = Promise.withResolvers<void>()
    parts.bus = () => held.promise
    const first = checks.read()
    await until(() => asked.bus === 1, 'it is asked')
    clock.advance(1000)
    expect(await first).toContainEqual({ name: 'bus', ok: false, message: 'has not answered for 1 s', required: true })
    const second = checks.read()
    await new Promise(setImmediate) // The others have answered.
    clock.advance(1000)
    const found = await second
    expect(found).toContainEqual({ name: 'bus', ok: false, message: 'has not answered for 2 s', required: true })
    expect(found).toContainEqual({ name: 'store', ok: true, message: 'sqlite answers', required: true })
    expect(asked.bus).toBe(1)
    parts.bus = async () => {}
    held.resolve()
    await until(async () => (await checks.read()).every(({ ok }) => ok), 'it is well again')
  })
})

describe('a part of the runtime', () => {
  it('that is lost is a failed check and an event for admins, until it is back', async () => {
    const world = await CoreWorld.open()
    const told = async (caller = admin) => {
      const { events } = await world.call<{ events: { type: string; data: object }[] }>('events.list', {}, caller)
      return events.filter(({ type }) => type.startsWith('runtime.')).map(({ type, data }) => [type, data])
    }
    const part = { name: 'log pump', ok: false, message: 'the pump of logs is gone' }
    world.runtime.tellPart(part)
    world.runtime.tellPart(part)
    await until(async () => (await told()).length === 1, 'the loss is told')
    const { checks, ready } = await world.call<{ checks: Check[]; ready: boolean }>('system.status', {})
    expect(checks).toContainEqual({ ...part, required: false })
    expect(ready).toBe(true)
    world.runtime.tellPart({ name: 'log pump', ok: true, message: 'it runs again' })
    await until(async () => (await told()).length === 2, 'the return is told')
    expect(await told()).toEqual([
      ['runtime.part_lost', { part: 'log pump', message: 'the pump of logs is gone' }],
      ['runtime.part_restored', { part: 'log pump', message: 'it runs again' }],
    ])
    expect(await told(userCalled('alice'))).toEqual([])
    expect((await world.core.checks()).every(({ ok }) => ok)).toBe(true)
  })
})
