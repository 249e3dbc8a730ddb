import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createArchive } from './adapters/home/archive.ts'
import type { Ballast } from './adapters/home/ballast.ts'
import type { Home } from './adapters/home/home.ts'
import { runsIn } from './adapters/home/traces.ts'
import { parsePostgresUrl } from './adapters/stores/postgres/address.ts'
import type { Config } from './config/config.ts'
import { version } from './config/version.ts'
import { systemClock } from './kernel/clock.ts'
import { RegentError } from './kernel/errors.ts'
import type { Logger } from './kernel/logger.ts'
import type { Archive } from './ports/archive.ts'
import type { Runtime } from './ports/runtime.ts'
import type { Store } from './ports/store.ts'

/** What a Regent that serves, and work on a home without one, both stand on: the store and the runtime. */

/** What the agents' rows call the machine they run on. */
export const NODE = 'local'
export const regentRoot = fileURLToPath(new URL('..', import.meta.url))

export const archiveOf = (config: Config): Archive =>
  isPostgres(config)
    ? { backup: () => Promise.reject(notInFile(config, '`regent backup` does not copy')) }
    : createArchive({ dir: config.home, database: databaseOf(config), version, clock: systemClock })

export const isPostgres = ({ databaseUrl }: Config): boolean => /^postgres(ql)?:/.test(databaseUrl)

/** Its file. */
export const databaseOf = ({ databaseUrl }: Config): string => databaseUrl.slice('sqlite:'.length)

/** Where the database is, in words and without secrets. */
export const placeOf = (config: Config): string =>
  isPostgres(config) ? `PostgreSQL at ${parsePostgresUrl(config.databaseUrl).place}` : databaseOf(config)

/** For what is done with SQLite's file and not with a database on a server. */
export const notInFile = (config: Config, what: string): RegentError =>
  new RegentError('ILLEGAL_STATE', `agents, messages and events of this home are in ${placeOf(config)}, which ${what}`, {
    hint: 'Use pg_dump and pg_restore for the database, and copy the home beside it: docs/postgresql.md tells how.',
  })

/** A new database in the place of one that was lost would leave its agents and workers running with nobody to know them. */
export async function refuseLost(config: Config, place: string): Promise<void> {
  const runs = await runsIn(config.home)
  if (runs > 0)
    throw new RegentError(
      'UNAVAILABLE',
      `the database is gone: ${place}, and there are records of ${runs} runs of its agents and workers`,
      {
        hint: isPostgres(config)
          ? '`regent migrate` carries a home over from SQLite; `regent recover` makes the database anew from the runs; a backup of it is better.'
          : '`regent recover` makes it anew from them; where there is a backup, `regent restore` is better.',
      },
    )
}

export async function refuseLostFile(config: Config): Promise<void> {
  if (!isPostgres(config) && !existsSync(databaseOf(config))) await refuseLost(config, databaseOf(config))
}

interface StoreExtras {
  readonly ballast?: Ballast
  /** Called before tables are made in a PostgreSQL database without any. */
  readonly beforeCreate?: () => Promise<void>
}

export async function openStore(config: Config, logger: Logger, { ballast, beforeCreate }: StoreExtras = {}): Promise<Store> {
  if (isPostgres(config)) {
    const { openPostgresStore } = await import('./adapters/stores/postgres/postgres-store.ts')
    const options = { url: config.databaseUrl, node: NODE, logger, clock: systemClock }
    return openPostgresStore({ ...options, ...(beforeCreate && { beforeCreate }) })
  }
  const { openSqliteStore } = await import('./adapters/stores/sqlite/sqlite-store.ts')
  return openSqliteStore({
    file: databaseOf(config),
    logger,
    clock: systemClock,
    ...(ballast && { makeRoom: () => ballast.release() }),
  })
}

export async function openRuntime(config: Config, home: Home, logger: Logger): Promise<Runtime> {
  const { createProcessRuntime } = await import('./adapters/runtimes/process/process-runtime.ts')
  const { user, stopLevel, limits } = config.agents
  return createProcessRuntime({
    dir: home.paths.runs,
    agentsDir: home.paths.agents,
    clock: systemClock,
    logger,
    logs: config.logs,
    stopLevel,
    limits,
    user,
    basics: [process.execPath, join(regentRoot, 'package.json'), join(regentRoot, 'bin/runner.js')],
    passable: [home.dir, join(config.project, 'agents')],
  })
}
