import { describe, expect, it } from 'vitest'
import { momentOf } from '../../../src/core/supervision/moment.ts'
import { admin, CoreWorld, userCalled } from '../../helpers/core-world.ts'
import { until } from '../../helpers/until.ts'

interface Line {
  readonly agent?: string
  readonly at: number | null
  readonly text: string
}

/** A world with agents of alice's that ran, by their names. */
async function printing(...names: string[]) {
  const world = await CoreWorld.open()
  const ids = new Map<string, string>()
  const create = async (name: string, owner = 'alice') => {
    const agent = { kind: 'command', owner, name, command: ['sleep', '1'] }
    const { id } = await world.call<{ id: string }>('agents.create', { agent }, admin)
    ids.set(name, id)
    return id
  }
  for (const name of names) {
    world.runtime.printed.set(await create(name), [])
  }
  const print = (name: string, text: string, at: number | null) => world.runtime.print(ids.get(name) ?? '', text, { at })
  return { world, create, print, ids }
}

/** Reads a stream to its end, or until it is told to stop. */
function reading(world: CoreWorld, name: string, input: object, caller = admin) {
  const stop = new AbortController()
  const lines: Line[] = []
  const done = (async () => {
    for await (const line of world.core.open(name, input, { caller, signal: stop.signal })) lines.push(line as Line)
  })()
  done.catch(() => {})
  return { lines, done, stop: () => stop.abort(), texts: () => lines.map(({ text }) => text) }
}

const read = async (world: CoreWorld, name: string, input: object, caller = admin) => {
  const { done, texts } = reading(world, name, input, caller)
  await done
  return texts()
}

describe('what agents print', () => {
  it('is filtered by time, stream and text, and the tail is of what remains', async () => {
    const { world, ids } = await printing('web')
    const id = ids.get('web') ?? ''
    for (let n = 1; n <= 200; n++) world.runtime.print(id, `line ${n}`, { at: 1000 * n, stream: n % 2 ? 'stdout' : 'stderr' })
    expect(await read(world, 'agents.logs', { agent: id })).toHaveLength(100)
    expect(await read(world, 'agents.logs', { agent: id, since: 50_000 }), 'with since all').toHaveLength(151)
    expect(await read(world, 'agents.logs', { agent: id, since: '1970-01-01T00:03:19Z' })).toEqual(['line 199', 'line 200'])
    expect(await read(world, 'agents.logs', { agent: id, stream: 'stderr', tail: '2' })).toEqual(['line 198', 'line 200'])
    expect(await read(world, 'agents.logs', { agent: id, contains: '9', tail: 1 })).toEqual(['line 199'])
    await expect(read(world, 'agents.logs', { agent: id, since: 'soon' })).rejects.toMatchObject({
      code: 'INVALID',
      fields: [{ path: 'since' }],
    })
  })

  it('reads moments as people write them', () => {
    const now = Date.parse('2026-01-31T08:00:00Z')
    expect(momentOf('10m', 'since', now)).toBe(now - 600_000)
    expect(momentOf('1h30m', 'since', now)).toBe(now - 5_400_000)
    expect(momentOf('2026-01-31T07:00:00Z', 'since', now)).toBe(now - 3_600_000)
    expect(momentOf('1769846400000', 'since', now)).toBe(1_769_846_400_000)
    expect(momentOf('1769846400000.25', 'since', now)).toBe(1_769_846_400_000.25)
    for (const bad of ['10x', 'x10m', '2026-13-45', '-5m', 'm']) {
      expect(() => momentOf(bad, 'since', now), bad).toThrow(/since must be .*, not '/)
    }
  })

  it('of several comes in the order of time', async () => {
    const { world, print } = await printing('a', 'b', 'c')
    print('a', 'a1', 1)
    print('a', 'a4', 4)
    print('b', 'b2', 2)
    print('b', 'b3', 3)
    print('c', 'c5', 5)
    expect(await read(world, 'logs.stream', {})).toEqual(['a1', 'b2', 'b3', 'a4', 'c5'])
    expect(await read(world, 'logs.stream', { agents: 'alice/a,alice/c', tail: 1 })).toEqual(['a4', 'c5'])
    const { lines, done } = reading(world, 'logs.stream', { agents: ['a', 'a'] })
    await done
    expect(lines.map(({ agent, text }) => [agent, text])).toEqual([
      ['alice/a', 'a1'],
      ['alice/a', 'a4'],
    ])
  })

  it('is told to nobody else', async () => {
    const { world, create, print } = await printing('a')
    world.runtime.printed.set(await create('secret', 'bob'), [])
    print('a', 'mine', 1)
    print('secret', 'his', 2)
    expect(await read(world, 'logs.stream', {}, userCalled('alice'))).toEqual(['mine'])
    expect(await read(world, 'logs.stream', { owner: 'bob' })).toEqual(['his'])
    await expect(read(world, 'logs.stream', { owner: 'bob' }, userCalled('alice'))).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await expect(read(world, 'logs.stream', { agents: ['bob/secret'] }, userCalled('alice'))).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  it('is followed in order, although one is told late, and whoever is silent holds up nobody', async () => {
    const { world, print } = await printing('a', 'b', 'silent')
    print('a', 'old', 1)
    const { texts, stop, done } = reading(world, 'logs.stream', { follow: true })
    await until(() => texts().length === 1, 'what was there')
    const now = Date.now()
    print('b', 'second', now)
    print('a', 'first', now - 20)
    await until(() => texts().length === 3, 'both lines')
    expect(texts()).toEqual(['old', 'first', 'second'])
    stop()
    await done
    await until(() => world.runtime.readers === 0, 'no reader is left')
  })

  it('is followed from agents that are made later, and from one that never ran', async () => {
    const { world, create, print, ids } = await printing('a')
    const idle = await create('idle')
    const { texts, stop, done } = reading(world, 'logs.stream', { follow: true, owner: 'alice' })
    await until(() => world.runtime.readers === 1, 'it reads')
    const late = await create('late')
    for (const id of [idle, late]) {
      world.runtime.print(id, `from ${id}`)
      await world.call('agents.start', { agent: id, wait: true })
    }
    await until(() => texts().length === 2, 'both are read')
    await world.call('agents.delete', { agent: ids.get('a'), wait: true })
    await until(() => world.runtime.readers === 2, 'the deleted one left')
    print('late', 'more', Date.now())
    await until(() => texts().includes('more'), 'the others go on')
    stop()
    await done
    expect(texts()).toEqual([`from ${idle}`, `from ${late}`, 'more'])
  })

  it('of named agents ends when the last of them is deleted', async () => {
    const { world, print, ids } = await printing('a')
    const { texts, done } = reading(world, 'agents.logs', { agent: 'alice/a', follow: true })
    print('a', 'one', Date.now())
    await until(() => texts().length === 1, 'the line')
    await world.call('agents.delete', { agent: ids.get('a'), wait: true })
    await done
    expect(world.runtime.readers).toBe(0)
  })

  it('waits for a slow reader: one line of each agent is held, no more', async () => {
    const { world, print } = await printing('a', 'b')
    for (let n = 0; n < 1000; n++) for (const name of ['a', 'b']) print(name, `${n}`, n)
    const stop = new AbortController()
    const input = { follow: true, since: 0 }
    const stream = world.core.open('logs.stream', input, { caller: admin, signal: stop.signal })[Symbol.asyncIterator]()
    await stream.next()
    await new Promise(setImmediate)
    expect(world.runtime.linesRead).toBeLessThanOrEqual(4)
    for (let n = 1; n < 2000; n++) expect(((await stream.next()).value as Line).at).toBe(n >> 1)
    stop.abort()
    expect((await stream.next()).done).toBe(true)
  })

  it('ends with what was printed when it was asked for, however fast more comes', async () => {
    const { world, ids } = await printing('flood')
    world.runtime.logs = async function* () {
      for (let n = 0; ; n++) {
        await new Promise(setImmediate)
        yield { runId: 'run', stream: 'stdout' as const, at: Date.now(), text: `${n}` }
      }
    } as typeof world.runtime.logs
    const texts = await read(world, 'agents.logs', { agent: ids.get('flood') })
    expect(texts.length).toBeLessThan(1000)
  })

  it('is forgotten on demand, and told so', async () => {
    const { world, print, ids } = await printing('a')
    print('a', 'old', 1)
    expect(await world.call('agents.clear_logs', { agent: 'alice/a' })).toEqual({ cleared: true })
    expect(await read(world, 'agents.logs', { agent: 'alice/a' })).toEqual([])
    const { events } = await world.call<{ events: { type: string; actor: string }[] }>('events.list', { agent: ids.get('a') })
    expect(events.at(-1)).toMatchObject({ type: 'agent.logs_cleared', actor: 'root' })
    await expect(world.call('agents.clear_logs', { agent: 'alice/a' }, userCalled('bob'))).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })
})

describe('a signal', () => {
  const started = async () => {
    const { world, ids } = await printing('a')
    await world.call('agents.start', { agent: 'alice/a', wait: true })
    return { world, run: world.runtime.last, id: ids.get('a') ?? '' }
  }
  const signalled = async (world: CoreWorld, id: string) => {
    const { events } = await world.call<{ events: { type: string; actor: string; data: object }[] }>('events.list', { agent: id })
    return events.filter(({ type }) => type === 'agent.signalled')
  }

  it('goes to the main process, once for a key, and is told with its sender', async () => {
    const { world, run, id } = await started()
    const alice = userCalled('alice')
    for (const _ of [1, 2])
      expect(await world.call('agents.signal', { agent: id, signal: 'HUP' }, alice, 'key')).toEqual({ sent: true, pid: run.pid })
    expect(run.signals).toEqual(['SIGHUP'])
    expect(await signalled(world, id)).toMatchObject([{ actor: 'alice', data: { signal: 'SIGHUP', pid: run.pid } }])
  })

  it('goes to no other process, and to none that does not run', async () => {
    const { world, run, id } = await started()
    run.isOnRecord = false
    await expect(world.call('agents.signal', { agent: id, signal: 'USR1' })).rejects.toMatchObject({ code: 'ILLEGAL_STATE' })
    await world.call('agents.stop', { agent: id, wait: true })
    await expect(world.call('agents.signal', { agent: id, signal: 'USR1' })).rejects.toMatchObject({ code: 'ILLEGAL_STATE' })
    await expect(world.call('agents.signal', { agent: id, signal: 'SEGV' })).rejects.toMatchObject({ code: 'INVALID' })
    expect([run.signals, await signalled(world, id)]).toEqual([[], []])
  })
})
