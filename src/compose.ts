import { statfs } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { destination, pino } from 'pino'
import type { Home } from './adapters/home/home.ts'
import type { Config } from './config/config.ts'
import { version } from './config/version.ts'
import type { Check } from './contract/system.ts'
import { createCore, type RunningCore } from './core/create-core.ts'
import { systemClock } from './kernel/clock.ts'
import { RegentError } from './kernel/errors.ts'
import { randomIds } from './kernel/ids.ts'
import type { Logger } from './kernel/logger.ts'
import type { Bus } from './ports/bus.ts'
import type { Runtime } from './ports/runtime.ts'
import type { Secrets } from './ports/secrets.ts'
import type { Store } from './ports/store.ts'

/** The only file that knows adapters by name. Each is loaded when the configuration names it. */

const regentRoot = fileURLToPath(new URL('..', import.meta.url))

export function createLogger(config: Config, secrets: () => ReadonlySet<string>): Logger {
  return pino(
    { level: config.logLevel, base: null, hooks: { streamWrite: (line) => without(line, secrets()) } },
    destination({ dest: 2, sync: true }),
  )
}

/** Known secret values never reach the log, whoever put them into a message. */
function without(line: string, secrets: ReadonlySet<string>): string {
  let clean = line
  for (const secret of secrets) if (secret.length >= 8) clean = clean.replaceAll(secret, '***')
  return clean
}

export interface Composed {
  readonly core: RunningCore
  readonly clock: typeof systemClock
  /** Ends the core and every adapter; no run of an agent. */
  close(): Promise<void>
}

/** Puts Regent together over its adapters. `linkUrl` is asked when a runner is told where Regent is. */
export async function compose(config: Config, home: Home, secrets: Secrets, logger: Logger, linkUrl: () => string): Promise<Composed> {
  const clock = systemClock
  const store = await openStore(config, logger)
  const runtime = await openRuntime(config, home, logger)
  const bus = await openBus(config, logger)
  const { createProjectFiles } = await import('./adapters/project/files/project-files.ts')
  const project = createProjectFiles({
    root: config.project,
    regentRoot,
    nodePath: process.execPath,
    ...(config.template !== undefined && { template: config.template }),
    baseEnv: config.baseEnv,
    teamEnv: config.teamEnv,
    secrets,
    stateDir: (agentId) => join(home.paths.agents, agentId),
    logger,
    clock,
  })
  const core = createCore({
    ...{ store, runtime, bus, project, secrets, clock, logger, linkUrl },
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
  })
  return {
    core,
    clock,
    async close() {
      await core.close()
      await bus.close()
      await project.close()
      await runtime.close()
      await store.close()
    },
  }
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

/** The user that Regent runs as, in the form of an owner's name. */
function localUser(): string {
  const name = userInfo()
    .username.replace(/[^A-Za-z0-9_-]/g, '-')
    .replace(/^[_-]+/, '')
  return name === '' ? 'local' : name.slice(0, 64)
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
