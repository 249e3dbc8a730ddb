import { onTestFinished } from 'vitest'
import { openPostgresStore } from '../../../src/adapters/stores/postgres/postgres-store.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import { storeConformance } from '../../conformance/store.ts'
import { freshPostgres } from '../../helpers/postgres.ts'
import { describeWith } from '../../helpers/services.ts'

describeWith('postgres', 'on a real server', () => {
  storeConformance('PostgreSQL', async () => {
    const store = await openPostgresStore({ url: freshPostgres(), node: 'local', logger: silentLogger, clock: systemClock })
    onTestFinished(() => store.close())
    return store
  })
})
