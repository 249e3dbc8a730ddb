import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { openSqliteStore } from '../../../src/adapters/stores/sqlite/sqlite-store.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import { storeConformance } from '../../conformance/store.ts'
import { temporaryFolder } from '../../helpers/folder.ts'

storeConformance('SQLite', async () => {
  const store = await openSqliteStore({ file: join(temporaryFolder(), 'regent.db'), logger: silentLogger, clock: systemClock })
  onTestFinished(() => store.close())
  return store
})
