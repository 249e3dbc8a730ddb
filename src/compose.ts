import { join } from 'node:path'
import { destination, pino } from 'pino'
import { createCronCalendar } from './adapters/calendar/cron-calendar.ts'
import { createCodingAgents } from './adapters/coding-agents/coding-agents.ts'
import { Ballast } from './adapters/home/ballast.ts'
import { type Home, openHome } from './adapters/home/home.ts'
import { collectWhenIdle } from './adapters/home/idle-heap.ts'
import { type LogFile, openLogFile } from './adapters/home/log-file.ts'
import { createSelf } from './adapters/home/self.ts'
import { createNetProber } from './adapters/probes/net-prober.ts'
import { createProjectFiles } from './adapters/project/files/project-files.ts'
import { writeSupervisorConf } from './adapters/project/files/supervisor-conf.ts'
import { createFileSecrets } from './adapters/secrets/files/file-secrets.ts'
import { parsePostgresUrl } from './adapters/stores/postgres/address.ts'
import { createWorkerFiles } from './adapters/worker-files/worker-files.ts'
import { createGitWorktrees } from './adapters/worktrees/git/git-worktrees.ts'
import { archiveOf, isPostgres, NODE, openRuntime, openStore, placeOf, refuseLost, refuseLostFile, regentRoot } from './compose-store.ts'
import type { Config } from './config/config.ts'
import { version } from './config/version.ts'
import { parseBrokerUrl, secretsOf } from './contract/brokers.ts'
import { channelDefaults } from './contract/channels.ts'
import type { Check } from './contract/system.ts'
import { type CoreOptions, createCore, type RunningCore } from './core/create-core.ts'
import { type Clock, systemClock } from './kernel/clock.ts'
import { reasonOf } from './kernel/errors.ts'
import { randomIds } from './kernel/ids.ts'
import { localUser } from './kernel/local-user.ts'
import type { Logger } from './kernel/logger.ts'
import type { Brokers } from './ports/brokers.ts'
import type { Bus } from './ports/bus.ts'
import type { Project } from './ports/project.ts'
import type { Secrets } from './ports/secrets.ts'

/** This file and its two companions alone know adapters by name. Each is loaded when the configuration names it. */

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
    const core = keep(createCore({ ...adapters, ...workersOf(config, home, logger), ...settingsOf(config, home, ballast) }))
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
  | 'codingAgents'
  | 'workerFiles'
  | 'worktrees'
  | 'workerLimits'
  | 'workerSurroundings'
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

function workersOf(
  config: Config,
  { dir }: Home,
  logger: Logger,
): Pick<CoreOptions, 'codingAgents' | 'workerFiles' | 'worktrees' | 'workerLimits' | 'workerSurroundings'> {
  const { models, workers, baseEnv, project } = config
  const keys = {
    ANTHROPIC_API_KEY: models.anthropicKey,
    ANTHROPIC_BASE_URL: models.anthropicBaseUrl,
    OPENAI_API_KEY: models.openaiKey,
    OPENAI_BASE_URL: models.openaiBaseUrl,
  }
  return {
    codingAgents: createCodingAgents(),
    workerFiles: createWorkerFiles({ dir }),
    worktrees: createGitWorktrees({ dir: join(dir, 'worktrees'), logger }),
    workerLimits: workers,
    workerSurroundings: {
      base: baseEnv,
      models: Object.fromEntries(Object.entries(keys).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]))),
      project,
      asker: { command: process.execPath, args: [join(regentRoot, 'bin/permission-asker.js')] },
    },
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

const passwordOf = (config: Config): string | undefined => (isPostgres(config) ? parsePostgresUrl(config.databaseUrl).password : undefined)

/** As they are and as they stand in addresses. */
const brokerSecrets = ({ busUrl, brokers }: Config): string[] =>
  [busUrl, ...Object.values(brokers)]
    .filter((url) => !url.startsWith('memory:'))
    .flatMap((url) => secretsOf(parseBrokerUrl(url)))
    .flatMap((secret) => [secret, encodeURIComponent(secret)])

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
