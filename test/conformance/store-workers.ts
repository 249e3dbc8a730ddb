import { describe, expect, it } from 'vitest'
import type { Store } from '../../src/ports/store.ts'
import type { Races, Workers } from '../../src/ports/worker-store.ts'
import { agentRow, approvalRow, raceRow, turnRow, workerRow } from '../helpers/rows.ts'
import type { OpenStore } from './store.ts'

/** Workers, their turns, races, and what workers ask. */
export function storeWorkersConformance(open: OpenStore): void {
  keptConformance(open)
  lookedForConformance(open)
  turnsConformance(open)
  racesConformance(open)
  askedConformance(open)
}

const strange = 'it\'s "a" \u2028 ünï \u{1F600}\n\t'

async function filled(open: OpenStore, rows: readonly ReturnType<typeof workerRow>[]): Promise<Store> {
  const store = await open()
  await store.transaction(async (tables) => {
    for (const row of rows) await tables.workers.insert(row)
  })
  return store
}

const full = () =>
  workerRow({
    label: strange,
    spec: { ...workerRow().spec, command: ['sh', '-c', strange], worktree: { base: 'main' }, args: ['', '-x'] },
    budget: { usd: 0.1, tokens: 9_007_199_254_740_991, seconds: 1.5 },
    timeout: 86_400_000,
    priority: -100,
    state: 'failed',
    reason: strange,
    wanted: 'cancel',
    claimed: true,
    turn: 3,
    prompt: strange.repeat(1000),
    cwd: '/a folder/ü',
    branch: 'regent/x',
    sessionId: 'of its CLI',
    begun: true,
    trusted: true,
    runId: 'a run',
    handle: { runtime: 'process', deep: [null, 1.5, { a: strange }] },
    pid: 4_194_304,
    lines: 12,
    attempts: 2,
    retryAt: 1_790_000_000_123,
    exitCode: 137,
    result: '',
    failureKind: 'budget',
    failure: 'Budget exceeded',
    errorHint: strange,
    outputFile: '/logs/worker.json',
    inputTokens: 9_007_199_254_740_991,
    outputTokens: 7,
    costUsd: 0.000_001,
    ranFor: 1_234_567,
    raceId: 'a race',
    startedAt: 1_500,
    endedAt: 2_500,
  })

function keptConformance(open: OpenStore): void {
  describe('workers', () => {
    it('give back what was inserted, field by field', async () => {
      const rows = [full(), workerRow()]
      const store = await filled(open, rows)
      for (const row of rows) expect(await store.read.workers.get(row.id)).toEqual(row)
      expect(await store.read.workers.get('nobody')).toBeUndefined()
      const again = store.transaction((tables) => tables.workers.insert(rows[1] ?? full()))
      await expect(again).rejects.toMatchObject({ name: 'RegentError' })
    })

    it('take each change and nothing else', async () => {
      const [row, other] = [workerRow(), workerRow()]
      const store = await filled(open, [row, other])
      const { id: _, ...change } = full()
      for (const [name, value] of Object.entries(change)) {
        await store.transaction((tables) => tables.workers.update(row.id, { [name]: value }))
        expect((await store.read.workers.get(row.id))?.[name as keyof typeof change]).toEqual(value)
      }
      await store.transaction((tables) => tables.workers.update(row.id, {}))
      expect(await store.read.workers.get(row.id)).toEqual({ id: row.id, ...change })
      expect(await store.read.workers.get(other.id)).toEqual(other)
      await store.transaction((tables) => tables.workers.update(row.id, { costUsd: null, label: null, claimed: false, trusted: false }))
      expect(await store.read.workers.get(row.id)).toMatchObject({ costUsd: null, label: null, claimed: false, trusted: false })
    })

    it('go with their approvals and with what they were asked, and leave others alone; what they took counts until it is forgotten', async () => {
      const [gone, stays] = [workerRow(), workerRow()]
      const store = await filled(open, [gone, stays])
      const asked = [gone, stays].map(({ id }) => approvalRow(null, { workerId: id }))
      await store.transaction(async (tables) => {
        for (const { id } of [gone, stays]) await tables.workers.insertTurn(turnRow(id, { prompt: 'asked', endedAt: 50 }))
        for (const row of asked) await tables.approvals.insert(row)
      })
      await store.transaction((tables) => tables.workers.delete(gone.id))
      await store.transaction((tables) => tables.workers.delete(gone.id))
      const left = await Promise.all([gone, stays].map(({ id }) => store.read.workers.turns(id)))
      expect(left.map((turns) => turns.map(({ prompt }) => prompt))).toEqual([[''], ['asked']])
      await store.transaction((tables) => tables.workers.pruneTurns(50))
      expect(await store.read.workers.turns(gone.id)).toHaveLength(1)
      await store.transaction((tables) => tables.workers.pruneTurns(51))
      const kept = await Promise.all([gone, stays].map(({ id }) => store.read.workers.turns(id)))
      expect(kept.map((turns) => turns.length)).toEqual([0, 1])
      expect(await store.read.workers.get(gone.id)).toBeUndefined()
      expect(await store.read.workers.get(stays.id)).toEqual(stays)
      expect((await store.read.approvals.list({ limit: 10 })).map(({ id }) => id)).toEqual([asked[1]?.id])
    })

    it('are seen as they are in the transaction that writes them, and not at all where it fails', async () => {
      const store = await open()
      const row = workerRow()
      const failed = store.transaction(async (tables) => {
        await tables.workers.insert(row)
        await tables.workers.update(row.id, { state: 'running' })
        expect((await tables.workers.open()).map(({ state }) => state)).toEqual(['running'])
        throw new Error('undone')
      })
      await expect(failed).rejects.toThrow('undone')
      expect(await store.read.workers.get(row.id)).toBeUndefined()
    })
  })
}

function lookedForConformance(open: OpenStore): void {
  const states = ['queued', 'running', 'limited', 'completed', 'failed', 'cancelled'] as const

  describe('a look for workers', () => {
    it('is newest first, filters and pages', async () => {
      const rows = states.map((state, at) =>
        workerRow({
          ...{ id: `w${at}`, state, claimed: at % 2 === 0, owner: at < 4 ? 'ann' : 'bob', namespace: at < 2 ? 'one' : 'two' },
          ...{ createdAt: at < 3 ? 1000 : 2000, ...(at > 3 && { raceId: 'r' }) },
        }),
      )
      const store = await filled(open, rows)
      const list = async (filter: Partial<Parameters<Workers['list']>[0]>) =>
        (await store.read.workers.list({ limit: 10, ...filter })).map(({ id }) => id).join(' ')
      expect(await list({})).toBe('w5 w4 w3 w2 w1 w0')
      expect(await list({ limit: 2 })).toBe('w5 w4')
      expect(await list({ after: { createdAt: 2000, id: 'w4' } })).toBe('w3 w2 w1 w0')
      expect(await list({ after: { createdAt: 2000, id: 'w3' }, limit: 2 })).toBe('w2 w1')
      expect(await list({ after: { createdAt: 1000, id: 'w0' } })).toBe('')
      expect(await list({ owner: 'ann' })).toBe('w3 w2 w1 w0')
      expect(await list({ owner: 'ann', namespace: 'two' })).toBe('w3 w2')
      expect(await list({ namespace: 'two', states: ['completed', 'failed'] })).toBe('w4 w3')
      expect(await list({ states: [] })).toBe('')
      expect(await list({ claimed: true })).toBe('w4 w2 w0')
      expect(await list({ claimed: false, states: ['cancelled', 'queued'] })).toBe('w5')
      expect(await list({ raceId: 'r' })).toBe('w5 w4')
      expect(await list({ raceId: 'r', owner: 'bob', claimed: true, after: { createdAt: 2000, id: 'w5' } })).toBe('w4')
    })

    it('takes the beginning of an id literally', async () => {
      const ids = ['aaaa1111', 'aaaa2222', 'aaab', 'b', 'aaa%', 'AAAA']
      const store = await filled(
        open,
        ids.map((id) => workerRow({ id })),
      )
      const found = async (idPrefix: string) => (await store.read.workers.list({ idPrefix, limit: 10 })).map(({ id }) => id).join(' ')
      expect(await found('aaaa')).toBe('aaaa2222 aaaa1111')
      expect(await found('aaaa2222')).toBe('aaaa2222')
      expect(await found('aaa%')).toBe('aaa%')
      expect(await found('____')).toBe('')
      expect(await found('A')).toBe('AAAA')
    })

    it('finds the open ones in the order of their queue', async () => {
      const at = [5, 1, 3, 0, 0, 0]
      const store = await filled(open, [
        ...states.map((state, index) => workerRow({ id: state, state, queuedAt: at[index] ?? 0 })),
        workerRow({ id: 'a', state: 'queued', queuedAt: 5 }),
      ])
      expect((await store.read.workers.open()).map(({ id }) => id)).toEqual(['running', 'limited', 'a', 'queued'])
    })

    it('finds what a crew has yet to claim in the order of the ends, the active ones last', async () => {
      const mine = { owner: 'ann', namespace: 'one' }
      const store = await filled(open, [
        workerRow({ ...mine, id: 'z-active', state: 'running' }),
        workerRow({ ...mine, id: 'a-active', state: 'queued' }),
        workerRow({ ...mine, id: 'late', state: 'failed', endedAt: 1_790_000_000_000 }),
        workerRow({ ...mine, id: 'early', state: 'completed', endedAt: 10 }),
        workerRow({ ...mine, id: 'b-same', state: 'completed', endedAt: 20 }),
        workerRow({ ...mine, id: 'a-same', state: 'cancelled', endedAt: 20 }),
        workerRow({ ...mine, id: 'claimed', state: 'completed', endedAt: 5, claimed: true }),
        workerRow({ owner: 'ann', namespace: 'two', id: 'elsewhere' }),
        workerRow({ owner: 'bob', namespace: 'one', id: 'of another' }),
      ])
      const found = await store.read.workers.unclaimed('ann', 'one')
      expect(found.map(({ id }) => id)).toEqual(['early', 'a-same', 'b-same', 'late', 'a-active', 'z-active'])
      expect(await store.read.workers.unclaimed('eve', 'one')).toEqual([])
    })

    it('finds those that may be forgotten: ended before a moment and claimed, oldest first', async () => {
      const over = { state: 'completed', claimed: true } as const
      const store = await filled(open, [
        workerRow({ ...over, id: 'second', endedAt: 20 }),
        workerRow({ ...over, id: 'first', state: 'failed', endedAt: 10 }),
        workerRow({ ...over, id: 'third', state: 'cancelled', endedAt: 20 }),
        workerRow({ ...over, id: 'young', endedAt: 30 }),
        workerRow({ ...over, id: 'unclaimed', claimed: false, endedAt: 10 }),
        workerRow({ ...over, id: 'resumed', state: 'queued', endedAt: 10 }),
      ])
      expect(await store.read.workers.old(30, 10)).toEqual(['first', 'second', 'third'])
      expect(await store.read.workers.old(31, 2)).toEqual(['first', 'second'])
      expect(await store.read.workers.old(10, 10)).toEqual([])
    })
  })
}

function turnsConformance(open: OpenStore): void {
  describe('turns', () => {
    it('give back what was inserted, oldest first, and take changes', async () => {
      const [worker, other] = [workerRow(), workerRow()]
      const store = await filled(open, [worker, other])
      const turns = [2, 1, 10].map((turn) => turnRow(worker.id, { turn, prompt: strange }))
      await store.transaction(async (tables) => {
        for (const row of [...turns, turnRow(other.id)]) await tables.workers.insertTurn(row)
      })
      const [second, first, tenth] = turns
      expect(await store.read.workers.turns(worker.id)).toEqual([first, second, tenth])
      const change = {
        ...{ owner: 'bob', prompt: 'again', runId: 'a run', state: 'completed' as const, startedAt: 5, endedAt: 6 },
        ...{ inputTokens: 9_007_199_254_740_991, outputTokens: 4, costUsd: 0.25, ranFor: 99 },
      } as const
      await store.transaction((tables) => tables.workers.updateTurn(worker.id, 2, change))
      await store.transaction((tables) => tables.workers.updateTurn(worker.id, 1, {}))
      expect(await store.read.workers.turns(worker.id)).toEqual([first, { workerId: worker.id, turn: 2, ...change }, tenth])
      expect(await store.read.workers.turns(other.id)).toEqual([turnRow(other.id)])
      expect(await store.read.workers.turns('nobody')).toEqual([])
    })

    it('are one for each number of a worker', async () => {
      const worker = workerRow()
      const store = await filled(open, [worker])
      await store.transaction((tables) => tables.workers.insertTurn(turnRow(worker.id)))
      const twice = store.transaction((tables) => tables.workers.insertTurn(turnRow(worker.id)))
      await expect(twice).rejects.toMatchObject({ code: 'ALREADY_EXISTS' })
    })

    it('sum up what an owner has spent since a moment', async () => {
      const workers = [workerRow(), workerRow(), workerRow()]
      const store = await filled(open, workers)
      const [one, two, three] = workers.map(({ id }) => id)
      const used = { inputTokens: 10, outputTokens: 2, costUsd: 0.25, ranFor: 1000 }
      await store.transaction(async (tables) => {
        await tables.workers.insertTurn(turnRow(one ?? '', { ...used, startedAt: 100 }))
        await tables.workers.insertTurn(turnRow(one ?? '', { ...used, turn: 2, startedAt: 200 }))
        await tables.workers.insertTurn(turnRow(two ?? '', { ...used, costUsd: null, startedAt: 200 }))
        await tables.workers.insertTurn(turnRow(two ?? '', { ...used, turn: 2, startedAt: null }))
        await tables.workers.insertTurn(turnRow(three ?? '', { ...used, owner: 'bob', startedAt: 200 }))
      })
      expect(await store.read.workers.spent('ann', 0)).toEqual({ usd: 0.5, tokens: 36, ranFor: 3000 })
      expect(await store.read.workers.spent('ann', 200)).toEqual({ usd: 0.25, tokens: 24, ranFor: 2000 })
      expect(await store.read.workers.spent('bob', 200)).toEqual({ usd: 0.25, tokens: 12, ranFor: 1000 })
      expect(await store.read.workers.spent('ann', 201)).toEqual({ usd: 0, tokens: 0, ranFor: 0 })
    })
  })
}

function racesConformance(open: OpenStore): void {
  const states = ['running', 'judging', 'decided', 'failed', 'cancelled'] as const
  const raced = async (rows: readonly ReturnType<typeof raceRow>[]) => {
    const store = await open()
    await store.transaction(async (tables) => {
      for (const row of rows) await tables.races.insert(row)
    })
    return store
  }

  describe('races', () => {
    it('give back what was inserted, field by field, and take changes', async () => {
      const [row, other] = [raceRow(), raceRow()]
      const store = await raced([row, other])
      expect(await store.read.races.get(row.id)).toEqual(row)
      expect(await store.read.races.get('nobody')).toBeUndefined()
      const change = {
        ...{ owner: 'bob', namespace: '/a folder', state: 'decided' as const, reason: strange, prompt: strange },
        judge: { by: 'score', command: strange, timeout: 1.5 },
        attempts: [{ worker: 'w', judge: null, verdict: 'won', score: 0.5 }],
        ...{ winner: 'w', trusted: true, data: { judge: 'j', deep: [null, 1.5] }, createdAt: 2, endedAt: 1_790_000_000_000 },
      } as const
      await store.transaction((tables) => tables.races.update(row.id, change))
      await store.transaction((tables) => tables.races.update(row.id, {}))
      expect(await store.read.races.get(row.id)).toEqual({ id: row.id, ...change })
      expect(await store.read.races.get(other.id)).toEqual(other)
    })

    it('are listed newest first, filtered and by pages; the open ones oldest first', async () => {
      const rows = states.map((state, at) =>
        raceRow({ id: `r${at}`, state, owner: at < 3 ? 'ann' : 'bob', namespace: at < 2 ? 'one' : 'two', createdAt: at < 2 ? 10 : 20 }),
      )
      const store = await raced([...rows, raceRow({ id: 's%', state: 'running', createdAt: 5 })])
      const list = async (filter: Partial<Parameters<Races['list']>[0]>) =>
        (await store.read.races.list({ limit: 10, ...filter })).map(({ id }) => id).join(' ')
      expect(await list({})).toBe('r4 r3 r2 r1 r0 s%')
      expect(await list({ limit: 2 })).toBe('r4 r3')
      expect(await list({ after: { createdAt: 20, id: 'r2' }, limit: 2 })).toBe('r1 r0')
      expect(await list({ owner: 'ann', namespace: 'one' })).toBe('r1 r0')
      expect(await list({ namespace: 'default' })).toBe('s%')
      expect(await list({ owner: 'bob', states: ['failed', 'running'] })).toBe('r3')
      expect(await list({ states: [] })).toBe('')
      expect(await list({ idPrefix: 'r' })).toBe('r4 r3 r2 r1 r0')
      expect(await list({ idPrefix: 's%' })).toBe('s%')
      expect(await list({ idPrefix: '%' })).toBe('')
      expect((await store.read.races.open()).map(({ id }) => id)).toEqual(['s%', 'r0', 'r1'])
    })
  })
}

function askedConformance(open: OpenStore): void {
  describe('approvals of workers', () => {
    it('are listed beside those of agents, by whose they are', async () => {
      const workers = [workerRow(), workerRow()]
      const store = await filled(open, workers)
      const agents = [agentRow(), agentRow()]
      const [worker, otherWorker] = workers.map(({ id }) => id)
      const [agent, otherAgent] = agents.map(({ id }) => id)
      const rows = [
        approvalRow(agent ?? '', { id: 'a1', requestedAt: 1 }),
        approvalRow(otherAgent ?? '', { id: 'a2', requestedAt: 2, state: 'confirmed' }),
        approvalRow(null, { id: 'w1', workerId: worker ?? '', requestedAt: 3, arguments: { command: strange } }),
        approvalRow(null, { id: 'w2', workerId: otherWorker ?? '', requestedAt: 4, state: 'confirmed' }),
        approvalRow(null, { id: 'w3', workerId: worker ?? '', requestedAt: 5, state: 'rejected' }),
      ]
      await store.transaction(async (tables) => {
        for (const row of agents) await tables.agents.insert(row)
        for (const row of rows) expect(await tables.approvals.insert(row)).toBe(true)
        expect(await tables.approvals.insert({ ...(rows[2] ?? approvalRow(null)), state: 'rejected' })).toBe(false)
      })
      const list = async (filter: object) => (await store.read.approvals.list({ limit: 10, ...filter })).map(({ id }) => id).join(' ')
      expect(await store.read.approvals.get('w1')).toEqual(rows[2])
      expect(await list({})).toBe('w3 w2 w1 a2 a1')
      expect(await list({ agentIds: [agent] })).toBe('a1')
      expect(await list({ workerIds: [worker] })).toBe('w3 w1')
      expect(await list({ agentIds: [otherAgent], workerIds: [worker] })).toBe('w3 w1 a2')
      expect(await list({ agentIds: [otherAgent], workerIds: [worker], limit: 2 })).toBe('w3 w1')
      expect(await list({ agentIds: [], workerIds: [] })).toBe('')
      expect(await list({ agentIds: [], workerIds: [otherWorker] })).toBe('w2')
      expect(await list({ ofWorkers: true })).toBe('w3 w2 w1')
      expect(await list({ ofWorkers: true, state: 'pending' })).toBe('w1')
      expect(await list({ ofWorkers: true, agentIds: [agent] })).toBe('')
      expect(await list({ agentIds: [agent, otherAgent], workerIds: [worker, otherWorker], state: 'confirmed' })).toBe('w2 a2')
      await store.transaction((tables) => tables.approvals.update('w1', { state: 'confirmed', answeredBy: 'ann' }))
      expect(await list({ ofWorkers: true, state: 'confirmed' })).toBe('w2 w1')
      const ofNobody = store.transaction((tables) => tables.approvals.insert(approvalRow(null, { workerId: 'nobody' })))
      await expect(ofNobody).rejects.toMatchObject({ code: 'NOT_FOUND' })
    })
  })
}
