import { describe, expect, it } from 'vitest'
import { RegentError } from '../../src/kernel/errors.ts'
import { agentRow, eventRow, lifeRow } from '../helpers/rows.ts'
import type { OpenStore } from './store.ts'

export function storeTransactionsConformance(open: OpenStore): void {
  describe('transactions', () => {
    it('answers what the work answers', async () => {
      const store = await open()
      expect(await store.transaction(async () => 42)).toBe(42)
      expect(await store.transaction(async () => undefined)).toBeUndefined()
    })

    it('undoes all of a work that throws, and hands its error on', async () => {
      const store = await open()
      const agent = agentRow()
      const failure = new RegentError('ILLEGAL_STATE', 'no')
      const work = store.transaction(async (tables) => {
        await tables.agents.insert(agent)
        await tables.events.append(eventRow())
        throw failure
      })
      await expect(work).rejects.toBe(failure)
      expect(await store.read.agents.get(agent.id)).toBeUndefined()
      expect(await store.read.events.window()).toEqual({ oldest: 0, newest: 0 })
    })

    it('lets one failing work among many of a turn harm no other', async () => {
      const store = await open()
      const agents = Array.from({ length: 50 }, () => agentRow())
      const settled = await Promise.allSettled(
        agents.map((agent, at) =>
          store.transaction(async (tables) => {
            await tables.agents.insert(agent)
            if (at % 7 === 3) throw new RegentError('ILLEGAL_STATE', `not ${at}`)
            // The last kind of failure comes from the database itself.
            if (at === 20) await tables.lives.insert(lifeRow('nobody'))
            await tables.events.append(eventRow({ data: { at } }))
            return at
          }),
        ),
      )
      const failed = (at: number) => at % 7 === 3 || at === 20
      expect(settled.map((one) => one.status === 'rejected')).toEqual(agents.map((_, at) => failed(at)))
      expect(settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))).toEqual(
        agents.flatMap((_, at) => (failed(at) ? [] : [at])),
      )
      const stored = await Promise.all(agents.map(async (agent) => (await store.read.agents.get(agent.id)) === undefined))
      expect(stored).toEqual(agents.map((_, at) => failed(at)))
      const events = await store.read.events.list({ after: 0, limit: 100 })
      expect(events.map((event) => event.data.at)).toEqual(agents.flatMap((_, at) => (failed(at) ? [] : [at])))
    })

    it('runs works in the order they came, each seeing what those before it did', async () => {
      const store = await open()
      const seen = await Promise.all(
        Array.from({ length: 300 }, () =>
          store.transaction(async (tables) => {
            const before = await tables.cursors.get('counter')
            await tables.cursors.set('counter', before + 1)
            return before
          }),
        ),
      )
      expect(seen).toEqual(Array.from({ length: 300 }, (_, at) => at))
    })

    it('shows readers committed rows only, and all of them once the transaction resolved', async () => {
      const store = await open()
      const agent = agentRow()
      const during: unknown[] = []
      await store.transaction(async (tables) => {
        await tables.agents.insert(agent)
        during.push(await store.read.agents.get(agent.id), (await tables.agents.get(agent.id))?.id)
      })
      expect(during.slice(-2)).toEqual([undefined, agent.id])
      expect(await store.read.agents.get(agent.id)).toEqual(agent)
    })

    it('numbers events in the order of their commits: a reader that follows misses none', async () => {
      const store = await open()
      const seen: number[] = []
      let cursor = 0
      let reading = Promise.resolve()
      store.onCommit(() => {
        reading = reading.then(async () => {
          const events = await store.read.events.list({ after: cursor, limit: 1000 })
          for (const event of events) seen.push(event.number)
          cursor = seen.at(-1) ?? 0
        })
      })
      const append = async (count: number) => {
        for (let at = 0; at < count; at += 1) {
          const work = store.transaction(async (tables) => {
            await tables.events.append(eventRow())
            if (at % 5 === 4) throw new RegentError('ILLEGAL_STATE', 'rolled back')
          })
          await work.catch(() => {})
        }
      }
      await Promise.all([append(50), append(50), append(50)])
      await reading
      const all = (await store.read.events.list({ after: 0, limit: 1000 })).map((event) => event.number)
      expect(all).toHaveLength(120)
      expect(seen).toEqual(all)
    })

    it('tells its listeners after a commit, once for those of a turn, and not for what was rolled back', async () => {
      const store = await open()
      let told = 0
      store.onCommit(() => {
        told += 1
      })
      store.onCommit(() => {
        throw new Error('a broken listener harms nobody')
      })
      await Promise.all([1, 2, 3].map((value) => store.transaction((tables) => tables.cursors.set(`c${value}`, value))))
      await new Promise((resolve) => setImmediate(resolve))
      expect(told).toBe(1)
      await store.transaction(() => Promise.reject(new RegentError('ILLEGAL_STATE', 'no'))).catch(() => {})
      await new Promise((resolve) => setImmediate(resolve))
      expect(told).toBe(1)
    })

    it('can be checked', async () => {
      const store = await open()
      await expect(store.check()).resolves.toBeUndefined()
    })

    it('finishes what it accepted before it closes, refuses what comes later, and closes twice', async () => {
      const store = await open()
      const accepted = Array.from({ length: 300 }, (_, at) => store.transaction((tables) => tables.cursors.set('last', at)))
      const closed = store.close()
      await expect(store.transaction((tables) => tables.cursors.set('late', 1))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
      expect((await Promise.allSettled(accepted)).every((one) => one.status === 'fulfilled')).toBe(true)
      await closed
      await store.close()
      await expect(store.check()).rejects.toMatchObject({ code: 'UNAVAILABLE' })
      await expect(store.read.cursors.get('last')).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    })
  })
}
