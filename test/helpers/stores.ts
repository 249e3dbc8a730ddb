import { createHash } from 'node:crypto'
import { onTestFinished } from 'vitest'
import { openPostgresStore } from '../../src/adapters/stores/postgres/postgres-store.ts'
import { openSqliteStore } from '../../src/adapters/stores/sqlite/sqlite-store.ts'
import type { Clock } from '../../src/kernel/clock.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { silentLogger } from '../../src/kernel/logger.ts'
import type { Store } from '../../src/ports/store.ts'
import { dropSchema } from './postgres.ts'
import { needs } from './services.ts'

/** REGENT_TEST_STORE: what Regent stores in where a test does not care; every home gets a schema of its own in PostgreSQL. */
const testStore = process.env.REGENT_TEST_STORE === 'postgres' ? 'postgres' : 'sqlite'

/** For suites and tests of SQLite's file itself: its damage, its disk, its copies. */
export const onSqlite =
  testStore === 'sqlite' ? {} : { skip: true, meta: { skipReason: "is about SQLite's file, and REGENT_TEST_STORE is postgres" } }

const dropped = new Set<string>()

/** Where the rows of a file or home go in PostgreSQL: always to the same schema, which goes when the test ends. */
function postgresFor(path: string): string {
  const { url, available, reason } = needs('postgres')
  if (!available) throw new Error(`REGENT_TEST_STORE is postgres, and PostgreSQL cannot be used: ${reason}`)
  const schema = `test_${createHash('sha256').update(path).digest('hex').slice(0, 24)}`
  if (!dropped.has(schema)) {
    dropped.add(schema)
    onTestFinished(() => dropSchema(url, schema))
  }
  return `${url}?schema=${schema}`
}

/** A store that a test uses from within; opened again with the same path, it holds what it held. */
export async function openTestStore(path: string, clock: Clock = systemClock): Promise<Store> {
  if (testStore === 'sqlite') return openSqliteStore({ file: path, logger: silentLogger, clock })
  // The clock that tests move is for what is stored, not for how long a server is waited for.
  return openPostgresStore({ url: postgresFor(path), node: 'local', logger: silentLogger, clock: systemClock })
}

/** What a Regent in a process of its own is told. */
export const storeEnv = (home: string): Readonly<Record<string, string>> =>
  testStore === 'sqlite' ? {} : { REGENT_DATABASE_URL: postgresFor(home) }
