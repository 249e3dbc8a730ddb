import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, it } from 'vitest'
import { createArchive } from '../../src/adapters/home/archive.ts'
import { restoreHome } from '../../src/adapters/home/archive-restore.ts'
import { FakeClock } from '../helpers/fake-clock.ts'
import { temporaryFolder } from '../helpers/folder.ts'

/** A backup of a small home, and where it is to be restored. */
async function backedUp() {
  const parent = temporaryFolder()
  const from = join(parent, 'from')
  const file = join(parent, 'copy.tar.gz')
  mkdirSync(from)
  const database = join(from, 'regent.db')
  new DatabaseSync(database).close()
  for (const name of ['token', 'key']) writeFileSync(join(from, name), 'x')
  await createArchive({ dir: from, database, version: '1', clock: new FakeClock() }).backup(file, { logs: false })
  return { parent, file, dir: join(parent, 'home') }
}

it.each([false, true])(
  'a home that was made while a backup was unpacked in its place was deleted (its folder was there: %s)',
  async (there) => {
    const { parent, dir, file } = await backedUp()
    if (there) mkdirSync(dir)
    const restore = (checkDatabase: () => void) => restoreHome({ file, dir, force: false, now: 0, checkDatabase })
    const late = restore(() => {
      mkdirSync(dir, { recursive: true })
      writeFileSync(join(dir, 'regent.db'), 'mine')
    })
    await expect(late).rejects.toMatchObject({ code: 'ALREADY_EXISTS' })
    expect(readFileSync(join(dir, 'regent.db'), 'utf8')).toBe('mine')
    expect(readdirSync(parent).sort()).toEqual(['copy.tar.gz', 'from', 'home'])
  },
)

it('a backup takes the place of an empty folder', async () => {
  const { dir, file } = await backedUp()
  mkdirSync(dir)
  await restoreHome({ file, dir, force: false, now: 0, checkDatabase: () => {} })
  expect(readdirSync(dir).sort()).toEqual(['key', 'regent.db', 'token'])
})
