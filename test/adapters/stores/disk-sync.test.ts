import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { DiskSync } from '../../../src/adapters/stores/sqlite/disk-sync.ts'
import { openSqliteStore } from '../../../src/adapters/stores/sqlite/sqlite-store.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import { temporaryFolder } from '../../helpers/folder.ts'

async function database() {
  const file = join(temporaryFolder(), 'regent.db')
  const store = await openSqliteStore({ file, logger: silentLogger, clock: systemClock })
  onTestFinished(() => store.close())
  await store.transaction((tables) => tables.cursors.set('a', 1))
  return { file, store }
}

it('brings the log onto the disk; calls that come meanwhile share the next turn', async () => {
  const { file } = await database()
  const disk = new DiskSync(file)
  onTestFinished(() => disk.close())
  const first = disk.sync()
  const [second, third] = [disk.sync(), disk.sync()]
  expect(second).toBe(third)
  expect(first).not.toBe(second)
  await expect(Promise.all([first, second])).resolves.toEqual([undefined, undefined])
  expect(disk.doubtful).toBe(false)
})

it('says so where there is no log, and works again when there is', async () => {
  const { file } = await database()
  const disk = new DiskSync(`${file}.elsewhere`)
  await expect(disk.sync()).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  rmSync(`${file}.elsewhere`, { force: true })
  disk.close()
})
