import { statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { destination, pino } from 'pino'
import { createCronCalendar } from './adapters/calendar/cron-calendar.ts'
import { createArchive } from './adapters/home/archive.ts'
import { type Home, openHome } from './adapters/home/home.ts'
import { createNetProber } from './adapters/probes/net-prober.ts'
import { createProjectFiles } from './adapters/project/files/project-files.ts'
import { createFileSecrets } from './adapters/secrets/files/file-secrets.ts'
import type { Config } from './config/config.ts'
import { version } from './config/version.ts'
import type { Check } from './contract/system.ts'
import { type CoreOptions, createCore, type RunningCore } from './core/create-core.ts'
import { type Clock, systemClock } from './kernel/clock.ts'
import { RegentError } from './kernel/errors.ts'
import { randomIds } from './kernel/ids.ts'
import { localUser } from './kernel/local-user.ts'
import type { Logger } from './kernel/logger.ts'
import type { Bus } from './ports/bus.ts'
import type { Project } from './ports/project.ts'
import type { Runtime } from './ports/runtime.ts'
import type { Secrets } from './ports/secrets.ts'
import type { Store } from './ports/store.ts'

/** The only file that knows adapters by name. Each is loaded when the configuration names it. */

const regentRoot = fileURLToPath(new URL('..', import.meta.url))

export interface Composed {
  readonly core: RunningCore
  readonly clock: Clock
  readonly logger: Logger
  readonly home: Pick<Home, 'dir' | 'writeAddress' | 'removeAddress'>
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
    const logger = createLogger(config, [home.token, config.models.anthropicKey, config.models.openaiKey], secrets)
    const store = keep(await openStore(config, logger))
    const runtime = keep(await openRuntime(config, home, logger))
    const bus = keep(await openBus(config, logger))
    const project = keep(openProject(config, home, secrets, logger))
    const small = { prober: createNetProber(), calendar: createCronCalendar(), archive: createArchive() }
    const adapters = { store, runtime, bus, project, secrets, logger, clock: systemClock, linkUrl, ...small }
    const core = keep(createCore({ ...adapters, ...settingsOf(config, home) }))
    return { core, clock: systemClock, logger, home, close: closeAll }
  } catch (error) {
    await closeAll()
    throw error
  }
}

function settingsOf(
  config: Config,
  home: Home,
): Omit<
  CoreOptions,
  'store' | 'runtime' | 'bus' | 'project' | 'secrets' | 'logger' | 'clock' | 'linkUrl' | 'prober' | 'calendar' | 'archive'
> {
  return {
    ids: randomIds,
    random: Math.random,
    about: { version, node: process.version, home: home.dir, project: config.project, pid: process.pid, auth: config.auth },
    node: 'local',
    adminToken: home.token,
    localUser: localUser(),
    homeKey: home.key,
    policyDefaults: { startsecs: config.agents.startsecs, startretries: config.agents.startretries, stop_grace: config.agents.stopGrace },
    restartsPerSecond: config.agents.restartsPerSecond,
    agentsPerUser: config.agents.perUser,
    eventsKept: config.events.keep,
    moreChecks: async () => [await diskCheck(home.dir), modelCheck(config)],
  }
}

function createLogger(config: Config, hidden: readonly (string | undefined)[], secrets: Secrets): Logger {
  const known = hidden.filter((value) => value !== undefined)
  const streamWrite = (line: string) => without(line, [...known, ...secrets.values()])
  return pino({ level: config.logLevel, base: null, hooks: { streamWrite } }, destination({ dest: 2, sync: true }))
}

/** Known secret values never reach the log, whoever put them into a message. */
function without(line: string, secrets: readonly string[]): string {
  let clean = line
  for (const secret of secrets) if (secret.length >= 8) clean = clean.replaceAll(secret, '***')
  return clean
}

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

async function openStore(config: Config, logger: Logger): Promise<Store> {
  if (!config.databaseUrl.startsWith('sqlite:'))
    throw new RegentError('NOT_YET', 'the PostgreSQL store is not there yet', {
      hint: 'leave REGENT_DATABASE_URL out: SQLite in home is the default',
    })
  const { openSqliteStore } = await import('./adapters/stores/sqlite/sqlite-store.ts')
  return openSqliteStore({ file: config.databaseUrl.slice('sqlite:'.length), logger, clock: systemClock })
}

async function openRuntime(config: Config, home: Home, logger: Logger): Promise<Runtime> {
  const { createProcessRuntime } = await import('./adapters/runtimes/process/process-runtime.ts')
  return createProcessRuntime({ dir: home.paths.runs, agentsDir: home.paths.agents, clock: systemClock, logger, logs: config.logs })
}

async function openBus(config: Config, logger: Logger): Promise<Bus> {
  if (!config.busUrl.startsWith('memory:'))
    throw new RegentError('NOT_YET', `the bus ${config.busUrl.split(':')[0]} is not there yet`, {
      hint: 'leave REGENT_BUS_URL out: the embedded bus is the default',
    })
  const { createMemoryBus } = await import('./adapters/buses/memory/memory-bus.ts')
  return createMemoryBus({ clock: systemClock, logger })
}

const LEAST_FREE = 256 * 1024 * 1024

async function diskCheck(dir: string): Promise<Check> {
  const { bavail, blocks, bsize } = await statfs(dir)
  const free = bavail * bsize
  const share = blocks === 0 ? 1 : bavail / blocks
  const ok = free >= LEAST_FREE && share >= 0.05
  const told = `${Math.round(free / 1024 / 1024)} MiB free where home is`
  return { name: 'disk', ok, message: ok ? told : `${told}: make room, or no new work can be stored`, required: free < LEAST_FREE / 16 }
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
