import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { allSeen, running, seen } from '../helpers/commands.ts'
import { OwnPostgres } from '../helpers/own-postgres.ts'
import { freshPostgres, psql } from '../helpers/postgres.ts'
import { Regent } from '../helpers/regent.ts'
import { describeWith } from '../helpers/services.ts'
import { until } from '../helpers/until.ts'

interface Migrated {
  readonly from: string
  readonly to: string
  readonly tables: Readonly<Record<string, number>>
  readonly set: string
}

const eventsOf = async (regent: Regent): Promise<{ number: number; type: string }[]> =>
  (await regent.fetch('/api/v1/events/history?limit=500')).body.events as { number: number; type: string }[]

/** A Regent on SQLite whose configuration is changed by command line, since its home stays. */
const onFile = () => Regent.start({ REGENT_DATABASE_URL: 'sqlite:regent.db' })

describeWith('postgres', 'a home on PostgreSQL', () => {
  it('[S2-32] [I4-PG-04] is carried over from SQLite with everything, while its agents go on, and lives on after kill -9', async () => {
    const before = await onFile()
    const url = new URL(freshPostgres())
    url.password = 'not-to-be-seen'
    const steady = await running(before, 'steady', 'exec sleep 1000', { restart: 'always' })
    await running(before, 'other', 'exec sleep 1000')
    const token = (await before.json<{ token: string }>('token', 'create', 'ann')).token
    const inUse = await before.run('migrate', '--to', url.href)
    expect(inUse).toMatchObject({ code: 1, stderr: expect.stringContaining(`pid ${before.pid}`) })
    const events = await eventsOf(before)
    await before.kill()

    const wrong = new URL(url)
    wrong.port = '1'
    expect(await before.run('migrate', '--to', wrong.href)).toMatchObject({ code: 1, stderr: expect.stringContaining('cannot be reached') })
    const ran = await before.run('migrate', '--to', url.href, '--json')
    expect(ran).toMatchObject({ code: 0, stderr: expect.stringContaining('copying events') })
    const report = JSON.parse(ran.stdout) as Migrated
    expect(report.tables).toMatchObject({ agents: 2, lives: 2, runs: 2, tokens: 1 })
    expect(report.set).toContain(':***@')
    const again = await before.run('migrate', '--to', url.href)
    expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('not empty') })
    expect(readdirSync(before.home)).toContain('regent.db')

    const after = Regent.prepare({ REGENT_HOME: before.home, REGENT_PROJECT: before.project, REGENT_DATABASE_URL: url.href })
    expect((await after.run('doctor')).stdout).toMatch(/ok +store +postgres at 127\.0\.0\.1:\d+\/\w+, schema test_\w+: PostgreSQL \d+/)
    await after.serve()
    expect((await seen(after, steady.id)).pid).toBe(steady.pid)
    expect((await after.fetch('/api/v1/agents', { as: token })).status).toBe(200)
    const later = await eventsOf(after)
    expect(later.slice(0, events.length)).toEqual(events)
    expect(later.map(({ number }) => number)).toEqual(later.map((_, at) => at + 1))
    const ready = await after.fetch('/readyz')
    expect(ready.body.checks).toContainEqual(
      expect.objectContaining({
        name: 'store',
        ok: true,
        message: expect.stringMatching(/^postgres at 127\.0\.0\.1:\d+\/\w+, schema test_\w+ answers$/),
      }),
    )

    await after.kill()
    await after.serve()
    expect((await seen(after, steady.id)).pid).toBe(steady.pid)
    expect(await after.run('backup', join(before.project, 'b.tar.gz'))).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('pg_dump'),
    })
    const written =
      [ran, inUse, again].map(({ stdout, stderr }) => stdout + stderr).join() + readFileSync(join(before.home, 'regent.log'), 'utf8')
    expect(written + JSON.stringify(ready.body)).not.toContain('not-to-be-seen')
    await after.run('rm', '-y', 'all')
  }, 90_000)

  it('[part of I4-PG-04] is carried back to SQLite', async () => {
    const url = freshPostgres()
    const regent = await Regent.start({ REGENT_DATABASE_URL: url })
    const steady = await running(regent, 'steady', 'exec sleep 1000')
    const events = await eventsOf(regent)
    await regent.kill()
    expect(await regent.run('migrate', '--to', 'sqlite:regent.db')).toMatchObject({ code: 0 })
    const back = Regent.prepare({ REGENT_HOME: regent.home, REGENT_PROJECT: regent.project, REGENT_DATABASE_URL: 'sqlite:regent.db' })
    await back.serve()
    expect((await seen(back, steady.id)).pid).toBe(steady.pid)
    expect((await eventsOf(back)).slice(0, events.length)).toEqual(events)
    await back.run('rm', '-y', 'all')
    await back.kill('SIGTERM')
  }, 60_000)

  it('[F42] whose server crashes and comes back: 503 meanwhile, agents go on, no command has two effects, all is normal by itself', async () => {
    const server = await OwnPostgres.start()
    const regent = await Regent.start({ REGENT_DATABASE_URL: server.url })
    const steady = await running(regent, 'steady', 'exec sleep 1000')
    const made: string[] = []
    let isOver = false
    const caller = async (who: number) => {
      for (let at = 0; !isOver; at++) {
        const name = `c${who}-${at}`
        const agent = { kind: 'command', name, command: ['true'] }
        // The same key again until it is answered: as a client does.
        await until(async () => (await regent.post('/api/v1/agents', { agent }, name)).status === 201, 'an answer', 30_000)
        made.push(name)
      }
    }
    const callers = Promise.all([1, 2, 3].map(caller))
    for (let round = 1; round <= 2; round++) {
      await until(() => made.length > round * 20, 'some agents', 20_000)
      await server.stop()
      const begun = performance.now()
      const refused = await regent.post('/api/v1/agents', { agent: { kind: 'command', name: `late${round}`, command: ['true'] } })
      expect(refused).toMatchObject({ status: 503, body: { code: 'UNAVAILABLE' } })
      expect(performance.now() - begun).toBeLessThan(12_000)
      expect((await regent.fetch('/health')).status).toBe(200)
      expect((await regent.fetch('/readyz')).status).toBe(503)
      await server.begin()
      await until(async () => (await regent.fetch('/readyz')).status === 200, 'ready again', 15_000)
    }
    isOver = true
    await callers
    expect((await seen(regent, steady.id)).pid).toBe(steady.pid)
    const rows = await psql<{ name: string; times: number }>(
      `${server.url}?schema=regent`,
      "select agent as name, count(*)::int as times from events where type = 'agent.created' group by agent having count(*) > 1",
    )
    expect(rows).toEqual([])
    const names = new Set((await allSeen(regent)).map(({ name }) => name))
    expect(made.filter((name) => !names.has(name))).toEqual([])
  }, 120_000)
})
