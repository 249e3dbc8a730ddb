import { createHash } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Migration, migrations } from '../../../src/adapters/stores/sqlite/migrations.ts'
import { openSqliteStore } from '../../../src/adapters/stores/sqlite/sqlite-store.ts'
import { type Clock, systemClock } from '../../../src/kernel/clock.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import type { Store } from '../../../src/ports/store.ts'
import { temporaryFolder } from '../../helpers/folder.ts'
import { agentRow } from '../../helpers/rows.ts'

interface How {
  readonly readOnly?: boolean
  readonly migrations?: readonly Migration[]
  readonly clock?: Clock
}

async function open(file: string, how: How = {}): Promise<Store> {
  const store = await openSqliteStore({ file, logger: silentLogger, clock: systemClock, ...how })
  onTestFinished(() => store.close())
  return store
}

/** A sound database with one agent in it, closed. */
async function written(): Promise<{ file: string; id: string }> {
  const file = join(temporaryFolder(), 'regent.db')
  const store = await open(file)
  const agent = agentRow()
  await store.transaction((tables) => tables.agents.insert(agent))
  await store.close()
  return { file, id: agent.id }
}

const raw = (file: string) => {
  const database = new DatabaseSync(file)
  onTestFinished(() => {
    if (database.isOpen) database.close()
  })
  return database
}

describe('the file', () => {
  it('is readable by its owner alone, with its write-ahead log', async () => {
    const file = join(temporaryFolder(), 'regent.db')
    const store = await open(file)
    await store.transaction((tables) => tables.cursors.set('a', 1))
    for (const name of readdirSync(join(file, '..'))) expect(statSync(join(file, '..', name)).mode & 0o777).toBe(0o600)
    expect(readdirSync(join(file, '..')).sort()).toEqual(['regent.db', 'regent.db-shm', 'regent.db-wal'])
    await store.close()
    expect(readdirSync(join(file, '..'))).toEqual(['regent.db'])
  })

  it('is closed to others again when its mode was loosened', async () => {
    const { file } = await written()
    chmodSync(file, 0o644)
    await open(file)
    expect(statSync(file).mode & 0o777).toBe(0o600)
  })

  it('keeps its rows over a close, and what a draft of a crashed first start left behind does not matter', async () => {
    const file = join(temporaryFolder(), 'regent.db')
    writeFileSync(`${file}.new`, 'half written')
    const store = await open(file)
    await store.transaction((tables) => tables.cursors.set('a', 7))
    await store.close()
    expect(await (await open(file)).read.cursors.get('a')).toBe(7)
    expect(existsSync(`${file}.new`)).toBe(false)
  })

  it('is created nowhere when its folder is missing', async () => {
    const file = join(temporaryFolder(), 'missing', 'regent.db')
    await expect(open(file)).rejects.toMatchObject({ name: 'RegentError', code: 'UNAVAILABLE' })
  })
})

describe('a damaged database', () => {
  const cases: [string, (file: string) => void][] = [
    ['is not a database', (file) => writeFileSync(file, 'these are not the rows you are looking for'.repeat(100))],
    ['is empty', (file) => truncateSync(file, 0)],
    ['is cut off', (file) => truncateSync(file, 3 * 4096)],
    ['has a page of noise', (file) => scribble(file)],
    ['is a folder', (file) => replaceByFolder(file)],
    ['is gone, but not its log', (file) => loseMainFile(file)],
  ]
  for (const [what, damage] of cases) {
    it(`that ${what} is refused with a hint and left as it is [part of F39]`, async () => {
      const { file } = await written()
      damage(file)
      const before = snapshot(file)
      for (const readOnly of [false, true]) {
        const refused = await open(file, { readOnly }).catch((error: unknown) => error)
        expect(refused).toMatchObject({ code: 'UNAVAILABLE', hint: expect.stringContaining('backup') })
        expect((refused as Error).message).toContain('damaged')
        expect(snapshot(file)).toEqual(before)
      }
    })
  }

  it('of another program is refused and left as it is', async () => {
    const file = join(temporaryFolder(), 'regent.db')
    const other = raw(file)
    other.exec('create table theirs (a); insert into theirs values (1)')
    other.close()
    const before = snapshot(file)
    await expect(open(file)).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('another program') })
    expect(snapshot(file)).toEqual(before)
  })

  it('that is removed while it is open is noticed', async () => {
    const { file } = await written()
    const store = await open(file)
    rmSync(file)
    await expect(store.check()).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('removed') })
  })
})

describe('schema versions', () => {
  const later: readonly Migration[] = [
    ...migrations,
    { name: 'a second', sql: 'create table second (a)' },
    { name: 'a third', sql: 'alter table second add column b' },
    { name: 'a fourth', sql: 'create table fourth (a)' },
    { name: 'a fifth', sql: 'create table fifth (a)' },
  ]
  const now = migrations.length
  const backupsOf = (file: string) => readdirSync(join(file, '..')).filter((name) => name.includes('.backup-'))

  it('refuses a newer one, names both versions and the remedy, and changes nothing [I2-STO-01]', async () => {
    const { file } = await written()
    const newer = raw(file)
    newer.exec('pragma user_version = 7')
    newer.close()
    const before = snapshot(file)
    const refused = await open(file).catch((error: unknown) => error)
    expect(refused).toMatchObject({ code: 'UNAVAILABLE', details: { found: 7, known: migrations.length } })
    expect((refused as Error).message).toMatch(new RegExp(`version 7.*up to ${migrations.length}`))
    expect((refused as { hint: string }).hint).toContain(`backup-v${migrations.length}`)
    expect(snapshot(file)).toEqual(before)
  })

  it('makes no backup of a new database', async () => {
    const file = join(temporaryFolder(), 'regent.db')
    await open(file, { migrations: later })
    expect(backupsOf(file)).toEqual([])
  })

  it('backs up before each step, and the backup opens with the version it had [I2-STO-01] [part of F21]', async () => {
    const { file, id } = await written()
    const store = await open(file, { migrations: later.slice(0, now + 1) })
    expect(await store.read.agents.get(id)).toBeDefined()
    const [backup, ...more] = backupsOf(file)
    expect(more).toEqual([])
    const path = join(file, '..', backup ?? '')
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(await (await open(path)).read.agents.get(id)).toBeDefined()
    await store.close()
    await expect(open(file)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  })

  it('keeps three backups: the one from before this upgrade and the newest two', async () => {
    const { file } = await written()
    await (await open(file, { migrations: later.slice(0, now + 1) })).close()
    await open(file, { migrations: later })
    expect(
      backupsOf(file)
        .map((name) => /v\d/.exec(name)?.[0])
        .sort(),
    ).toEqual([1, 2, 3].map((more) => `v${now + more}`))
  })

  it('leaves the version before a step that fails, with its backup', async () => {
    const { file, id } = await written()
    const broken = [...later.slice(0, now + 1), { name: 'broken', sql: 'create table half (a); insert into nowhere values (1)' }]
    await expect(open(file, { migrations: broken })).rejects.toMatchObject({ name: 'RegentError' })
    expect(backupsOf(file)).toHaveLength(2)
    const store = await open(file, { migrations: later.slice(0, now + 1) })
    expect(await store.read.agents.get(id)).toBeDefined()
    await store.close()
    expect(raw(file).prepare("select count(*) as n from sqlite_schema where name = 'half'").get()).toEqual({ n: 0 })
  })

  it('reads without writing when it is opened so', async () => {
    const { file, id } = await written()
    await expect(open(join(file, '..', 'none.db'), { readOnly: true })).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    await expect(open(file, { readOnly: true, migrations: later })).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    const store = await open(file, { readOnly: true })
    expect(await store.read.agents.get(id)).toBeDefined()
    await expect(store.transaction((tables) => tables.cursors.set('a', 1))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    await expect(store.check()).resolves.toBeUndefined()
  })
})

describe('a locked database', () => {
  it('is waited for without blocking the process', async () => {
    const { file } = await written()
    const store = await open(file)
    const other = raw(file)
    other.exec('begin immediate')
    const waiting = store.transaction((tables) => tables.cursors.set('a', 1))
    let turns = 0
    const count = setInterval(() => {
      turns += 1
      if (turns === 3) other.exec('commit')
    }, 5)
    await waiting
    clearInterval(count)
    expect(turns).toBeGreaterThanOrEqual(3)
    expect(await store.read.cursors.get('a')).toBe(1)
  })

  it('is given up after a while with the time to try again, and used again afterwards [part of F38]', async () => {
    const { file } = await written()
    let now = 0
    // Each look at this clock takes four seconds.
    const clock: Clock = { ...systemClock, elapsed: () => (now += 4000) }
    const store = await open(file, { clock })
    const other = raw(file)
    other.exec('begin immediate')
    const refused = await store.transaction((tables) => tables.cursors.set('a', 1)).catch((error: unknown) => error)
    expect(refused).toMatchObject({ code: 'UNAVAILABLE', retryAfter: expect.any(Number), message: expect.stringContaining('locked') })
    expect(await store.read.cursors.get('a')).toBe(0)
    other.exec('commit')
    await store.transaction((tables) => tables.cursors.set('a', 2))
    expect(await store.read.cursors.get('a')).toBe(2)
  })
})

/** Every byte of the database and its log; the shared-memory index holds nothing of its own. */
function snapshot(file: string): Record<string, string> {
  const folder = join(file, '..')
  const names = readdirSync(folder).filter((name) => !name.endsWith('-shm'))
  return Object.fromEntries(names.map((name) => [name, statSync(join(folder, name)).isFile() ? hashOf(join(folder, name)) : 'folder']))
}

const hashOf = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex')

function scribble(file: string): void {
  const bytes = readFileSync(file)
  bytes.fill(0xa5, 2 * 4096, 4 * 4096)
  writeFileSync(file, bytes)
}

function replaceByFolder(file: string): void {
  rmSync(file)
  mkdirSync(file)
}

function loseMainFile(file: string): void {
  const database = raw(file)
  database.exec("insert into cursors values ('a', 1)")
  copyFileSync(`${file}-wal`, `${file}.kept`)
  database.close()
  rmSync(file)
  copyFileSync(`${file}.kept`, `${file}-wal`)
  rmSync(`${file}.kept`)
}
