import { describe, expect, it } from 'vitest'
import { agentRow, approvalRow, commandRow, lifeRow, messageRow, runRow, tokenRow } from '../helpers/rows.ts'
import type { OpenStore } from './store.ts'

/** Agents, lives, runs, tokens, commands, cursors and usages. */
export function storeRowsConformance(open: OpenStore): void {
  recordsConformance(open)

  describe('agents', () => {
    it('gives back what was inserted, field by field', async () => {
      const store = await open()
      const row = agentRow({
        definition: { command: ['sh', '-c', 'echo "a" \u2028 ünï'], env: { A: "it's" }, deep: [{ a: [null, true, 1.5] }] },
        limits: { memory_bytes: 1024 },
        file: '/x/y.mjs',
        deleting: true,
        node: 'n2',
        epoch: 7,
      })
      expect(await store.transaction((tables) => tables.agents.insert(row))).toBe(true)
      expect(await store.read.agents.get(row.id)).toEqual(row)
      expect(await store.read.agents.find(row.owner, row.name)).toEqual(row)
      expect(await store.read.agents.get('nobody')).toBeUndefined()
      expect(await store.read.agents.find('ann', 'nobody')).toBeUndefined()
    })

    it('refuses a taken name or id and keeps the first', async () => {
      const store = await open()
      const row = agentRow({ name: 'one' })
      await store.transaction((tables) => tables.agents.insert(row))
      expect(await store.transaction((tables) => tables.agents.insert(agentRow({ name: 'one', kind: 'team' })))).toBe(false)
      expect(await store.transaction((tables) => tables.agents.insert(agentRow({ id: row.id, name: 'two' })))).toBe(false)
      expect(await store.transaction((tables) => tables.agents.insert(agentRow({ name: 'one', owner: 'bob' })))).toBe(true)
      expect(await store.read.agents.list({ owner: 'ann' })).toEqual([row])
    })

    it('lists by owner and name, filters and pages', async () => {
      const store = await open()
      const names = ['b', 'a', 'c', 'B']
      await store.transaction(async (tables) => {
        for (const owner of ['bob', 'ann'])
          for (const name of names) await tables.agents.insert(agentRow({ owner, name, kind: name === 'a' ? 'team' : 'command' }))
      })
      const titles = async (filter: Parameters<typeof store.read.agents.list>[0]) =>
        (await store.read.agents.list(filter)).map((row) => `${row.owner}/${row.name}`)
      const all = ['ann/B', 'ann/a', 'ann/b', 'ann/c', 'bob/B', 'bob/a', 'bob/b', 'bob/c']
      expect(await titles({})).toEqual(all)
      expect(await titles({ owner: 'bob' })).toEqual(all.slice(4))
      expect(await titles({ name: 'a' })).toEqual(['ann/a', 'bob/a'])
      expect(await titles({ kind: 'team', owner: 'ann' })).toEqual(['ann/a'])
      expect(await titles({ after: { owner: 'ann', name: 'b' }, limit: 3 })).toEqual(all.slice(3, 6))
      expect(await titles({ limit: 2 })).toEqual(all.slice(0, 2))
      expect(await store.read.agents.count()).toBe(8)
      expect(await store.read.agents.count('ann')).toBe(4)
      expect(await store.read.agents.count('eve')).toBe(0)
    })

    it('finds by a prefix of the id, taken literally', async () => {
      const store = await open()
      const one = agentRow({ id: 'aaaa1111-0000-4000-8000-000000000000', name: 'one' })
      const two = agentRow({ id: 'aaaa2222-0000-4000-8000-000000000000', name: 'two' })
      await store.transaction(async (tables) => {
        await tables.agents.insert(one)
        await tables.agents.insert(two)
      })
      const found = async (idPrefix: string) => (await store.read.agents.list({ idPrefix })).map((row) => row.name)
      expect(await found('aaaa')).toEqual(['one', 'two'])
      expect(await found('aaaa2')).toEqual(['two'])
      expect(await found(one.id)).toEqual(['one'])
      expect(await found('aaa%')).toEqual([])
      expect(await found('____')).toEqual([])
    })

    it('updates what is given and nothing else', async () => {
      const store = await open()
      const row = agentRow()
      const other = agentRow()
      await store.transaction(async (tables) => {
        await tables.agents.insert(row)
        await tables.agents.insert(other)
        await tables.agents.update(row.id, { revision: 2, definition: { command: ['true'] }, deleting: true })
        await tables.agents.update(row.id, {})
      })
      expect(await store.read.agents.get(row.id)).toEqual({ ...row, revision: 2, definition: { command: ['true'] }, deleting: true })
      expect(await store.read.agents.get(other.id)).toEqual(other)
    })

    it('deletes with all that is its own, and leaves events and others alone', async () => {
      const store = await open()
      const gone = agentRow()
      const stays = agentRow()
      const event = { at: 1, type: 'agent.created', agentId: gone.id, agent: 'a/b', owner: 'ann', actor: 'ann', data: {} } as const
      const rows = [gone, stays].map((agent) => ({
        agent,
        run: runRow(agent.id),
        message: messageRow(agent.id),
        approval: approvalRow(agent.id),
      }))
      await store.transaction(async (tables) => {
        for (const { agent, run, message, approval } of rows) {
          await tables.agents.insert(agent)
          await tables.lives.insert(lifeRow(agent.id))
          await tables.runs.insert(run)
          await tables.messages.insert(message)
          await tables.approvals.insert(approval)
          await tables.usages.add({ agentId: agent.id, modelCalls: 1, inputTokens: 1, outputTokens: 1, costUsd: 1 })
        }
        await tables.events.append(event)
      })
      await store.transaction((tables) => tables.agents.delete(gone.id))
      const kept = async (at: number) => {
        const row = rows[at]
        if (!row) throw new Error('no such row')
        return [
          await store.read.agents.get(row.agent.id),
          await store.read.lives.get(row.agent.id),
          await store.read.runs.get(row.run.id),
          await store.read.messages.get(row.message.id),
          await store.read.approvals.get(row.approval.id),
          (await store.read.usages.list([row.agent.id]))[0],
        ].map((found) => found !== undefined)
      }
      expect(await kept(0)).toEqual([false, false, false, false, false, false])
      expect(await kept(1)).toEqual([true, true, true, true, true, true])
      expect(await store.read.events.list({ after: 0, limit: 10 })).toHaveLength(1)
    })
  })

  describe('lives', () => {
    it('keeps one per agent, lists some or all, and updates', async () => {
      const store = await open()
      const agents = [agentRow(), agentRow(), agentRow()]
      const ids = agents.map((agent) => agent.id)
      await store.transaction(async (tables) => {
        for (const agent of agents) {
          await tables.agents.insert(agent)
          await tables.lives.insert(lifeRow(agent.id))
        }
        await tables.lives.update(ids[0] ?? '', { desired: 'running', state: 'BACKOFF', retryAt: 99, exitSignal: 'SIGKILL', exitCode: 137 })
      })
      const first = lifeRow(ids[0] ?? '', { desired: 'running', state: 'BACKOFF', retryAt: 99, exitSignal: 'SIGKILL', exitCode: 137 })
      expect(await store.read.lives.get(ids[0] ?? '')).toEqual(first)
      expect(await store.read.lives.list([ids[0] ?? '', 'unknown'])).toEqual([first])
      expect((await store.read.lives.list()).map((row) => row.agentId).sort()).toEqual([...ids].sort())
      expect(await store.read.lives.list([])).toEqual([])
    })

    it('has none for an agent that is not there', async () => {
      const store = await open()
      await expect(store.transaction((tables) => tables.lives.insert(lifeRow('nobody')))).rejects.toMatchObject({ code: 'NOT_FOUND' })
    })
  })

  describe('runs', () => {
    it('lists by agent newest first, and those without an end', async () => {
      const store = await open()
      const agent = agentRow()
      const runs = [1, 2, 3].map((start) => runRow(agent.id, { start, startedAt: start * 1000 }))
      const [one, two, three] = runs.map((run) => run.id)
      await store.transaction(async (tables) => {
        await tables.agents.insert(agent)
        for (const run of runs) await tables.runs.insert(run)
        await tables.runs.update(one ?? '', { endedAt: 1500, exitCode: 1, exitReason: 'exited with code 1', handle: null })
        await tables.runs.update(two ?? '', { pid: 42 })
      })
      expect(await store.read.runs.get(one ?? '')).toEqual({
        ...runs[0],
        endedAt: 1500,
        exitCode: 1,
        exitReason: 'exited with code 1',
        handle: null,
      })
      expect((await store.read.runs.ofAgent(agent.id, 2)).map((run) => run.id)).toEqual([three, two])
      expect((await store.read.runs.open()).map((run) => [run.id, run.pid])).toEqual([
        [two, 42],
        [three, null],
      ])
    })

    it('forgets those that ended long ago, but no last one and none without an end', async () => {
      const store = await open()
      const agent = agentRow()
      const runs = [1, 2, 3, 4].map((start) => runRow(agent.id, { start, startedAt: start, endedAt: start === 3 ? null : start * 1000 }))
      const [one, two, three, four] = runs.map((run) => run.id)
      await store.transaction(async (tables) => {
        await tables.agents.insert(agent)
        for (const run of runs) await tables.runs.insert(run)
        await tables.lives.insert(lifeRow(agent.id, { runId: two ?? null }))
      })
      expect(await store.transaction((tables) => tables.runs.prune(3000))).toBe(1)
      expect((await store.read.runs.ofAgent(agent.id, 9)).map((run) => run.id)).toEqual([four, three, two])
      expect(await store.read.runs.get(one ?? '')).toBeUndefined()
    })
  })

  describe('tokens, commands, cursors and usages', () => {
    it('keeps tokens by id and by hash', async () => {
      const store = await open()
      const tokens = [tokenRow({ createdAt: 1 }), tokenRow({ createdAt: 2, role: 'admin' })]
      await store.transaction(async (tables) => {
        for (const token of tokens) await tables.tokens.insert(token)
        await tables.tokens.update(tokens[0]?.id ?? '', { revokedAt: 9, lastUsedAt: 8 })
      })
      expect(await store.read.tokens.list()).toEqual([{ ...tokens[0], revokedAt: 9, lastUsedAt: 8 }, tokens[1]])
      expect(await store.read.tokens.findByHash(tokens[1]?.hash ?? '')).toEqual(tokens[1])
      expect(await store.read.tokens.get(tokens[1]?.id ?? '')).toEqual(tokens[1])
      expect(await store.read.tokens.findByHash('another')).toBeUndefined()
    })

    it('keeps one command per caller and key, and forgets old ones', async () => {
      const store = await open()
      const old = commandRow({ at: 10 })
      const young = commandRow({ at: 20, answer: null })
      await store.transaction(async (tables) => {
        await tables.commands.insert(old)
        await tables.commands.insert(young)
        await tables.commands.insert({ ...old, caller: 'bob' })
      })
      const again = store.transaction((tables) => tables.commands.insert({ ...young, at: 99 }))
      await expect(again).rejects.toMatchObject({ code: 'ALREADY_EXISTS' })
      expect(await store.read.commands.get('ann', young.key)).toEqual(young)
      expect(await store.transaction((tables) => tables.commands.prune(20))).toBe(2)
      expect(await store.read.commands.get('ann', old.key)).toBeUndefined()
      expect(await store.read.commands.get('ann', young.key)).toEqual(young)
    })

    it('has 0 for a cursor that was never set, and sets it again and again', async () => {
      const store = await open()
      expect(await store.read.cursors.get('relay')).toBe(0)
      await store.transaction((tables) => tables.cursors.set('relay', 5))
      await store.transaction((tables) => tables.cursors.set('relay', Number.MAX_SAFE_INTEGER))
      expect(await store.read.cursors.get('relay')).toBe(Number.MAX_SAFE_INTEGER)
      await store.transaction((tables) => tables.cursors.delete('relay'))
      expect(await store.read.cursors.get('relay')).toBe(0)
    })

    it('adds usage up; an unknown price makes the cost unknown', async () => {
      const store = await open()
      const agent = agentRow()
      const use = { agentId: agent.id, modelCalls: 1, inputTokens: 10, outputTokens: 2, costUsd: 0.25 }
      await store.transaction(async (tables) => {
        await tables.agents.insert(agent)
        await tables.usages.add(use)
        await tables.usages.add(use)
      })
      const sum = { agentId: agent.id, modelCalls: 2, inputTokens: 20, outputTokens: 4, costUsd: 0.5 }
      expect(await store.read.usages.list([agent.id, 'unknown'])).toEqual([sum])
      await store.transaction((tables) => tables.usages.add({ ...use, costUsd: null }))
      await store.transaction((tables) => tables.usages.add(use))
      expect(await store.read.usages.list([agent.id])).toEqual([
        { agentId: agent.id, modelCalls: 4, inputTokens: 40, outputTokens: 8, costUsd: null },
      ])
    })
  })
}

/** Rows of one agent out of several tables. */
function recordsConformance(open: OpenStore): void {
  describe('records', () => {
    it('hold the agent, its life and the run that its life names, as each table gives them', async () => {
      const store = await open()
      const [ran, never, lifeless, pruned] = ['ran', 'never', 'lifeless', 'pruned'].map((name) =>
        agentRow({ name, deleting: name === 'ran' }),
      )
      if (!ran || !never || !lifeless || !pruned) throw new Error('four agents are needed')
      const past = runRow(ran.id, { endedAt: 5 })
      const present = runRow(ran.id, { startedAt: past.startedAt - 1, handle: { deep: [null, 1.5] }, pid: 7 })
      const lives = [lifeRow(ran.id, { runId: present.id }), lifeRow(never.id), lifeRow(pruned.id, { runId: 'forgotten' })]
      const seen = await store.transaction(async (tables) => {
        for (const agent of [ran, never, lifeless, pruned]) await tables.agents.insert(agent)
        for (const life of lives) await tables.lives.insert(life)
        for (const run of [past, present]) await tables.runs.insert(run)
        await tables.lives.update(never.id, { reason: 'in the same transaction' })
        return tables.records.get(never.id)
      })
      expect(seen).toEqual({ agent: never, life: { ...lives[1], reason: 'in the same transaction' }, run: undefined })
      expect(await store.read.records.get(ran.id)).toEqual({ agent: ran, life: lives[0], run: present })
      expect(await store.read.records.get(pruned.id)).toEqual({ agent: pruned, life: lives[2], run: undefined })
      expect(await store.read.records.get(lifeless.id)).toBeUndefined()
      expect(await store.read.records.get('nobody')).toBeUndefined()
    })

    it('tell how agents stand: life, run, usage and the messages that wait', async () => {
      const store = await open()
      const [busy, idle, other] = [agentRow({ name: 'busy' }), agentRow({ name: 'idle' }), agentRow({ name: 'other' })]
      const run = runRow(busy.id)
      const usage = { agentId: busy.id, modelCalls: 1, inputTokens: 10, outputTokens: 2, costUsd: null }
      const waiting = (['queued', 'delivered', 'acknowledged', 'dead'] as const).map((state) => messageRow(busy.id, { state }))
      const lives = [lifeRow(busy.id, { runId: run.id }), lifeRow(idle.id), lifeRow(other.id)]
      await store.transaction(async (tables) => {
        for (const agent of [busy, idle, other]) await tables.agents.insert(agent)
        for (const life of lives) await tables.lives.insert(life)
        await tables.runs.insert(run)
        await tables.usages.add(usage)
        for (const message of [...waiting, messageRow(busy.id, { direction: 'out', state: null })]) await tables.messages.insert(message)
      })
      const standings = await store.read.records.standings([idle.id, 'unknown', busy.id])
      expect(standings.sort((one) => (one.life.agentId === busy.id ? -1 : 1))).toEqual([
        { life: lives[0], run, usage, waiting: 2 },
        { life: lives[1], run: undefined, usage: undefined, waiting: 0 },
      ])
      expect(await store.read.records.standings([])).toEqual([])
    })
  })
}
