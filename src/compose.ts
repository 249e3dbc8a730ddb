import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { destination, pino } from 'pino'
import { createCronCalendar } from './adapters/calendar/cron-calendar.ts'
import { createArchive } from './adapters/home/archive.ts'
import type { Restored } from './adapters/home/archive-restore.ts'
import { Ballast } from './adapters/home/ballast.ts'
import { type Home, openHome } from './adapters/home/home.ts'
import { collectWhenIdle } from './adapters/home/idle-heap.ts'
import { type LogFile, openLogFile } from './adapters/home/log-file.ts'
import { createSelf } from './adapters/home/self.ts'
import { runsIn, tracesIn } from './adapters/home/traces.ts'
import { createNetProber } from './adapters/probes/net-prober.ts'
import { createProjectFiles } from './adapters/project/files/project-files.ts'
import { writeSupervisorConf } from './adapters/project/files/supervisor-conf.ts'
import { createFileSecrets } from './adapters/secrets/files/file-secrets.ts'
import { parsePostgresUrl } from './adapters/stores/postgres/address.ts'
import type { Found } from './adapters/stores/sqlite/set-aside.ts'
import type { Config } from './config/config.ts'
import { version } from './config/version.ts'
import { parseBrokerUrl, secretsOf } from './contract/brokers.ts'
import { channelDefaults } from './contract/channels.ts'
import type { Check } from './contract/system.ts'
import { type CoreOptions, createCore, type RunningCore } from './core/create-core.ts'
import { type TakenUp, takeUpRuns } from './core/system/take-up.ts'
import { type Clock, systemClock } from './kernel/clock.ts'
import { RegentError, reasonOf } from './kernel/errors.ts'
import { randomIds } from './kernel/ids.ts'
import { localUser } from './kernel/local-user.ts'
import { type Logger, silentLogger } from './kernel/logger.ts'
import type { Archive, BackupOptions } from './ports/archive.ts'
import type { Brokers } from './ports/brokers.ts'
import type { Bus } from './ports/bus.ts'
import type { Project } from './ports/project.ts'
import type { Runtime } from './ports/runtime.ts'
import type { Secrets } from './ports/secrets.ts'
import type { Store } from './ports/store.ts'

/** The only file that knows adapters by name. Each is loaded when the configuration names it. */

/** What the agents' rows call the machine they run on. */
const NODE = 'local'
const regentRoot = fileURLToPath(new URL('..', import.meta.url))

export interface Composed {
  readonly core: RunningCore
  /** For the doors that are opened at a broker. */
  readonly brokers: Brokers
  readonly clock: Clock
  readonly logger: Logger
  readonly home: Pick<Home, 'dir' | 'paths' | 'writeAddress' | 'removeAddress'>
  /** Regent's own log, as the doors read it. */
  readonly log: LogFile
  /** Ends the core and every adapter; no run of an agent. */
  close(): Promise<void>
}

/** Puts Regent together over its adapters. `linkUrl` is asked when a runner is told where Regent is. */
export async function compose(config: Config, linkUrl: () => string): Promise<Composed> {
  const home = await openHome({ dir: config.home })
  const opened: { close(): Promise<void> }[] = [home]
  const closeAll = async () => {
    const failures: unknown[] = []
    for (const part of opened.toReversed()) await part.close().catch((error: unknown) => failures.push(error))
    if (failures.length > 0) throw failures[0]
  }
  const keep = <T extends { close(): Promise<void> }>(part: T): T => {
    opened.push(part)
    return part
  }
  try {
    const secrets = await createFileSecrets({ dir: home.paths.secrets })
    const log = keep(openLogFile(join(home.dir, 'regent.log')))
    const { anthropicKey, openaiKey } = config.models
    const logger = createLogger(config, [home.token, anthropicKey, openaiKey, passwordOf(config), ...brokerSecrets(config)], secrets, log)
    const ballast = keep(new Ballast({ dir: home.dir, clock: systemClock, logger }))
    await refuseLostFile(config)
    const store = keep(await openStore(config, logger, { ballast, beforeCreate: () => refuseLost(config, placeOf(config)) }))
    const runtime = keep(await openRuntime(config, home, logger))
    const { bus, brokers } = await openBuses(config, logger, keep)
    const project = keep(openProject(config, home, secrets, logger))
    await writeSupervisorConf(project.root, home.paths.socket).catch((error: unknown) =>
      logger.warn(
        { reason: reasonOf(error) },
        'the project gets no supervisord.conf; call supervisorctl with -s unix://HOME/supervisor.sock',
      ),
    )
    const small = {
      prober: createNetProber(),
      calendar: createCronCalendar(),
      archive: archiveOf(config),
      self: keep(createSelf(systemClock)),
    }
    const adapters = { store, runtime, bus, brokers, project, secrets, logger, clock: systemClock, linkUrl, ...small }
    const core = keep(createCore({ ...adapters, ...settingsOf(config, home, ballast) }))
    keep(collectWhenIdle(systemClock))
    return { core, brokers, clock: systemClock, logger, home, log, close: closeAll }
  } catch (error) {
    await closeAll()
    throw error
  }
}

function settingsOf(
  config: Config,
  home: Home,
  ballast: Ballast,
): Omit<
  CoreOptions,
  | 'store'
  | 'runtime'
  | 'bus'
  | 'brokers'
  | 'project'
  | 'secrets'
  | 'logger'
  | 'clock'
  | 'linkUrl'
  | 'prober'
  | 'calendar'
  | 'archive'
  | 'self'
> {
  return {
    ids: randomIds,
    random: Math.random,
    about: { version, node: process.version, home: home.dir, project: config.project, pid: process.pid, auth: config.auth },
    node: NODE,
    adminToken: home.token,
    localUser: localUser(),
    homeKey: home.key,
    policyDefaults: { startsecs: config.agents.startsecs, startretries: config.agents.startretries, stop_grace: config.agents.stopGrace },
    restartsPerSecond: config.agents.restartsPerSecond,
    agentsPerUser: config.agents.perUser,
    eventsKept: config.events.keep,
    channelDefaults: channelDefaults(config.teamEnv),
    shortage: () => ballast.shortage(),
    moreChecks: async () => [ballast.check(), modelCheck(config)],
  }
}

/** To stderr and to the file in home. */
function createLogger(config: Config, hidden: readonly (string | undefined)[], secrets: Secrets, log: LogFile): Logger {
  const known = hidden.filter((value) => value !== undefined)
  const streamWrite = (line: string) => without(line, [...known, ...secrets.values()])
  const stderr = destination({ dest: 2, sync: true })
  const both = {
    write(line: string) {
      stderr.write(line)
      log.write(line)
    },
  }
  return pino({ level: config.logLevel, base: null, hooks: { streamWrite } }, both)
}

/** Known secret values never reach the log, whoever put them into a message. */
function without(line: string, secrets: readonly string[]): string {
  let clean = line
  for (const secret of secrets) if (secret.length >= 8) clean = clean.replaceAll(secret, '***')
  return clean
}

const archiveOf = (config: Config): Archive =>
  isPostgres(config)
    ? { backup: () => Promise.reject(notInFile(config, '`regent backup` does not copy')) }
    : createArchive({ dir: config.home, database: databaseOf(config), version, clock: systemClock })

function openProject(config: Config, home: Home, secrets: Secrets, logger: Logger): Project {
  return createProjectFiles({
    root: config.project,
    regentRoot,
    nodePath: process.execPath,
    ...(config.template !== undefined && { template: config.template }),
    baseEnv: config.baseEnv,
    teamEnv: config.teamEnv,
    secrets,
    stateDir: (agentId) => join(home.paths.agents, agentId),
    logger,
    clock: systemClock,
  })
}

const isPostgres = ({ databaseUrl }: Config): boolean => /^postgres(ql)?:/.test(databaseUrl)

/** Its file. */
const databaseOf = ({ databaseUrl }: Config): string => databaseUrl.slice('sqlite:'.length)

/** Where the database is, in words and without secrets. */
const placeOf = (config: Config): string =>
  isPostgres(config) ? `PostgreSQL at ${parsePostgresUrl(config.databaseUrl).place}` : databaseOf(config)

const passwordOf = (config: Config): string | undefined => (isPostgres(config) ? parsePostgresUrl(config.databaseUrl).password : undefined)

/** As they are and as they stand in addresses. */
const brokerSecrets = ({ busUrl, brokers }: Config): string[] =>
  [busUrl, ...Object.values(brokers)]
    .filter((url) => !url.startsWith('memory:'))
    .flatMap((url) => secretsOf(parseBrokerUrl(url)))
    .flatMap((secret) => [secret, encodeURIComponent(secret)])

/** For what is done with SQLite's file and not with a database on a server. */
const notInFile = (config: Config, what: string): RegentError =>
  new RegentError('ILLEGAL_STATE', `agents, messages and events of this home are in ${placeOf(config)}, which ${what}`, {
    hint: 'Use pg_dump and pg_restore for the database, and copy the home beside it: docs/postgresql.md tells how.',
  })

/** A new database in the place of one that was lost would leave its agents running with nobody to know them. */
async function refuseLost(config: Config, place: string): Promise<void> {
  const runs = await runsIn(config.home)
  if (runs > 0)
    throw new RegentError('UNAVAILABLE', `the database is gone: ${place}, and there are records of ${runs} runs of its agents`, {
      hint: isPostgres(config)
        ? '`regent migrate` carries a home over from SQLite; `regent recover` makes the database anew from the runs; a backup of it is better.'
        : '`regent recover` makes it anew from them; where there is a backup, `regent restore` is better.',
    })
}

async function refuseLostFile(config: Config): Promise<void> {
  if (!isPostgres(config) && !existsSync(databaseOf(config))) await refuseLost(config, databaseOf(config))
}

interface StoreExtras {
  readonly ballast?: Ballast
  /** Called before tables are made in a PostgreSQL database without any. */
  readonly beforeCreate?: () => Promise<void>
}

async function openStore(config: Config, logger: Logger, { ballast, beforeCreate }: StoreExtras = {}): Promise<Store> {
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

async function openRuntime(config: Config, home: Home, logger: Logger): Promise<Runtime> {
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

/** Regent's own bus, and the brokers that the configuration names beside it. */
async function openBuses(config: Config, logger: Logger, keep: <T extends { close(): Promise<void> }>(part: T) => T) {
  const { allowInsecureTls } = config
  const settings = config.busUrl.startsWith('memory:') ? undefined : parseBrokerUrl(config.busUrl)
  const { openBrokers, openSafely } = await import('./adapters/buses/broker-pool.ts')
  const bus = keep(settings ? await openSafely(settings, { allowInsecureTls, clock: systemClock, logger }) : await openMemoryBus(logger))
  const named = Object.values(config.brokers).map((url) => parseBrokerUrl(url))
  const brokers = keep(await openBrokers({ bus: { bus, settings }, settings: named, allowInsecureTls, clock: systemClock, logger }))
  return { bus, brokers }
}

async function openMemoryBus(logger: Logger): Promise<Bus> {
  const { createMemoryBus } = await import('./adapters/buses/memory/memory-bus.ts')
  return createMemoryBus({ clock: systemClock, logger })
}

function modelCheck({ models }: Config): Check {
  const has = [
    models.anthropicKey && 'Anthropic',
    models.openaiKey && 'OpenAI',
    models.anthropicBaseUrl && `Anthropic at ${models.anthropicBaseUrl}`,
    models.openaiBaseUrl && `OpenAI-compatible at ${models.openaiBaseUrl}`,
  ].filter((word) => typeof word === 'string')
  if (has.length > 0) return { name: 'model', ok: true, message: has.join(', '), required: false }
  return {
    name: 'model',
    ok: false,
    message: 'no key is set, so the offline model answers: set ANTHROPIC_API_KEY or OPENAI_API_KEY',
    required: false,
  }
}

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
