import { describe, expect, it } from 'vitest'
import type { InboxState } from '../../src/contract/messages.ts'
import { agentRow, approvalRow, eventRow, messageRow } from '../helpers/rows.ts'
import type { OpenStore } from './store.ts'

/** Events, messages and approvals. */
export function storeTalkConformance(open: OpenStore): void {
  describe('events', () => {
    it('numbers them in order and answers the filters', async () => {
      const store = await open()
      const events = [
        eventRow({ type: 'agent.created', agentId: 'a', agent: 'ann/a' }),
        eventRow({ type: 'run.starting', agentId: 'b', agent: 'bob/b', owner: 'bob', data: { pid: 5, words: ['x'] } }),
        eventRow({ type: 'regent.started', owner: null, actor: 'regent' }),
        eventRow({ type: 'run.starting', agentId: 'a', agent: 'ann/a' }),
      ]
      const numbers: number[] = []
      for (const event of events) numbers.push(await store.transaction((tables) => tables.events.append(event)))
      expect(numbers).toEqual([...numbers].sort((a, b) => a - b))
      expect(new Set(numbers).size).toBe(4)
      const list = async (filter: object) =>
        (await store.read.events.list({ after: 0, limit: 100, ...filter })).map((event) => numbers.indexOf(event.number))
      expect(await store.read.events.list({ after: 0, limit: 100 })).toEqual(events.map((event, at) => ({ ...event, number: numbers[at] })))
      expect(await list({ after: numbers[1] })).toEqual([2, 3])
      expect(await list({ limit: 2 })).toEqual([0, 1])
      expect(await list({ owner: 'ann' })).toEqual([0, 3])
      expect(await list({ agentId: 'b' })).toEqual([1])
      expect(await list({ types: ['run.starting', 'regent.started'] })).toEqual([1, 2, 3])
      expect(await list({ types: [] })).toEqual([])
      expect(await list({ from: 'newest', limit: 2 })).toEqual([2, 3])
      expect(await list({ from: 'newest', before: numbers[3], agentId: 'a' })).toEqual([0])
    })

    it('keeps the newest, tells its window, and never uses a number twice', async () => {
      const store = await open()
      expect(await store.read.events.window()).toEqual({ oldest: 0, newest: 0 })
      const append = () => store.transaction((tables) => tables.events.append(eventRow()))
      let newest = 0
      for (let count = 0; count < 10; count += 1) newest = await append()
      expect(await store.transaction((tables) => tables.events.prune(20))).toBe(0)
      expect(await store.transaction((tables) => tables.events.prune(3))).toBe(7)
      expect((await store.read.events.window()).newest).toBe(newest)
      const kept = await store.read.events.list({ after: 0, limit: 100 })
      expect(kept).toHaveLength(3)
      expect((await store.read.events.window()).oldest).toBe(kept[0]?.number)
      expect(await store.transaction((tables) => tables.events.prune(0))).toBe(3)
      expect(await store.read.events.window()).toEqual({ oldest: 0, newest: 0 })
      expect(await append()).toBeGreaterThan(newest)
    })
  })

  describe('messages', () => {
    it('takes an id once and gives it back', async () => {
      const store = await open()
      const agent = agentRow()
      const message = messageRow(agent.id, { content: { name: 'tool', args: [1] }, metadata: { a: 'b' }, final: true, replyTo: 'x' })
      await store.transaction((tables) => tables.agents.insert(agent))
      const number = await store.transaction((tables) => tables.messages.insert(message))
      expect(number).toBeGreaterThan(0)
      expect(await store.transaction((tables) => tables.messages.insert({ ...message, content: 'other' }))).toBeUndefined()
      expect(await store.read.messages.get(message.id)).toEqual({ ...message, number })
      expect(await store.read.messages.get('nothing')).toBeUndefined()
    })

    it('takes many messages and many events at once, in order', async () => {
      const store = await open()
      const agent = agentRow()
      await store.transaction((tables) => tables.agents.insert(agent))
      const many = Array.from({ length: 150 }, (_, at) => messageRow(agent.id, { id: `many-${at}` }))
      await store.transaction((tables) => tables.messages.insert(messageRow(agent.id, { id: 'many-3' })))
      const numbers = await store.transaction((tables) => tables.messages.insertAll(many))
      expect([numbers.size, numbers.has('many-3')]).toEqual([149, false])
      const told = many.flatMap(({ id }) => numbers.get(id) ?? [])
      expect(told).toEqual([...told].sort((a, b) => a - b))
      const rows = await store.read.messages.placesOf(['many-149', 'many-0', 'nothing'])
      expect(rows.map(({ id, number }) => [id, number]).sort()).toEqual(['many-0', 'many-149'].map((id) => [id, numbers.get(id)]))
      await store.transaction((tables) => tables.messages.setState(['many-0', 'many-1'], 'acknowledged'))
      expect((await store.read.messages.countWaiting([agent.id])).get(agent.id)).toBe(148)
      const before = (await store.read.events.window()).newest
      const events = many.map(({ id }) => eventRow({ data: { id } }))
      await store.transaction((tables) => tables.events.appendAll(events))
      const listed = await store.read.events.list({ after: before, limit: 1000 })
      expect(listed.map((event) => event.data.id)).toEqual(many.map(({ id }) => id))
    })

    it('lists from either end, always ascending', async () => {
      const store = await open()
      const agent = agentRow()
      await store.transaction((tables) => tables.agents.insert(agent))
      const numbers: number[] = []
      for (const conversation of ['a', 'b', 'a', 'b', 'a']) {
        const number = await store.transaction((tables) => tables.messages.insert(messageRow(agent.id, { conversation })))
        numbers.push(number ?? -1)
      }
      const list = async (filter: object) =>
        (await store.read.messages.list({ agentId: agent.id, limit: 100, from: 'oldest', ...filter })).map((row) =>
          numbers.indexOf(row.number),
        )
      expect(await list({})).toEqual([0, 1, 2, 3, 4])
      expect(await list({ limit: 2 })).toEqual([0, 1])
      expect(await list({ limit: 2, from: 'newest' })).toEqual([3, 4])
      expect(await list({ limit: 2, from: 'newest', before: numbers[3] })).toEqual([1, 2])
      expect(await list({ after: numbers[1], before: numbers[4] })).toEqual([2, 3])
      expect(await list({ conversation: 'b' })).toEqual([1, 3])
      expect(await list({ agentId: 'other' })).toEqual([])
    })

    it('tells which wait, how many, and which are dead', async () => {
      const store = await open()
      const [agent, other] = [agentRow(), agentRow()]
      const states: (InboxState | null)[] = ['queued', 'delivered', 'acknowledged', 'dead', 'queued', 'dead']
      const ids = states.map((_, at) => `m${at}`)
      await store.transaction(async (tables) => {
        await tables.agents.insert(agent)
        await tables.agents.insert(other)
        for (const [at, state] of states.entries()) await tables.messages.insert(messageRow(agent.id, { id: ids[at] ?? '', state }))
        await tables.messages.insert(messageRow(agent.id, { id: 'out', direction: 'out', state: null }))
        await tables.messages.insert(messageRow(other.id, { id: 'theirs' }))
      })
      const read = store.read.messages
      const waiting = await read.waiting(agent.id, 0, 10)
      expect(waiting.map((row) => row.id)).toEqual(['m0', 'm1', 'm4'])
      expect((await read.waiting(agent.id, waiting[0]?.number ?? 0, 1)).map((row) => row.id)).toEqual(['m1'])
      expect((await read.dead([agent.id], 10)).map((row) => row.id)).toEqual(['m3', 'm5'])
      expect((await read.dead([agent.id], 1)).map((row) => row.id)).toEqual(['m5'])
      expect((await read.dead(undefined, 10)).map((row) => row.id)).toEqual(['m3', 'm5'])
      expect((await read.dead([agent.id, other.id], 1)).map((row) => row.id)).toEqual(['m5'])
      expect(await read.dead([other.id], 10)).toEqual([])
      expect(await read.dead([], 10)).toEqual([])
      expect(Object.fromEntries(await read.countWaiting())).toEqual({ [agent.id]: 3, [other.id]: 1 })
      expect(await read.countWaiting([agent.id])).toEqual(new Map([[agent.id, 3]]))
      expect(await read.countWaiting([])).toEqual(new Map())
      await store.transaction(async (tables) => {
        await tables.messages.update('m0', { state: 'dead', tries: 5, reason: 'poison' })
        await tables.messages.update('m1', { state: 'acknowledged' })
        await tables.messages.update('m4', { state: 'acknowledged' })
      })
      expect(await read.get('m0')).toMatchObject({ state: 'dead', tries: 5, reason: 'poison' })
      expect(await read.countWaiting([agent.id])).toEqual(new Map())
    })

    it('finds the final reply among the replies', async () => {
      const store = await open()
      const agent = agentRow()
      await store.transaction(async (tables) => {
        await tables.agents.insert(agent)
        await tables.messages.insert(messageRow(agent.id, { id: 'q' }))
        await tables.messages.insert(messageRow(agent.id, { id: 'n', direction: 'out', replyTo: 'q', state: null }))
      })
      expect(await store.read.messages.finalReply('q')).toBeUndefined()
      const final = messageRow(agent.id, { id: 'r', direction: 'out', replyTo: 'q', final: true, state: null })
      await store.transaction((tables) => tables.messages.insert(final))
      expect(await store.read.messages.finalReply('q')).toMatchObject(final)
    })
  })

  describe('approvals', () => {
    it('takes an id once, lists the newest first, and updates', async () => {
      const store = await open()
      const [agent, other] = [agentRow(), agentRow()]
      const rows = [1, 2, 3].map((at) => approvalRow(at === 3 ? other.id : agent.id, { id: `p${at}`, requestedAt: at }))
      await store.transaction(async (tables) => {
        await tables.agents.insert(agent)
        await tables.agents.insert(other)
        for (const row of rows) expect(await tables.approvals.insert(row)).toBe(true)
      })
      const again = approvalRow(agent.id, { id: 'p1', tool: 'another' })
      expect(await store.transaction((tables) => tables.approvals.insert(again))).toBe(false)
      const list = async (filter: object) => (await store.read.approvals.list({ limit: 10, ...filter })).map((row) => row.id)
      expect(await store.read.approvals.get('p1')).toEqual(rows[0])
      expect(await list({})).toEqual(['p3', 'p2', 'p1'])
      expect(await list({ limit: 1 })).toEqual(['p3'])
      expect(await list({ agentIds: [agent.id] })).toEqual(['p2', 'p1'])
      expect(await list({ agentIds: [] })).toEqual([])
      const answer = { state: 'confirmed', answeredAt: 9, answeredBy: 'ann', via: 'http' } as const
      await store.transaction((tables) => tables.approvals.update('p1', answer))
      expect(await store.read.approvals.get('p1')).toEqual({ ...rows[0], ...answer })
      expect(await list({ state: 'confirmed' })).toEqual(['p1'])
      expect(await list({ state: 'pending' })).toEqual(['p3', 'p2'])
    })
  })
}
