import { fstatSync } from 'node:fs'
import type { BrokerSettings } from '../contract/brokers.ts'
import { channelDefaults } from '../contract/channels.ts'
import { runnerVariables } from '../contract/link.ts'
import { systemClock } from '../kernel/clock.ts'
import { RegentError, reasonOf } from '../kernel/errors.ts'
import { randomIds } from '../kernel/ids.ts'
import { isObject, tryParse } from '../kernel/json.ts'
import type { Logger } from '../kernel/logger.ts'
import type { Bus } from '../ports/bus.ts'
import type { Models } from '../ports/model.ts'
import type { ToolServers } from '../ports/tool-server.ts'
import { secretsIn, type TeamSpec } from './definition.ts'
import { createLog, redactor } from './log.ts'
import { providerAccess } from './provider-key.ts'
import type { RunnerOptions } from './runner.ts'

/** Where an agent's program finds itself: what Regent told it, or that nobody did. */
export interface Surroundings {
  /** Run by itself, without Regent. */
  readonly standalone: boolean
  /** A person sits at the terminal. */
  readonly interactive: boolean
  /** Lines can be read from the input. */
  readonly readable: boolean
  readonly secrets: Readonly<Record<string, string>>
  /** For members that name no model; the configuration's. */
  readonly defaultModel: string | undefined
  readonly redact: (text: string) => string
  readonly runnerOptions: (spec: TeamSpec, onRefused: (reason: string) => void) => RunnerOptions
}

type Environment = Readonly<Record<string, string | undefined>>

/** What the children of tool servers may know: no model key, and of Regent's only the mark by which a stop finds them. */
const CHILD_VARIABLES = ['PATH', 'HOME', 'LANG', 'TZ', 'TMPDIR', 'BRAVE_API_KEY', 'GOOGLE_MAPS_API_KEY', runnerVariables.runId]
const KEY_VARIABLES = [
  'ANTHROPIC_API_KEY',
  'CLAUDE_API_KEY',
  'OPENAI_API_KEY',
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'BRAVE_API_KEY',
  'GOOGLE_MAPS_API_KEY',
]

/** Reads the environment, and `.env` of the working directory under it. */
export function surroundings(name: string): Surroundings {
  loadDotEnv()
  const env: Environment = process.env
  const secrets = readSecrets(env)
  const keys = KEY_VARIABLES.flatMap((variable) => env[variable] ?? [])
  const runDir = env[runnerVariables.runDir] ?? null
  const standalone = runDir === null
  const input = inputKind()
  const interactive = standalone && input === 'terminal'
  return {
    standalone,
    interactive,
    readable: standalone && input !== 'none',
    secrets,
    defaultModel: env.REGENT_DEFAULT_MODEL || undefined,
    redact: redactor([...Object.values(secrets), ...keys]),
    runnerOptions(spec, onRefused) {
      const redact = redactor([...Object.values(secrets), ...keys, ...secretsIn(spec.config)])
      const logger = logOf(name, spec, env, redact)
      return {
        spec,
        agentId: env[runnerVariables.agentId] ?? name,
        runId: env[runnerVariables.runId] ?? '',
        start: env[runnerVariables.start] ?? `${Date.now()}`,
        stateDir: env[runnerVariables.stateDir] ?? null,
        runDir,
        terminal: standalone && input !== 'none',
        models: once(() => loadModels(spec, env, logger)),
        toolServers: once(() => loadToolServers(env, logger)),
        baseEnv: childEnvironment(env),
        channel: {
          defaults: channelDefaults(env),
          refused: env[runnerVariables.channel] === 'refused',
          openBroker: (settings) => openChannelBroker(settings, env, logger),
        },
        clock: systemClock,
        ids: randomIds,
        logger,
        redact,
        onRefused,
      }
    },
  }
}

/** Loaded when first needed. */
async function loadModels(spec: TeamSpec, env: Environment, logger: Logger): Promise<Models> {
  const { createModels } = await import('../adapters/models/models.ts')
  const { default_model: defaultModel } = spec.config
  const keys = { anthropic: env.ANTHROPIC_API_KEY || env.CLAUDE_API_KEY, openai: env.OPENAI_API_KEY }
  const baseUrls = { anthropic: env.ANTHROPIC_BASE_URL, openai: env.OPENAI_BASE_URL }
  const access = (name: 'anthropic' | 'openai') => {
    const { key, baseUrl, withheld } = providerAccess({ own: spec.config[name], environment: { key: keys[name], baseUrl: baseUrls[name] } })
    if (withheld)
      logger.warn({ address: baseUrl }, `the environment's key is not sent to an address of the definition; give ${name}.api_key with it`)
    return { key, baseUrl }
  }
  const [anthropic, openai] = [access('anthropic'), access('openai')]
  return createModels({
    keys: { anthropic: anthropic.key, openai: openai.key },
    baseUrls: { anthropic: anthropic.baseUrl, openai: openai.baseUrl },
    defaultModel,
    clock: systemClock,
    logger,
  })
}

async function loadToolServers(env: Environment, logger: Logger): Promise<ToolServers> {
  const [{ createToolServers }, { version }] = await Promise.all([
    import('../adapters/tool-servers/tool-servers.ts'),
    import('../config/version.ts'),
  ])
  const allowHosts = (env.REGENT_TOOLS_ALLOW_HOSTS ?? '').split(/[\s,]+/).filter((host) => host !== '')
  return createToolServers({ clock: systemClock, logger, nodePath: process.execPath, version, cwd: process.cwd(), allowHosts })
}

async function openChannelBroker(settings: BrokerSettings, env: Environment, logger: Logger): Promise<Bus> {
  const { openSafely } = await import('../adapters/buses/broker-pool.ts')
  return openSafely(settings, { allowInsecureTls: env.REGENT_ALLOW_INSECURE_TLS === '1', clock: systemClock, logger })
}

function once<T>(load: () => Promise<T>): () => Promise<T> {
  let loading: Promise<T> | null = null
  return () => {
    loading ??= load()
    return loading
  }
}

function logOf(name: string, spec: TeamSpec, env: Environment, redact: (text: string) => string): Logger {
  const settings = spec.config.logger ?? { level: 'info', type: 'console' }
  const dir = env[runnerVariables.stateDir] ?? process.cwd()
  return createLog({ name, settings, dir, redact, stderr: (line) => process.stderr.write(`${line}\n`) })
}

function loadDotEnv(): void {
  try {
    process.loadEnvFile('.env')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') process.stderr.write(`.env was not read: ${reasonOf(error)}\n`)
  }
}

function readSecrets(env: Environment): Readonly<Record<string, string>> {
  const given = env[runnerVariables.secrets]
  if (given === undefined || given === '') return {}
  const secrets = tryParse(given)
  if (!isObject(secrets)) throw new RegentError('INVALID', `${runnerVariables.secrets} is not a JSON object`)
  return Object.fromEntries(Object.entries(secrets).filter((entry): entry is [string, string] => typeof entry[1] === 'string'))
}

function childEnvironment(env: Environment): Record<string, string> {
  return Object.fromEntries(CHILD_VARIABLES.flatMap((key) => (env[key] === undefined ? [] : [[key, env[key]]])))
}

function inputKind(): 'terminal' | 'pipe' | 'none' {
  if (process.stdin.isTTY) return 'terminal'
  try {
    const input = fstatSync(0)
    return input.isFIFO() || input.isFile() || input.isSocket() ? 'pipe' : 'none'
  } catch (error) {
    process.stderr.write(`the input cannot be read: ${reasonOf(error)}\n`)
    return 'none'
  }
}
