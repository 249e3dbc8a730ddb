import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { openPostgresStore } from '../../../src/adapters/stores/postgres/postgres-store.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import { OwnPostgres } from '../../helpers/own-postgres.ts'
import { psql } from '../../helpers/postgres.ts'
import { eventRow } from '../../helpers/rows.ts'
import { describeWith } from '../../helpers/services.ts'
import { mayMount, mountReason, smallDisk } from '../../helpers/small-disk.ts'
import { until } from '../../helpers/until.ts'

const options = mayMount ? { timeout: 60_000 } : { skip: true, meta: { skipReason: mountReason } }

describeWith('postgres', 'a PostgreSQL without room', () => {
  it(
    '[part of P8] on its disk refuses with NO_SPACE and loses nothing; reads work, and it goes on once there is room',
    options,
    async () => {
      const disk = smallDisk(16)
      const place = join(disk.path, 'tables')
      const filler = join(disk.path, 'filler')
      mkdirSync(place)
      chmodSync(disk.path, 0o755)
      const server = await OwnPostgres.start()
      server.give(place)
      // Its log stays where there is room: without, the server itself would end.
      await psql(server.url, `create tablespace small location '${place}'`)
      await psql(server.url, 'alter role regent set default_tablespace to small')
      const store = await openPostgresStore({ url: server.url, node: 'local', logger: silentLogger, clock: systemClock })
      onTestFinished(() => store.close())
      writeFileSync(filler, randomBytes(6 << 20))
      const big = () =>
        store.transaction((tables) => tables.events.append(eventRow({ data: { text: randomBytes(200_000).toString('base64') } })))
      const made: number[] = []
      let refused: unknown
      for (let at = 0; at < 100 && refused === undefined; at++) {
        await big().then(
          (number) => made.push(number),
          (error: unknown) => {
            refused = error
          },
        )
      }
      expect(refused).toMatchObject({ code: 'NO_SPACE', hint: expect.any(String), retryAfter: expect.any(Number) })
      expect((await store.read.events.list({ after: 0, limit: 100 })).map(({ number }) => number)).toEqual(made)
      rmSync(filler)
      expect(await big()).toBe(made.length + 1)
      expect(await store.read.events.window()).toEqual({ oldest: 1, newest: made.length + 1 })
    },
  )

  it('[part of F42] for connections refuses in words, and goes on once there is some', { timeout: 60_000 }, async () => {
    const server = await OwnPostgres.start()
    await psql(server.url, 'create role guest login connection limit 3')
    await psql(server.url, 'create schema guest authorization guest')
    const url = new URL(`${server.url}?schema=guest`)
    url.username = 'guest'
    const store = await openPostgresStore({ url: url.href, node: 'local', logger: silentLogger, clock: systemClock })
    onTestFinished(() => store.close())
    const reads = await Promise.allSettled(Array.from({ length: 8 }, () => store.read.events.list({ after: 0, limit: 1 })))
    const refused = reads.filter((one) => one.status === 'rejected')
    expect(refused.length).toBeGreaterThan(0)
    for (const { reason } of refused)
      expect(reason).toMatchObject({ code: 'UNAVAILABLE', hint: expect.stringContaining('max_connections') })
    await psql(server.url, 'alter role guest connection limit 20')
    await until(
      () =>
        store.check().then(
          () => true,
          () => false,
        ),
      'the store to be well',
    )
    await Promise.all(Array.from({ length: 8 }, () => store.read.events.list({ after: 0, limit: 1 })))
  })
})
