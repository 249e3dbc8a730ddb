import { describe, expect, it } from 'vitest'
import { Observed } from '../../../src/core/supervision/observed.ts'
import { Resources } from '../../../src/core/supervision/resources.ts'
import type { RunUsage } from '../../../src/ports/runtime.ts'
import { CoreWorld, userCalled } from '../../helpers/core-world.ts'
import { FakeClock } from '../../helpers/fake-clock.ts'
import { collectingLogger } from '../../helpers/logs.ts'
import { until } from '../../helpers/until.ts'

const used = (cpuSeconds: number): RunUsage => ({ memoryBytes: 2 ** 20, cpuSeconds, processes: 2, openFiles: 12 })

/** A sampler over one running agent whose numbers the test sets. */
function sampled({ costMs = 0 } = {}) {
  const clock = new FakeClock()
  const observed = new Observed()
  const usages = new Map<string, RunUsage>()
  const lives = [{ agentId: 'agent', runId: 'run' }]
  const world = { looks: 0, cpuMs: 0, held: undefined as Promise<void> | undefined, failing: false }
  const runtime = {
    async usages() {
      world.looks++
      await world.held
      if (world.failing) throw new Error('no /proc')
      world.cpuMs += costMs
      return new Map(usages)
    },
  }
  const logger = collectingLogger()
  const options = {
    store: { read: { lives: { list: async () => lives } } },
    runtime,
    observed,
    clock,
    logger,
    self: { cpuSeconds: () => world.cpuMs / 1000 },
  }
  const resources = new Resources(options as unknown as ConstructorParameters<typeof Resources>[0])
  return { clock, observed, usages, lives, world, resources, logger }
}

describe('what agents take', () => {
  it('tells CPU from the difference of two looks, and nothing at the first', async () => {
    const { clock, observed, usages, resources } = sampled()
    usages.set('run', used(1))
    await resources.look()
    expect(observed.resources('agent')).toEqual({
      at: clock.now(),
      memory_bytes: 2 ** 20,
      cpu_percent: null,
      cpu_seconds: 1,
      processes: 2,
      open_files: 12,
    })
    clock.advance(2000)
    usages.set('run', used(1.5))
    await resources.look()
    expect(observed.resources('agent')?.cpu_percent).toBe(25)
    clock.advance(2000)
    usages.set('run', used(1.2))
    await resources.look()
    expect(observed.resources('agent')?.cpu_percent, 'a process that ended took its seconds along').toBe(0)
  })

  it('begins anew with a new run, and forgets a run that is gone', async () => {
    const { clock, observed, usages, lives, resources } = sampled()
    usages.set('run', used(5))
    await resources.look()
    clock.advance(1000)
    lives.splice(0, 1, { agentId: 'agent', runId: 'next' })
    usages.clear()
    usages.set('next', used(0.1))
    await resources.look()
    expect(observed.resources('agent')).toMatchObject({ cpu_percent: null, cpu_seconds: 0.1 })
    clock.advance(1000)
    usages.clear()
    await resources.look()
    expect(observed.resources('agent')).toBeNull()
  })

  it('looks once for all who ask, and at most once a second', async () => {
    const { clock, world, resources } = sampled()
    await Promise.all([resources.look(), resources.look()])
    await resources.look()
    expect(world.looks).toBe(1)
    clock.advance(1000)
    await resources.look()
    expect(world.looks).toBe(2)
  })

  it('looks less often where a look costs more: below 1 % of the time', async () => {
    const { clock, world, resources } = sampled({ costMs: 50 })
    await resources.look()
    clock.advance(4000)
    await resources.look()
    expect(world.looks).toBe(1)
    clock.advance(1000)
    await resources.look()
    expect(world.looks).toBe(2)
  })

  it('looks by itself every 15 s, until it is closed', async () => {
    const { clock, world, resources } = sampled()
    resources.begin()
    await resources.look()
    expect(world.looks).toBe(1)
    clock.advance(15_000)
    await until(() => world.looks === 2, 'the second look')
    resources.close()
    clock.advance(60_000)
    expect(world.looks).toBe(2)
    expect(clock.nextIn).toBeUndefined()
  })

  it('looks by itself less often where that costs much: every 40 s at 100 ms', async () => {
    const { clock, world, resources } = sampled({ costMs: 100 })
    resources.begin()
    await resources.look()
    const looks: number[] = []
    for (let second = 1; second <= 120; second++) {
      const before = world.looks
      clock.advance(1000)
      await new Promise(setImmediate)
      if (world.looks > before) looks.push(second)
    }
    resources.close()
    expect(looks).toEqual([15, 55, 95])
  })

  it('keeps nobody waiting for a look that hangs, nor fails with one that fails', async () => {
    const { clock, world, resources, logger } = sampled()
    const held = Promise.withResolvers<void>()
    world.held = held.promise
    const asked = resources.look()
    clock.advance(250)
    await asked
    world.failing = true
    held.resolve()
    await until(() => logger.lines.length === 1, 'the failure is logged')
    expect(logger.lines[0]).toMatchObject({ level: 'warn', fields: { error: 'no /proc' } })
  })

  it('is in the answers about agents', async () => {
    const world = await CoreWorld.open()
    const agent = { kind: 'command', owner: 'alice', name: 'web', command: ['sleep', '1'] }
    const { id } = await world.call<{ id: string }>('agents.create', { agent })
    expect(await world.call('agents.get', { agent: id })).toMatchObject({ resources: null })
    await world.call('agents.start', { agent: id, wait: true })
    world.runtime.taken.set(world.runtime.last.handle.runId, used(3))
    await until(async () => {
      const { agents } = await world.call<{ agents: { resources: object | null }[] }>('agents.list', {}, userCalled('alice'))
      return agents[0]?.resources !== null
    }, 'numbers in the list')
    expect(await world.call('agents.get', { agent: id })).toMatchObject({ resources: { memory_bytes: 2 ** 20, cpu_seconds: 3 } })
  })
})
