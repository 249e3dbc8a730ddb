import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, onTestFinished } from 'vitest'
import { create, latencies, median, running, seen } from '../../helpers/commands.ts'
import { temporaryFolder } from '../../helpers/folder.ts'
import { Regent } from '../../helpers/regent.ts'
import { onSqlite } from '../../helpers/stores.ts'
import { until } from '../../helpers/until.ts'

/** Another program's connection to Regent's database. */
function otherProgram(regent: Regent): DatabaseSync {
  const database = new DatabaseSync(join(regent.home, 'regent.db'))
  onTestFinished(() => {
    if (database.isOpen) database.close()
  })
  return database
}

interface Event {
  readonly type: string
  readonly data: { readonly exit_code?: number }
}
const eventsOf = async (regent: Regent, id: string): Promise<Event[]> =>
  ((await regent.fetch(`/api/v1/events/history?agent=${id}&limit=500`)).body as { events: Event[] }).events

describe('a database that another program has locked', onSqlite, () => {
  it('[F38] for 10 s: 503 after 5 s, the rest goes on, then all is normal and nothing is lost', async () => {
    const regent = await Regent.start()
    const steady = await running(regent, 'steady', 'exec sleep 1000')
    const ending = await running(regent, 'ending', 'sleep 3; exit 7', { restart: 'never' })
    const waiting = await create(regent, 'waiting', 'exec sleep 1000', { startsecs: 0 })
    const other = otherProgram(regent)
    other.exec('begin immediate')
    const begun = performance.now()
    const refused = regent.post('/api/v1/agents', { agent: { kind: 'command', name: 'late', command: ['true'] } })
    // What comes later waits its own five seconds, and so gets through.
    await until(() => performance.now() - begun > 6000, 'six seconds')
    const first = await refused
    expect(first).toMatchObject({ status: 503, body: { code: 'UNAVAILABLE' } })
    expect(Number(first.headers.get('retry-after'))).toBeGreaterThan(0)
    const accepted = regent.post(`/api/v1/agents/${waiting}/start`, { wait: true }, 'one-key')
    expect(median(await latencies(regent, '/health', 25))).toBeLessThan(100)
    const ready = await regent.fetch('/readyz')
    expect(ready).toMatchObject({
      status: 503,
      body: { checks: expect.arrayContaining([expect.objectContaining({ name: 'store', ok: false })]) },
    })
    expect((await regent.fetch('/health')).status).toBe(200)
    expect((await seen(regent, steady.id)).state).toBe('RUNNING')
    await until(() => performance.now() - begun > 10_000, 'ten seconds', 11_000)
    other.exec('rollback')
    expect(await accepted).toMatchObject({ status: 200, body: { state: 'RUNNING' } })
    await until(async () => (await seen(regent, ending.id)).state === 'EXITED', 'the end that happened meanwhile')
    expect(await seen(regent, ending.id)).toMatchObject({ exit_code: 7 })
    expect((await eventsOf(regent, ending.id)).filter((event) => event.data.exit_code === 7)).toHaveLength(1)
    expect((await regent.post('/api/v1/agents', { agent: { kind: 'command', name: 'late', command: ['true'] } })).status).toBeLessThan(300)
    expect((await regent.fetch('/readyz')).status).toBe(200)
    expect((await seen(regent, steady.id)).pid).toBe(steady.pid)
  }, 60_000)
})

describe('a database that is no longer sound', onSqlite, () => {
  const cases: [string, (file: string) => void][] = [
    ['damaged', scribble],
    ['empty', (file) => truncateSync(file, 0)],
    ['not a database', (file) => writeFileSync(file, 'once upon a time '.repeat(500))],
  ]
  for (const [what, damage] of cases)
    it(`[part of F39] ${what}: the start is refused and names \`regent recover\`, the file stays as it is, agents live on`, async () => {
      const regent = await Regent.start()
      const agent = await running(regent, 'steady', 'exec sleep 1000')
      await regent.kill('SIGTERM')
      const file = join(regent.home, 'regent.db')
      const sound = readFileSync(file)
      damage(file)
      const before = hashes(regent.home)
      await expect(regent.serve()).rejects.toThrow(/damaged.*regent recover/s)
      expect(hashes(regent.home)).toEqual(before)
      process.kill(agent.pid ?? 0, 0)
      // A backup in its place, and all is as it was.
      writeFileSync(file, sound)
      await regent.serve()
      expect(await seen(regent, agent.id)).toMatchObject({ state: 'RUNNING', pid: agent.pid })
    }, 60_000)

  it('[part of F41] that is a symbolic link is refused, and what it leads to is not touched', async () => {
    const outside = join(temporaryFolder(), 'theirs.db')
    const regent = await Regent.start()
    await regent.kill('SIGTERM')
    const file = join(regent.home, 'regent.db')
    writeFileSync(outside, readFileSync(file))
    rmSync(file)
    symlinkSync(outside, file)
    const before = hashOf(outside)
    await expect(regent.serve()).rejects.toThrow(/symbolic link.*regent\.db/s)
    expect(hashOf(outside)).toBe(before)
    expect(existsSync(`${outside}-wal`)).toBe(false)
    rmSync(file)
    writeFileSync(file, readFileSync(outside))
  }, 60_000)
})

const talkative = { kind: 'team', name: 'talkative', subagents: [], json_config: { default_model: 'offline' } }

describe('a database that is read without a pause', onSqlite, () => {
  it('[F40] keeps its write-ahead log bounded, and folds it in as soon as the readers let it', async () => {
    const regent = await Regent.start()
    const [one, other] = [otherProgram(regent), otherProgram(regent)]
    const log = () => statSync(join(regent.home, 'regent.db-wal')).size
    const id = String((await regent.post('/api/v1/agents', { agent: talkative })).body.id)
    const bytes = 'x'.repeat(900_000)
    const say = async (times: number) => {
      for (let at = 0; at < times; at++) {
        const { status } = await regent.post(`/api/v1/agents/${id}/messages`, { content: bytes })
        if (status >= 300) throw new Error(`refused with ${status}`)
      }
    }
    const look = (database: DatabaseSync) => {
      database.exec('begin')
      database.prepare('select count(*) from events').get()
    }
    // Readers that come and go, one of them always there: SQLite alone never gets to the start of its log again.
    look(one)
    for (let round = 0; round < 10; round++) {
      const [leaves, stays] = round % 2 === 0 ? [one, other] : [other, one]
      look(stays)
      leaves.exec('commit')
      await say(8)
    }
    const held = log()
    expect(held).toBeGreaterThan(32 * 1024 * 1024)
    for (const database of [one, other]) if (database.isTransaction) database.exec('commit')
    await until(
      async () => {
        await say(1)
        return log() <= 32 * 1024 * 1024
      },
      'a log within its bound',
      15_000,
    )
    expect((await regent.fetch('/readyz')).status).toBe(200)
  }, 90_000)
})

const hashOf = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex')

/** The database and what lies beside it. */
const hashes = (home: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(home)
      .filter((name) => name.startsWith('regent.db') && !name.endsWith('-shm'))
      .map((name) => [name, hashOf(join(home, name))]),
  )

function scribble(file: string): void {
  const bytes = readFileSync(file)
  bytes.fill(0xa5, 2 * 4096, 6 * 4096)
  writeFileSync(file, bytes)
}
