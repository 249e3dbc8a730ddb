import { join, resolve } from 'node:path'
import { brokersOf } from './brokers.ts'
import type { Config } from './config.ts'
import { defaultHome } from './locate.ts'
import type { WrittenConfig } from './schema.ts'
import type { Env } from './source.ts'
import { parseDuration, parseSize } from './units.ts'

/** The variables that 000's README names, with those that mean the same or belong to them. */
const teamVariables = [
  'ANTHROPIC_API_KEY',
  'ANTHROPIC_BASE_URL',
  'CLAUDE_API_KEY',
  'OPENAI_API_KEY',
  'OPENAI_BASE_URL',
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'AWS_REGION',
  'REDIS_URL',
  'REDIS_HOST',
  'REDIS_PORT',
  'MSK_BOOTSTRAP_SERVERS',
  'MSK_TOPIC_NAME',
  'MSK_CONSUMER_GROUP',
  'BRAVE_API_KEY',
  'GOOGLE_MAPS_API_KEY',
] as const

const baseVariables = ['PATH', 'HOME', 'LANG', 'TZ', 'TMPDIR'] as const

/** From what was written to what Regent runs with; `written` has passed its schema. */
export function compile(written: WrittenConfig, project: string, env: Env, dotenv: Env): Config {
  const home = written.home ?? defaultHome(env)
  const { http, models } = written
  return {
    home,
    project,
    host: http.host,
    port: http.port,
    orchestratorPort: http.orchestrator_port,
    url: http.url,
    auth: written.auth,
    databaseUrl: databaseUrl(written.database_url, home),
    busUrl: written.bus_url,
    brokers: brokersOf(written.brokers),
    allowInsecureTls: written.allow_insecure_tls,
    logLevel: written.log.level,
    allowedHosts: http.allowed_hosts,
    allowedOrigins: http.allowed_origins,
    idleExitMs: written.idle_exit === 'off' ? null : secondsOf(written.idle_exit) * 1000,
    stopAgents: written.stop_agents,
    template: written.template,
    models: {
      anthropicKey: models.anthropic_key,
      openaiKey: models.openai_key,
      anthropicBaseUrl: models.anthropic_base_url,
      openaiBaseUrl: models.openai_base_url,
      default: models.default,
    },
    tools: { allowHosts: written.tools.allow_hosts },
    agents: {
      startsecs: secondsOf(written.agents.startsecs),
      startretries: written.agents.startretries,
      stopGrace: secondsOf(written.agents.stop_grace),
      restartsPerSecond: written.agents.restarts_per_second,
      perUser: written.agents.per_user,
      user: written.agents.user,
      stopLevel: written.agents.stop_level,
      limits: limitsOf(written.agents),
    },
    logs: {
      maxBytes: bytesOf(written.logs.max_size),
      keep: written.logs.keep,
      maxAgeMs: written.logs.max_age === 'off' ? null : secondsOf(written.logs.max_age) * 1000,
    },
    workers: workersOf(written.workers),
    events: { keep: written.events.keep },
    teamEnv: { ...pick(teamVariables, env, dotenv), ...runnerEnv(written) },
    baseEnv: { PATH: '/usr/local/bin:/usr/bin:/bin', ...pick(baseVariables, env, {}) },
    warnings: [],
  }
}

function workersOf(written: WrittenConfig['workers']): Config['workers'] {
  const { max_active, running, running_per_owner, running_per_namespace, running_per_agent, api, keep } = written
  return {
    maxActive: max_active,
    running,
    runningPerOwner: running_per_owner,
    runningPerNamespace: running_per_namespace,
    runningPerAgent: Object.fromEntries(running_per_agent.map((word) => [word.split('=')[0], Number(word.split('=')[1])])),
    api,
    ownerBudget: {
      usd: written.owner_usd_per_day ?? null,
      tokens: written.owner_tokens_per_day ?? null,
      seconds: written.owner_seconds_per_day ?? null,
    },
    keptMs: keep === 'off' ? null : secondsOf(keep) * 1000,
  }
}

/** What this configuration tells runners, under the names that they read. */
function runnerEnv({ models, tools, brokers, allow_insecure_tls }: WrittenConfig): Record<string, string> {
  const told = {
    ANTHROPIC_API_KEY: models.anthropic_key,
    OPENAI_API_KEY: models.openai_key,
    ANTHROPIC_BASE_URL: models.anthropic_base_url,
    OPENAI_BASE_URL: models.openai_base_url,
    REGENT_DEFAULT_MODEL: models.default,
    REGENT_TOOLS_ALLOW_HOSTS: tools.allow_hosts.join(','),
    REGENT_ALLOW_INSECURE_TLS: allow_insecure_tls ? '1' : '',
    REDIS_URL: brokersOf(brokers).redis,
    MSK_BOOTSTRAP_SERVERS: brokers.bootstrap_servers.join(','),
  }
  return Object.fromEntries(Object.entries(told).flatMap(([name, value]) => (value ? [[name, value]] : [])))
}

function databaseUrl(written: string | undefined, home: string): string {
  if (written === undefined) return `sqlite:${join(home, 'regent.db')}`
  return written.startsWith('sqlite:') ? `sqlite:${resolve(home, written.slice('sqlite:'.length).replace(/^\/\/(?=\/)/, ''))}` : written
}

function limitsOf({ memory, cpus, pids, open_files }: WrittenConfig['agents']): Config['agents']['limits'] {
  return {
    ...(memory !== 'off' && { memory_bytes: bytesOf(memory) }),
    ...(cpus !== 'off' && { cpus }),
    ...(pids !== 'off' && { pids }),
    ...(open_files !== 'off' && { open_files }),
  }
}

const secondsOf = (written: number | string): number => (typeof written === 'number' ? written : (parseDuration(written) ?? 0) / 1000)
const bytesOf = (written: number | string): number => (typeof written === 'number' ? written : (parseSize(written) ?? 0))

/** Those that are set and not empty; the environment wins over `.env`. */
function pick(names: readonly string[], env: Env, dotenv: Env): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = env[name] || dotenv[name]
      return value ? [[name, value]] : []
    }),
  )
}
