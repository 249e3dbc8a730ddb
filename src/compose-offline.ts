import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Restored } from './adapters/home/archive-restore.ts'
import { openHome } from './adapters/home/home.ts'
import { tracesIn } from './adapters/home/traces.ts'
import type { Found } from './adapters/stores/sqlite/set-aside.ts'
import { archiveOf, databaseOf, isPostgres, NODE, notInFile, openRuntime, openStore, placeOf } from './compose-store.ts'
import type { Config } from './config/config.ts'
import type { Check } from './contract/system.ts'
import { type TakenUp, takeUpRuns } from './core/system/take-up.ts'
import { systemClock } from './kernel/clock.ts'
import { RegentError } from './kernel/errors.ts'
import { silentLogger } from './kernel/logger.ts'
import type { BackupOptions } from './ports/archive.ts'

/** What is done to the home of a Regent that does not run; each throws ILLEGAL_STATE, naming it, while one does. */
export function offline(config: Config) {
  return {
    home: config.home,
    async backup(file: string, options: BackupOptions): Promise<{ bytes: number }> {
      if (isPostgres(config)) throw notInFile(config, '`regent backup` does not copy')
      if (!existsSync(databaseOf(config))) throw new RegentError('NOT_FOUND', `there is no home to back up: ${config.home}`)
      const home = await openHome({ dir: config.home })
      return archiveOf(config)
        .backup(file, options)
        .then((bytes) => ({ bytes }))
        .finally(() => home.close())
    },
    async restore(file: string, force: boolean): Promise<Restored & TakenUp> {
      if (isPostgres(config) || databaseOf(config) !== join(config.home, 'regent.db'))
        throw new RegentError('INVALID', `the database is configured to be ${placeOf(config)}, and a backup is restored into a home`, {
          hint: `leave REGENT_DATABASE_URL out while restoring${isPostgres(config) ? ', then `regent migrate`; what pg_dump wrote goes back by pg_restore' : ''}`,
        })
      const [{ restoreHome }, { checkDatabase }] = await Promise.all([
        import('./adapters/home/archive-restore.ts'),
        import('./adapters/stores/sqlite/set-aside.ts'),
      ])
      const restored = await restoreHome({ file, dir: config.home, force, now: systemClock.now(), checkDatabase })
      return { ...restored, ...(await takeUp(config)) }
    },
    async recover(): Promise<{ found: Found; traces: string[] } & TakenUp> {
      if (!existsSync(config.home)) throw new RegentError('NOT_FOUND', `there is no home to recover: ${config.home}`)
      let found: Found = { state: 'sound' }
      const { setAside } = await import('./adapters/stores/sqlite/set-aside.ts')
      const beforeCreate = async () => {
        found = { state: 'missing' }
      }
      const taken = await takeUp(config, beforeCreate, () => {
        if (!isPostgres(config)) found = setAside(databaseOf(config), systemClock)
      })
      return { found, ...taken, traces: await tracesIn(config.home, taken.known) }
    },
    migrate: (to: string, tell: (table: string, rows: number) => void) => migrate(config, to, tell),
    async checkServers(): Promise<readonly Check[]> {
      const { checkBrokers } = await import('./adapters/buses/look.ts')
      const brokers = checkBrokers(config)
      if (!isPostgres(config)) return brokers
      const { checkPostgres } = await import('./adapters/stores/postgres/look.ts')
      return [await checkPostgres(config.databaseUrl), ...(await brokers)]
    },
  }
}

/** From the database that is configured; the home's file, where the new one is configured already. */
async function migrate(config: Config, to: string, tell: (table: string, rows: number) => void) {
  const isServer = /^postgres(ql)?:/
  if (!isServer.test(to) && !to.startsWith('sqlite:'))
    throw new RegentError('INVALID', `this names no database: --to ${to.replace(/:.*/s, ':…')}`, {
      hint: 'Write postgres://USER:PASSWORD@HOST:5432/DATABASE or sqlite:FILE.',
    })
  const isFromServer = isPostgres(config) && !isServer.test(to)
  const file = isPostgres(config) ? join(config.home, 'regent.db') : databaseOf(config)
  if (!isFromServer && !existsSync(file)) throw new RegentError('NOT_FOUND', `there is no database to carry over: ${file}`)
  const [{ copyStore }, sqlite, postgres] = await Promise.all([
    import('./adapters/stores/shared/copy.ts'),
    import('./adapters/stores/sqlite/copy.ts'),
    import('./adapters/stores/postgres/copy.ts'),
  ])
  const target = isServer.test(to)
    ? postgres.postgresTarget(to, NODE)
    : sqlite.sqliteTarget(resolve(config.home, to.slice('sqlite:'.length).replace(/^\/\/(?=\/)/, '')))
  const home = await openHome({ dir: config.home })
  try {
    const source = isFromServer ? await postgres.openPostgresSource(config.databaseUrl, NODE) : sqlite.openSqliteSource(file)
    try {
      return { from: source.place, to: target.place, url: to, ...(await copyStore(source, target, tell)) }
    } finally {
      await source.close()
    }
  } finally {
    await home.close()
  }
}

/** Gives the database the runs it knows nothing of; `before` it is opened. */
async function takeUp(config: Config, beforeCreate = async () => {}, before: () => void = () => {}): Promise<TakenUp> {
  const home = await openHome({ dir: config.home })
  const opened: { close(): Promise<void> }[] = [home]
  try {
    before()
    const store = await openStore(config, silentLogger, { beforeCreate })
    opened.push(store)
    const runtime = await openRuntime(config, home, silentLogger)
    opened.push(runtime)
    return await takeUpRuns({ store, runtime, clock: systemClock })
  } finally {
    for (const part of opened.toReversed()) await part.close()
  }
}
