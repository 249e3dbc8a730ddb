import { join } from 'node:path'
import { Kysely, SqliteDialect } from 'kysely'
import { describe, expect, it, onTestFinished } from 'vitest'
import { GroupCommit } from '../../../src/adapters/stores/shared/group-commit.ts'
import type { Schema } from '../../../src/adapters/stores/shared/schema.ts'
import { tablesOf } from '../../../src/adapters/stores/shared/tables.ts'
import { openNodeSqlite } from '../../../src/adapters/stores/sqlite/node-sqlite.ts'
import { openSqliteStore } from '../../../src/adapters/stores/sqlite/sqlite-store.ts'
import { type Clock, systemClock } from '../../../src/kernel/clock.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import { temporaryFolder } from '../../helpers/folder.ts'
import { until } from '../../helpers/until.ts'

/** A group over a real database whose connection the test holds as well. */
async function group(options: { batch?: number; queue?: number; deadline?: number; clock?: Clock; sync?: () => Promise<void> } = {}) {
  const file = join(temporaryFolder(), 'regent.db')
  await (await openSqliteStore({ file, logger: silentLogger, clock: systemClock })).close()
  const database = openNodeSqlite({ file, readOnly: false })
  const db = new Kysely<Schema>({ dialect: new SqliteDialect({ database }) })
  const compiled = new Map()
  const commits = new GroupCommit({
    begin: () => db.startTransaction().execute(),
    tables: (transaction) => {
      const among = () => {
        throw new Error('not used here')
      }
      return tablesOf({ sql: transaction, among, listed: among, compiled, next: () => 1 })
    },
    clock: systemClock,
    logger: silentLogger,
    ...options,
  })
  onTestFinished(async () => {
    await commits.close()
    database.close()
  })
  const read = () =>
    database.raw
      .prepare('select name, value from cursors order by name')
      .all()
      .map((row) => `${row.name}=${row.value}`)
  return { commits, raw: database.raw, read }
}

describe('group commit', () => {
  it('puts the works of a turn into one transaction, and no more than a batch', async () => {
    const { commits, read } = await group({ batch: 10 })
    let told = 0
    commits.onCommit(() => {
      told += 1
    })
    await Promise.all(Array.from({ length: 25 }, (_, at) => commits.run((tables) => tables.cursors.set(`c${at}`, at))))
    await commits.close()
    expect(read()).toHaveLength(25)
    expect(told).toBe(3)
  })

  it('tells nobody of a commit before it is on the disk, goes on meanwhile, and keeps the order', async () => {
    const gates = Array.from({ length: 2 }, () => Promise.withResolvers<void>())
    const asked: number[] = []
    const sync = () => gates[asked.push(asked.length) - 1]?.promise ?? Promise.resolve()
    const { commits, read } = await group({ sync })
    const told: string[] = []
    commits.onCommit(() => told.push('commit'))
    const work = (name: string) => commits.run((tables) => tables.cursors.set(name, 1)).then(() => told.push(name))
    const first = work('first')
    await until(() => asked.length === 1, 'the first commit')
    const many = Array.from({ length: 40 }, (_, at) => work(`m${at}`))
    await until(() => asked.length === 2, 'a commit of many while the disk works')
    expect([read().length, told]).toEqual([41, []])
    gates[1]?.resolve()
    await new Promise((resolve) => setImmediate(resolve))
    expect(told).toEqual([])
    gates[0]?.resolve()
    await Promise.all([first, ...many])
    expect(told.slice(0, 2)).toEqual(expect.arrayContaining(['first']))
    expect(told.filter((one) => one === 'commit')).toHaveLength(2)
  })

  it('rejects what the disk did not take, and is not closed before the disk has answered', async () => {
    const gate = Promise.withResolvers<void>()
    let asked = false
    const sync = () => {
      asked = true
      return gate.promise
    }
    const { commits } = await group({ sync })
    const refused = expect(commits.run((tables) => tables.cursors.set('a', 1))).rejects.toThrow('the disk is gone')
    const closed = commits.close().then(() => 'closed')
    expect(await Promise.race([closed, new Promise((resolve) => setImmediate(() => resolve('open')))])).toBe('open')
    await until(() => asked, 'the commit')
    gate.reject(new Error('the disk is gone'))
    await refused
    expect(await closed).toBe('closed')
  })

  it('takes along what comes while the process is busy, but lets nothing wait for long', async () => {
    let now = 0
    const { commits } = await group({ clock: { ...systemClock, elapsed: () => now } })
    const told: number[] = []
    commits.onCommit(() => told.push(now))
    const works: Promise<void>[] = []
    const turn = async (at: number) => {
      works.push(commits.run((tables) => tables.cursors.set('a', 1)))
      now = at
      await new Promise((resolve) => setImmediate(resolve))
    }
    for (const at of [0.5, 1, 1.5, 2.5, 3, 3.5]) await turn(at)
    await Promise.all(works)
    expect(told).toEqual([2.5, 3.5])
  })

  it('does not let a single work wait, however fast the next one follows', async () => {
    let now = 0
    const { commits } = await group({ clock: { ...systemClock, elapsed: () => now } })
    let turns = 0
    const count = () => {
      turns += 1
      next = setImmediate(count)
    }
    let next = setImmediate(count)
    onTestFinished(() => clearImmediate(next))
    for (let at = 1; at <= 10; at++) {
      await commits.run((tables) => tables.cursors.set('a', at))
      now += 0.01
    }
    expect(turns).toBeLessThanOrEqual(11)
  })

  it('refuses what is more than its queue holds, and takes work again when there is room', async () => {
    const { commits } = await group({ queue: 3 })
    const work = () => commits.run((tables) => tables.cursors.set('a', 1))
    const settled = await Promise.allSettled([work(), work(), work(), work()])
    expect(settled.map((one) => one.status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected'])
    expect(settled[3]).toMatchObject({ reason: { code: 'UNAVAILABLE', retryAfter: 1 } })
    await expect(work()).resolves.toBeUndefined()
  })

  it('rolls back a work that never ends, alone, and nothing of it is written later', async () => {
    const { commits, read } = await group({ deadline: 50 })
    let release = () => {}
    const released = new Promise<void>((resolve) => {
      release = resolve
    })
    let late: Promise<unknown> | undefined
    const stuck = commits.run(async (tables) => {
      await tables.cursors.set('stuck', 1)
      await released
      late = tables.cursors.set('late', 1)
      await late
    })
    const others = [1, 2].map((value) => commits.run((tables) => tables.cursors.set(`c${value}`, value)))
    await expect(stuck).rejects.toMatchObject({ code: 'INTERNAL' })
    await Promise.all(others)
    release()
    await new Promise((resolve) => setImmediate(resolve))
    await expect(late).rejects.toThrow()
    expect(read()).toEqual(['c1=1', 'c2=2'])
  })

  it('answers NO_SPACE for what does not fit, keeps the rest, and goes on when there is room', async () => {
    const { commits, raw, read } = await group()
    const pages = Number(Object.values(raw.prepare('pragma page_count').get() ?? {})[0])
    raw.exec(`pragma max_page_count = ${pages + 2}`)
    const big = {
      at: 1,
      type: 'agent.created',
      agentId: null,
      agent: null,
      owner: null,
      actor: 'x',
      data: { text: 'x'.repeat(100_000) },
    } as const
    const settled = await Promise.allSettled([
      commits.run((tables) => tables.cursors.set('a', 1)),
      commits.run((tables) => tables.events.append(big)),
      commits.run((tables) => tables.cursors.set('b', 2)),
    ])
    expect(settled.map((one) => one.status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(settled[1]).toMatchObject({ reason: { code: 'NO_SPACE', hint: expect.any(String) } })
    expect(read()).toEqual(['a=1', 'b=2'])
    raw.exec('pragma max_page_count = 100000')
    await expect(commits.run((tables) => tables.events.append(big))).resolves.toBe(1)
  })
})
