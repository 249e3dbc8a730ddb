import { describe, expect, it, onTestFinished } from 'vitest'
import type { Caller } from '../../../src/contract/tokens.ts'
import { Journal } from '../../../src/core/events/journal.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import { CoreWorld, userCalled } from '../../helpers/core-world.ts'
import { until } from '../../helpers/until.ts'

type Item = { kind: string; event?: { number: number; type: string; agent: string }; text?: string; oldest?: number }

function follow(world: CoreWorld, input: object, caller?: Caller) {
  const stop = new AbortController()
  const items: Item[] = []
  const stream = world.core.open('events.stream', input, {
    caller: caller ?? { user: 'root', role: 'admin', via: 'test' },
    signal: stop.signal,
  })
  const done = (async () => {
    for await (const item of stream) items.push(item as Item)
  })()
  onTestFinished(async () => {
    stop.abort()
    await done
  })
  return items
}

describe('the journal', () => {
  it('[I2-JRN-01] is followed in order, without a gap, from any position', async () => {
    const world = await CoreWorld.open()
    await world.team('a')
    const items = follow(world, { after: 0 })
    await Promise.all(Array.from({ length: 30 }, (_, index) => world.team(`b${index}`)))
    await until(() => items.length === 32, '32 events')
    expect(items[0]?.event?.type).toBe('regent.started')
    const numbers = items.map((item) => item.event?.number ?? 0)
    expect(numbers).toEqual(Array.from({ length: 32 }, (_, index) => index + 1))
  })

  it('shows nothing of a commit before the store has told of it, though it can be read: it may not be on the disk', async () => {
    const { store } = await CoreWorld.open()
    const told: (() => void)[] = []
    const journal = new Journal(Object.assign(Object.create(store), { onCommit: (tell: () => void) => told.push(tell) }), silentLogger)
    await journal.open()
    const { newest } = journal
    const nobody = { at: 0, type: 'regent.started' as const, agentId: null, agent: null, owner: null, actor: 'test', data: {} }
    await store.transaction((tables) => tables.events.append(nobody))
    const stop = new AbortController()
    const seen: number[] = []
    const reading = (async () => {
      for await (const item of journal.read(0, {}, stop.signal)) if (item.kind === 'event') seen.push(item.event.number)
    })()
    await until(() => seen.includes(newest), 'what was there')
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect(seen.at(-1)).toBe(newest)
    for (const tell of told) tell()
    await until(() => seen.at(-1) === newest + 1, 'what was told of')
    stop.abort()
    await reading
  })

  it('shows each user his own agents alone', async () => {
    const world = await CoreWorld.open()
    const items = follow(world, { after: 0 }, userCalled('bob'))
    await world.team('a', 'alice')
    await world.team('b', 'bob')
    await until(() => items.length === 1, "bob's event")
    expect(items.map((item) => item.event?.agent)).toEqual(['bob/b'])
  })

  it('says resync to a reader whose position is no longer kept', async () => {
    const world = await CoreWorld.open()
    for (const name of ['a', 'b', 'c']) await world.team(name)
    await world.store.transaction((tables) => tables.events.prune(1))
    const items = follow(world, { after: 1 })
    await until(() => items.length === 1, 'the resync')
    expect(items[0]).toMatchObject({ kind: 'resync', oldest: 4, newest: 4 })
    await world.team('d')
    await until(() => items.length === 2, 'the next event')
  })

  it('says resync to a reader that has seen more than there is', async () => {
    const world = await CoreWorld.open()
    const items = follow(world, { after: 99 })
    await until(() => items[0]?.kind === 'resync', 'the resync')
    expect(items).toHaveLength(1)
  })

  it('passes on deltas between events when they are asked for', async () => {
    const world = await CoreWorld.open()
    const id = await world.team()
    const runner = await world.running(id)
    const items = follow(world, { deltas: true, agent: id })
    await until(async () => {
      await runner.tell({ type: 'delta', message_id: 'm', author: 'news', text: 'He' })
      return items.some((item) => item.kind === 'delta')
    }, 'a delta')
    await runner.did({
      kind: 'say',
      id: 's',
      type: 'assistant',
      content: 'Hello',
      metadata: {},
      author: 'news',
      reply_to: null,
      final: false,
    })
    await until(() => items.some((item) => item.event?.type === 'message.sent'), 'the whole text')
    expect(items.find((item) => item.kind === 'delta')).toMatchObject({ text: 'He' })
  })
})
