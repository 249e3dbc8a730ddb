// biome-ignore-all lint/suspicious/noTemplateCurlyInString: what regent.toml may hold
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { inspectConfig, loadConfig } from '../../src/config/load.ts'
import { locateHome } from '../../src/config/locate.ts'
import { settings } from '../../src/config/schema.ts'
import type { ConfigSource } from '../../src/config/source.ts'
import { RegentError } from '../../src/kernel/errors.ts'
import { temporaryFolder } from '../helpers/folder.ts'

/** A project with these files, and where a process in it would look. */
function project(
  files: Readonly<Record<string, string>> = {},
  env: ConfigSource['env'] = {},
  flags: ConfigSource['flags'] = {},
): ConfigSource {
  const cwd = temporaryFolder()
  for (const [name, content] of Object.entries(files)) writeFileSync(join(cwd, name), content)
  return { cwd, flags, env: { HOME: '/home/alice', ...env } }
}

function failure(source: ConfigSource): string {
  try {
    loadConfig(source)
  } catch (error) {
    if (error instanceof RegentError && error.code === 'INVALID') return error.message
    throw error
  }
  throw new Error('the configuration was taken')
}

describe('loadConfig', () => {
  it('runs without any, on loopback, with everything in home', () => {
    const source = project()
    expect(loadConfig(source)).toEqual({
      home: '/home/alice/.local/share/regent',
      project: source.cwd,
      host: '127.0.0.1',
      port: 8080,
      orchestratorPort: 9000,
      url: undefined,
      auth: 'auto',
      databaseUrl: 'sqlite:/home/alice/.local/share/regent/regent.db',
      busUrl: 'memory:',
      brokers: {},
      allowInsecureTls: false,
      logLevel: 'info',
      allowedHosts: [],
      allowedOrigins: [],
      template: undefined,
      models: { anthropicKey: undefined, openaiKey: undefined, anthropicBaseUrl: undefined, openaiBaseUrl: undefined, default: undefined },
      tools: { allowHosts: [] },
      idleExitMs: null,
      stopAgents: false,
      agents: {
        ...{ startsecs: 1, startretries: 3, stopGrace: 10, restartsPerSecond: 10, perUser: 200, user: 'auto', stopLevel: 'auto' },
        limits: { memory_bytes: 2 ** 30, cpus: 1, pids: 256, open_files: 4096 },
      },
      logs: { maxBytes: 10 * 2 ** 20, keep: 3, maxAgeMs: 30 * 86_400_000 },
      events: { keep: 100_000 },
      workers: {
        ...{ maxActive: 10, running: 32, runningPerOwner: 32, runningPerNamespace: 10, runningPerAgent: {}, api: 'readme' },
        ownerBudget: { usd: null, tokens: null, seconds: null },
        keptMs: 30 * 86_400_000,
      },
      teamEnv: {},
      baseEnv: { PATH: '/usr/local/bin:/usr/bin:/bin', HOME: '/home/alice' },
      warnings: [],
    })
  })

  it('[I2-CFG-01] cannot be changed, at any depth', () => {
    const config = loadConfig(project())
    const frozen = (value: object): boolean =>
      Object.isFrozen(value) && Object.values(value).every((inner) => typeof inner !== 'object' || inner === null || frozen(inner))
    expect(frozen(config)).toBe(true)
  })

  it('[I2-CFG-01] lets the later layer win, and knows where each value came from', () => {
    const toml = 'auth = "token"\n[http]\nhost = "127.0.0.2"\nport = 1\norchestrator_port = "off"\n[models]\nopenai_key = "of-file"\n'
    const source = project(
      { 'regent.toml': toml, '.env': 'OPENAI_API_KEY=of-dotenv\nANTHROPIC_API_KEY=of-dotenv\n' },
      { REGENT_PORT: '2', ANTHROPIC_API_KEY: 'of-env' },
      { port: '3' },
    )
    const { config, settings: found } = inspectConfig(source)
    expect(config).toMatchObject({ auth: 'token', host: '127.0.0.2', port: 3, orchestratorPort: 'off' })
    expect(config.models).toMatchObject({ openaiKey: 'of-dotenv', anthropicKey: 'of-env' })
    const origins = Object.fromEntries(found.map(({ path, origin }) => [path, origin]))
    expect(origins).toMatchObject({
      auth: 'regent.toml:1:1',
      'http.host': 'regent.toml:3:1',
      'http.port': '--port',
      'http.orchestrator_port': 'regent.toml:5:1',
      'models.openai_key': '.env (OPENAI_API_KEY)',
      'models.anthropic_key': 'ANTHROPIC_API_KEY',
      'log.level': 'default',
    })
  })

  it('reads what binds workers, and names what is wrong with it', () => {
    const env = {
      REGENT_WORKERS_MAX_ACTIVE: '3',
      REGENT_WORKERS_RUNNING_PER_AGENT: 'claude=5, codex=2',
      REGENT_WORKERS_API: 'state',
      REGENT_WORKERS_OWNER_USD_PER_DAY: '2.5',
      REGENT_WORKERS_KEEP: '7d',
    }
    const toml = '[workers]\nrunning = 4\nowner_tokens_per_day = 1000\n'
    expect(loadConfig(project({ 'regent.toml': toml }, env)).workers).toMatchObject({
      ...{ maxActive: 3, running: 4, runningPerAgent: { claude: 5, codex: 2 }, api: 'state', keptMs: 7 * 86_400_000 },
      ownerBudget: { usd: 2.5, tokens: 1000, seconds: null },
    })
    expect(loadConfig(project({}, { REGENT_WORKERS_KEEP: 'off' })).workers.keptMs).toBeNull()
    for (const [name, value] of Object.entries({ MAX_ACTIVE: '0', RUNNING_PER_AGENT: 'claude', OWNER_USD_PER_DAY: '-1', API: 'both' }))
      expect(() => loadConfig(project({}, { [`REGENT_WORKERS_${name}`]: value })), name).toThrow(/workers\./)
  })

  it('reads numbers, booleans, lists, durations and sizes from variables', () => {
    const env = {
      REGENT_ORCHESTRATOR_PORT: '0',
      REGENT_ALLOW_INSECURE_TLS: '1',
      REGENT_ALLOWED_HOSTS: 'a.example, b.example',
      REGENT_STOP_GRACE: '1m30s',
      REGENT_STARTSECS: '0',
      REGENT_LOGS_MAX_SIZE: '1GiB',
      REGENT_HOST: '',
    }
    const config = loadConfig(project({}, env))
    expect(config).toMatchObject({
      orchestratorPort: 0,
      allowInsecureTls: true,
      allowedHosts: ['a.example', 'b.example'],
      host: '127.0.0.1',
    })
    expect(config.agents).toMatchObject({ stopGrace: 90, startsecs: 0 })
    expect(config.logs.maxBytes).toBe(2 ** 30)
  })

  it('resolves paths against the file or the working directory', () => {
    const source = project(
      { 'regent.toml': 'home = "data"\ntemplate = "own.mjs"\ndatabase_url = "sqlite:x.db"' },
      { REGENT_TEMPLATE: 'other.mjs' },
    )
    mkdirSync(join(source.cwd, 'below'))
    const config = loadConfig({ ...source, cwd: join(source.cwd, 'below'), flags: { project: '..' } })
    expect(config).toMatchObject({
      project: source.cwd,
      home: join(source.cwd, 'data'),
      template: join(source.cwd, 'below/other.mjs'),
      databaseUrl: `sqlite:${join(source.cwd, 'data/x.db')}`,
    })
  })

  it('fills in variables, and refuses those that are not set', () => {
    const filled = project({
      'regent.toml': 'home = "${BASE}/x"\nbus_url = "${BUS:-memory:}"\ntemplate = "$${literal}"\n',
      '.env': 'BASE=/of-dotenv\n',
    })
    expect(loadConfig(filled)).toMatchObject({ home: '/of-dotenv/x', busUrl: 'memory:', template: join(filled.cwd, '${literal}') })
    const message = failure(project({ 'regent.toml': '\n[tools]\nallow_hosts = ["${MISSING}"]\n' }))
    expect(message).toBe(
      'regent.toml:3:1: the variable MISSING is not set (set MISSING in the environment or in .env, or write ${MISSING:-default})',
    )
  })
})

describe('a wrong configuration', () => {
  it.each([
    ['port = [', /^regent\.toml:1:8: /],
    ['[http]\nport = 70000', /^regent\.toml:2:1: http\.port: too big/],
    ['[http]\nhosst = "x"', /^regent\.toml:2:1: there is no setting http\.hosst; did you mean http\.host\?$/],
    ['port = 9090', /^regent\.toml:1:1: there is no setting port; did you mean http\.port\?$/],
    ['[htpp]\nport = 1', /there is no setting htpp; did you mean http\?$/],
    ['http = 3', /^regent\.toml:1:1: http: /],
    ['auth = "yes"', /^regent\.toml:1:1: auth: invalid option: expected one of "auto"\|"token"\|"none"/],
    ['bus_url = "carrier-pigeon://x"', /^regent\.toml:1:1: bus_url: must start with memory:, redis/],
    ['bus_url = "redis://"', /^regent\.toml:1:1: bus_url: must name a host/],
    ['bus_url = "redis://:6379"', /^regent\.toml:1:1: bus_url: must name a host/],
    ['[brokers]\nredis_url = "redis://h:99999"', /^regent\.toml:2:1: brokers\.redis_url: must name a host, and a port up to 65535/],
    ['[brokers]\nrabbitmq_url = "amqp://u:pa/ss@h:5672"', /brokers\.rabbitmq_url: must name a host.* in an account @ \/ \? : are written/],
    ['[brokers]\nbootstrap_servers = ["h:port"]', /brokers\.bootstrap_servers: must be host:port/],
    ['[agents]\nstop_grace = "soon"', /^regent\.toml:2:1: agents\.stop_grace: must be a duration/],
    ['[logs]\nmax_size = "1KiB"', /^regent\.toml:2:1: logs\.max_size: must be a size of at least 4KiB/],
    ['[http]\nport = 9000', /^http\.orchestrator_port: is 9000, and so is http\.port/],
    ['[http]\nallowed_origins = ["*"]', /would let every web page run programs here/],
    ['[http]\nallowed_origins = ["example.org"]', /example\.org is not an origin such as/],
    ['__proto__ = 1', /^regent\.toml:1:\d+: /],
  ])('%j is refused with its place', (toml, message) => {
    expect(failure(project({ 'regent.toml': toml }))).toMatch(message)
  })

  it('refuses a list of a variable for what is in it', () => {
    expect(failure(project({}, { MSK_BOOTSTRAP_SERVERS: 'h:1, h:port' }))).toMatch(
      /^MSK_BOOTSTRAP_SERVERS: brokers\.bootstrap_servers: must be host:port/,
    )
  })

  it('tells everything at once', () => {
    const message = failure(project({ 'regent.toml': '[http]\nport = "x"\n[log]\nlevl = "info"\n' }, { REGENT_STARTRETRIES: '-1' }))
    expect(message.split('\n')).toHaveLength(4)
    expect(message).toContain('\n  REGENT_STARTRETRIES: agents.startretries: too small')
  })

  it('never repeats a secret', () => {
    expect(failure(project({ 'regent.toml': '[models]\nopenai_key = 12345678\n' }))).not.toContain('12345678')
  })

  it('is one that cannot be read', () => {
    const source = project()
    mkdirSync(join(source.cwd, 'regent.toml'))
    expect(failure(source)).toBe(`cannot read ${join(source.cwd, 'regent.toml')} (EISDIR)`)
  })
})

describe('warnings', () => {
  it.each([
    [{ REGENT_PROT: '1' }, 'REGENT_PROT is not a setting of Regent; did you mean REGENT_PORT?'],
    [{ REGENT_AUTH: 'none' }, 'auth: "none": every user of this machine can run programs as you'],
    [
      { REGENT_AUTH: 'none', REGENT_HOST: '0.0.0.0' },
      expect.stringContaining('"none" on 0.0.0.0: whoever reaches this address can run programs as you'),
    ],
    [{ REGENT_ALLOW_INSECURE_TLS: 'true' }, 'allow_insecure_tls: TLS certificates are not verified where an agent asks for that'],
  ])('%j is told', (env, warning) => {
    expect(loadConfig(project({}, env)).warnings).toEqual([warning])
  })

  it('tells that REGENT_ variables in .env are not read, and does not read them', () => {
    const config = loadConfig(project({ '.env': 'REGENT_AUTH=none\n' }))
    expect(config).toMatchObject({
      auth: 'auto',
      warnings: ['REGENT_AUTH in .env is not read: put it into regent.toml or the environment'],
    })
  })

  it('keeps quiet about variables that agents and clients have', () => {
    expect(loadConfig(project({}, { REGENT_RUN_ID: '1', REGENT_AGENT: 'a', REGENT_TOKEN: 't' })).warnings).toEqual([])
  })
})

describe('what agents get', () => {
  it('is the base, and for teams the variables of their tools; never the rest', () => {
    const env = {
      PATH: '/bin',
      TZ: 'UTC',
      LD_PRELOAD: 'x',
      NODE_OPTIONS: 'x',
      REGENT_DATABASE_URL: 'postgres://u:p@h/d',
      AWS_REGION: 'ap-south-1',
      GITHUB_TOKEN: 'x',
    }
    const config = loadConfig(project({ '.env': 'BRAVE_API_KEY=b\nAWS_REGION=of-dotenv\nOTHER=o\n' }, env))
    expect(config.baseEnv).toEqual({ PATH: '/bin', HOME: '/home/alice', TZ: 'UTC' })
    expect(config.teamEnv).toEqual({ AWS_REGION: 'ap-south-1', BRAVE_API_KEY: 'b' })
  })
})

describe('locateHome', () => {
  it.each([
    ['', {}, {}],
    ['home = "data"\n[http]\nport = "wrong, but not for a client"', {}, {}],
    ['home = "${BASE}/x"', { BASE: '/base' }, {}],
    ['home = "data"', { REGENT_HOME: 'of-env' }, {}],
    ['home = "data"', { REGENT_HOME: 'of-env' }, { home: '/of-flag' }],
    ['', { XDG_DATA_HOME: '/xdg' }, {}],
    ['', { XDG_DATA_HOME: 'relative' }, {}],
  ])('finds the home of %j %j %j as the server does', async (toml, env, flags) => {
    const source = project({ 'regent.toml': toml }, env, flags)
    const right = { ...source, flags: { ...flags, port: '1' } }
    writeFileSync(join(source.cwd, 'regent.toml'), toml.split('\n')[0] ?? '')
    const { home } = loadConfig(right)
    writeFileSync(join(source.cwd, 'regent.toml'), toml)
    expect(await locateHome(source.flags, source.env, source.cwd)).toBe(home)
  })
})

describe('settings', () => {
  it('each have a description, a variable, and a name of their own', () => {
    for (const { path, description, env } of settings) expect([path, description.length > 10, env.length > 0]).toEqual([path, true, true])
    const names = settings.flatMap(({ env, flag }) => [...env, ...(flag ? [flag] : [])])
    expect(new Set(names).size).toBe(names.length)
  })
})
