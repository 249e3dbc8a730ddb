import { randomUUID } from 'node:crypto'
import { describe, expect, it, onTestFinished } from 'vitest'
import { migrations } from '../../../src/adapters/stores/postgres/migrations.ts'
import { openPostgresStore, type PostgresStoreOptions } from '../../../src/adapters/stores/postgres/postgres-store.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { type Logger, silentLogger } from '../../../src/kernel/logger.ts'
import type { Store } from '../../../src/ports/store.ts'
import { freshPostgres, psql, psqlIn } from '../../helpers/postgres.ts'
import { PostgresProxy } from '../../helpers/postgres-proxy.ts'
import { commandRow, eventRow } from '../../helpers/rows.ts'
import { describeWith } from '../../helpers/services.ts'
import { TcpProxy } from '../../helpers/tcp-proxy.ts'
import { until } from '../../helpers/until.ts'

async function open(url: string, options: Partial<PostgresStoreOptions> = {}): Promise<Store> {
  const store = await openPostgresStore({ url, node: 'local', logger: silentLogger, clock: systemClock, ...options })
  onTestFinished(() => store.close())
  return store
}

const tell = (store: Store) => store.transaction((tables) => tables.events.append(eventRow()))
const told = async (store: Store) => (await store.read.events.list({ after: 0, limit: 10_000 })).map(({ number }) => number)
const took = async (work: Promise<unknown>) => {
  const begun = performance.now()
  await work
  return performance.now() - begun
}

/** The same database by way of a proxy. */
async function behindTcp(): Promise<{ proxy: TcpProxy; url: string; direct: string }> {
  const direct = freshPostgres()
  const url = new URL(direct)
  const proxy = await TcpProxy.open(url.host)
  url.host = proxy.address
  return { proxy, url: url.href, direct }
}

describeWith('postgres', 'a PostgreSQL that is in trouble', () => {
  describe('a commit whose outcome is not known', () => {
    it('[part of F42] that was made is answered as made, and nothing is done twice', async () => {
      const proxy = await PostgresProxy.open(freshPostgres())
      const store = await open(proxy.url)
      await tell(store)
      proxy.commits = 'unanswered'
      let runs = 0
      const works = Array.from({ length: 20 }, (_, at) =>
        store.transaction(async (tables) => {
          runs++
          await tables.commands.insert(commandRow({ key: `k${at}` }))
          return tables.events.append(eventRow())
        }),
      )
      expect(await Promise.all(works)).toEqual(Array.from({ length: 20 }, (_, at) => at + 2))
      expect(runs).toBe(20)
      expect(await told(store)).toHaveLength(21)
    })

    it('[part of F42] that was not made is made again, once', async () => {
      const proxy = await PostgresProxy.open(freshPostgres())
      const store = await open(proxy.url)
      proxy.commits = 'lost'
      expect(await Promise.all(Array.from({ length: 20 }, () => tell(store)))).toEqual(Array.from({ length: 20 }, (_, at) => at + 1))
      expect(await told(store)).toHaveLength(20)
    })

    it('[part of F42] that nobody can tell of is told as such, in bounded time', async () => {
      const { proxy, url, direct } = await behindTcp()
      const store = await open(url)
      await tell(store)
      const slow = psqlHolding(direct, 'writers')
      await slow.held
      const answer = tell(store).catch((error: unknown) => error)
      await until(async () => (await waitingFor(direct)) > 0, 'the transaction that waits in its end')
      proxy.refuse()
      const duration = await took(answer)
      expect(await answer).toMatchObject({
        code: 'UNAVAILABLE',
        retryAfter: expect.any(Number),
        hint: expect.stringContaining('idempotency'),
      })
      expect(duration).toBeLessThan(20_000)
      await slow.release()
      proxy.heal()
      await until(
        () =>
          tell(store).then(
            () => true,
            () => false,
          ),
        'the store to go on',
        15_000,
      )
    }, 60_000)
  })

  describe('that comes and goes', () => {
    it('[part of F42] connections that break under load lose and double nothing', async () => {
      const { proxy, url } = await behindTcp()
      const store = await open(url)
      const answered: number[] = []
      let isOver = false
      const caller = async () => {
        while (!isOver) answered.push(await tell(store))
      }
      const callers = Promise.all(Array.from({ length: 10 }, caller))
      for (let round = 1; round <= 10; round++) {
        await until(() => answered.length > round * 50, 'some answers')
        proxy.cut()
      }
      isOver = true
      await callers
      // Reading, too, notices what was cut.
      let stored: number[] | undefined
      await until(async () => {
        stored = await told(store).catch(() => undefined)
        return stored !== undefined
      }, 'what was stored')
      expect(answered.toSorted((one, other) => one - other)).toEqual(stored)
    }, 30_000)

    it('[part of F42] one that is not there refuses in bounded time, and goes on by itself', async () => {
      const { proxy, url } = await behindTcp()
      const store = await open(url)
      let wakes = 0
      store.onCommit(() => {
        wakes++
      })
      proxy.refuse()
      await expect(store.check()).rejects.toMatchObject({ code: 'UNAVAILABLE' })
      const refused = tell(store)
      expect(await took(expect(refused).rejects.toMatchObject({ code: 'UNAVAILABLE', retryAfter: expect.any(Number) }))).toBeLessThan(8000)
      expect(await took(expect(store.read.cursors.get('x')).rejects.toMatchObject({ code: 'UNAVAILABLE' }))).toBeLessThan(6000)
      const waiting = tell(store)
      proxy.heal()
      expect(await waiting).toBe(1)
      expect(wakes).toBeGreaterThan(0)
      await store.check()
    }, 30_000)

    it('[part of F42] one that hangs refuses in bounded time: what waits for its answer and what waits behind', async () => {
      const { proxy, url } = await behindTcp()
      const store = await open(url)
      await tell(store)
      proxy.freeze()
      const calls = [tell(store), store.read.cursors.get('x'), ...Array.from({ length: 50 }, () => tell(store))]
      const outcome = Promise.allSettled([...calls, ...Array.from({ length: 20 }, () => store.read.cursors.get('y'))])
      expect(await took(outcome)).toBeLessThan(32_000)
      for (const one of await outcome) expect(one).toMatchObject({ reason: { code: expect.stringMatching(/^(UNAVAILABLE|TIMED_OUT)$/) } })
      proxy.cut()
      proxy.heal()
      await until(
        () =>
          tell(store).then(
            () => true,
            () => false,
          ),
        'the store to go on',
        15_000,
      )
      expect(await told(store)).toHaveLength(2)
    }, 60_000)

    it('[part of F42] one that takes 2 s a query answers what it can, refuses the rest in bounded time, and is then as fast as before', async () => {
      const proxy = await PostgresProxy.open(freshPostgres())
      const store = await open(proxy.url)
      await tell(store)
      proxy.slowness = 2000
      const works = Array.from({ length: 40 }, (_, at) =>
        store.transaction(async (tables) => {
          await tables.cursors.get(`c${at}`)
          return tables.events.append(eventRow())
        }),
      )
      const outcome = Promise.allSettled(works)
      expect(await took(outcome)).toBeLessThan(45_000)
      const settled = await outcome
      for (const one of settled) {
        if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: expect.stringMatching(/^(UNAVAILABLE|TIMED_OUT)$/) })
      }
      proxy.slowness = 0
      await until(
        () =>
          tell(store).then(
            () => true,
            () => false,
          ),
        'the store to go on',
        20_000,
      )
      const made = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
      const stored = await told(store)
      expect(made.every((number) => stored.includes(number))).toBe(true)
      expect(stored).toHaveLength(made.length + 2)
    }, 90_000)
  })

  describe('a work that never ends', () => {
    it('is rolled back alone, and nothing of it is written later', async () => {
      const store = await open(freshPostgres())
      const released = Promise.withResolvers<void>()
      let late: Promise<unknown> | undefined
      const stuck = store.transaction(async (tables) => {
        await tables.events.append(eventRow())
        await released.promise
        late = tables.events.append(eventRow())
        await late
      })
      const others = [tell(store), tell(store)]
      await expect(stuck).rejects.toMatchObject({ code: 'INTERNAL' })
      expect(await Promise.all(others)).toEqual([1, 2])
      const next = store.transaction(async (tables) => {
        released.resolve()
        await tables.cursors.get('x')
        return tables.events.append(eventRow())
      })
      expect(await next).toBe(3)
      await expect(late).rejects.toThrow('is over')
      expect(await tell(store)).toBe(4)
      expect(await told(store)).toEqual([1, 2, 3, 4])
    }, 30_000)
  })

  describe('several Regents on one database', () => {
    it('[I4-PG-03] keep the order of numbers, and hear of each other', async () => {
      const url = freshPostgres()
      const [one, two] = [await open(url, { node: 'one' }), await open(url, { node: 'two' })]
      const seen: number[] = []
      let reading = Promise.resolve()
      one.onCommit(() => {
        reading = reading.then(async () => {
          for (const { number } of await one.read.events.list({ after: seen.at(-1) ?? 0, limit: 10_000 })) seen.push(number)
        })
      })
      const writers = [one, two, one, two].map(async (store) => {
        for (let count = 0; count < 100; count++) await tell(store)
      })
      await Promise.all(writers)
      await until(() => seen.length === 400, 'all events at the one that listens')
      expect(seen).toEqual(Array.from({ length: 400 }, (_, at) => at + 1))
    })

    it('do not write for the same node: the second is refused and told who the first is', async () => {
      const url = freshPostgres()
      const first = await open(url)
      await expect(open(url)).rejects.toMatchObject({
        code: 'UNAVAILABLE',
        message: expect.stringMatching(new RegExp(`another Regent writes for the node 'local'.*regent writer of local ${process.pid}@`)),
      })
      await first.close()
      expect(await tell(await open(url))).toBe(1)
    }, 20_000)
  })

  describe('a schema', () => {
    it('of a newer Regent is refused and left as it is', async () => {
      const url = freshPostgres()
      await (await open(url, { migrations: [...migrations, { name: 'later', sql: 'create table later (x int)' }] })).close()
      await expect(open(url)).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('schema version') })
    })

    it('of an older Regent is brought forward with its rows; a step that fails changes nothing', async () => {
      const url = freshPostgres()
      const first = await open(url)
      await tell(first)
      await first.close()
      const broken = [...migrations, { name: 'fine', sql: 'create table fine (x int)' }, { name: 'broken', sql: 'create tabel' }]
      await expect(open(url, { migrations: broken })).rejects.toMatchObject({ code: 'INTERNAL' })
      expect(await psql(url, 'select max(version)::int as version from schema_versions')).toEqual([{ version: migrations.length }])
      const store = await open(url, { migrations: broken.slice(0, -1) })
      expect(await told(store)).toEqual([1])
    })

    it('of another program is refused', async () => {
      const url = freshPostgres()
      const schema = new URL(url).searchParams.get('schema')
      await psql(url.split('?')[0] ?? '', `create schema "${schema}"`)
      await psql(url, 'create table agents (number int)')
      await expect(open(url)).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('another program') })
    })

    it('is made once by Regents that start together', async () => {
      const url = freshPostgres()
      const stores = await Promise.all(['a', 'b', 'c'].map((node) => open(url, { node })))
      expect(await Promise.all(stores.map(tell))).toHaveLength(3)
    })
  })

  describe('what it says', () => {
    it('never holds the password', async () => {
      const secret = `geheim-${randomUUID()}`
      const url = new URL(freshPostgres())
      url.password = secret
      const lines: string[] = []
      const keep = (...parts: unknown[]) => void lines.push(JSON.stringify(parts))
      const logger = { debug: keep, info: keep, warn: keep, error: keep } as unknown as Logger
      const proxy = await TcpProxy.open(url.host)
      url.host = proxy.address
      const store = await open(url.href, { logger })
      lines.push(store.place ?? '')
      proxy.refuse()
      await tell(store).catch((error: Error) => lines.push(error.message, String(error.cause), JSON.stringify(error)))
      const nowhere = new URL(url)
      nowhere.port = '1'
      await open(nowhere.href, { logger }).catch((error: Error) => lines.push(error.message, JSON.stringify(error)))
      await open(`${url.href}&unknown=1`, { logger }).catch((error: Error) => lines.push(error.message, JSON.stringify(error)))
      expect(lines.length).toBeGreaterThan(5)
      expect(lines.join('\n')).not.toContain(secret)
    }, 20_000)

    it('gives a reason and what to do for what it cannot do', async () => {
      const url = freshPostgres()
      const database = new URL(url)
      database.pathname = '/nowhere'
      await expect(open(database.href)).rejects.toMatchObject({ code: 'UNAVAILABLE', hint: expect.stringContaining('createdb') })
      const store = await open(url)
      const big = 'x'.repeat(9000)
      const random = () => Array.from({ length: 300 }, () => randomUUID()).join('')
      await expect(store.transaction((tables) => tables.commands.insert(commandRow({ key: random() + big })))).rejects.toMatchObject({
        code: 'TOO_LARGE',
      })
      const text = 'a \0 in a text'
      await store.transaction((tables) => tables.commands.insert(commandRow({ caller: text, key: 'k' })))
      expect(await store.read.commands.get(text, 'k')).toMatchObject({ key: 'k' })
    })
  })
})

/** Somebody else holds a table. */
function psqlHolding(url: string, table: string): { held: Promise<void>; release: () => Promise<void> } {
  const released = Promise.withResolvers<void>()
  const held = Promise.withResolvers<void>()
  const done = psqlIn(url, async (query) => {
    await query(`begin; lock table ${table} in exclusive mode`)
    held.resolve()
    await released.promise
  })
  return {
    held: held.promise,
    release: async () => {
      released.resolve()
      await done
    },
  }
}

async function waitingFor(url: string): Promise<number> {
  const rows = await psql<{ waiting: number }>(
    url,
    `select count(*)::int as waiting from pg_locks join pg_class on pg_class.oid = relation join pg_namespace on pg_namespace.oid = relnamespace
     where not granted and nspname = current_schema()`,
  )
  return rows[0]?.waiting ?? 0
}
