import { z } from 'zod'
import { from, httpUrl, port, type SettingSource, seconds, size, sources, words } from './setting.ts'
import { workers } from './worker-settings.ts'

/** Of a broker's address: host, or host:port, one or several. */
const NO_PLACES = 'must name a host, and a port up to 65535 where one is given; in an account @ / ? : are written %40 %2F %3F %3A'
const hasPlaces = (url: string): boolean => (/^[^/]*\/\/([^/?]*)/.exec(url)?.[1] ?? '').replace(/^.*@/, '').split(',').every(isPlace)
const isPlace = (text: string): boolean => {
  const parts = /^\s*(?:\[[^\]]+\]|[^:\s]+)(?::(\d+))?\s*$/.exec(text)
  return parts !== null && Number(parts[1] ?? 0) <= 65_535
}

const top = {
  stop_agents: from(z.boolean().default(false).describe('end every agent when Regent is told to stop; they are started again with it'), {
    env: ['REGENT_STOP_AGENTS'],
    flag: 'stop-agents',
  }),
  idle_exit: from(
    z
      .union([seconds(1, 86_400), z.literal('off')])
      .default('off')
      .describe('time after which Regent ends by itself when no client, run or wanted agent needs it'),
    { env: ['REGENT_IDLE_EXIT'], flag: 'idle-exit' },
  ),
  home: from(z.string().min(1).optional().describe('data folder; default regent in $XDG_DATA_HOME, or in ~/.local/share'), {
    env: ['REGENT_HOME'],
    flag: 'home',
    file: true,
  }),
  auth: from(
    z.enum(['auto', 'token', 'none']).default('auto').describe('auto: a token, or none for the same user on this machine; none: everybody'),
    { env: ['REGENT_AUTH'], flag: 'auth' },
  ),
  database_url: from(
    z
      .string()
      .regex(/^(sqlite:|postgres(ql)?:\/\/)/, 'must start with sqlite: or postgres://')
      .optional()
      .describe('where everything is stored; default an SQLite file in home'),
    { env: ['REGENT_DATABASE_URL'], flag: 'database-url' },
  ),
  bus_url: from(
    z
      .string()
      .regex(/^(memory:|(rediss?|kafkas?|amqps?|stomps?):\/\/)/, 'must start with memory:, redis://, kafka://, amqp:// or stomp://')
      .refine((url) => url.startsWith('memory:') || hasPlaces(url), NO_PLACES)
      .default('memory:')
      .describe('what carries messages between agents'),
    { env: ['REGENT_BUS_URL'], flag: 'bus-url', secret: true },
  ),
  allow_insecure_tls: from(z.boolean().default(false).describe('obey agents that ask not to verify TLS certificates'), {
    env: ['REGENT_ALLOW_INSECURE_TLS'],
  }),
  template: from(z.string().min(1).optional().describe("file to make agent files from, instead of Regent's own"), {
    env: ['REGENT_TEMPLATE'],
    flag: 'template',
    file: true,
  }),
}

const http = z
  .strictObject({
    host: from(z.string().min(1).default('127.0.0.1').describe('address to listen on'), { env: ['REGENT_HOST'], flag: 'host' }),
    port: from(port.default(8080).describe('port of the manager and native API; 0 picks a free one'), {
      env: ['REGENT_PORT'],
      flag: 'port',
    }),
    orchestrator_port: from(
      z
        .union([port, z.literal('off')])
        .default(9000)
        .describe('second port, of the orchestrator API; 0 picks a free one, "off" disables it'),
      { env: ['REGENT_ORCHESTRATOR_PORT'], flag: 'orchestrator-port' },
    ),
    url: from(httpUrl.optional().describe('address that clients are told, where it is not that of the listener'), {
      env: ['REGENT_URL'],
      flag: 'url',
    }),
    allowed_hosts: from(words('values of the Host header accepted beside localhost'), {
      env: ['REGENT_ALLOWED_HOSTS'],
      flag: 'allowed-hosts',
    }),
    allowed_origins: from(words('web pages that may call Regent, such as https://desk.example.org'), {
      env: ['REGENT_ALLOWED_ORIGINS'],
      flag: 'allowed-origins',
    }),
  })
  .prefault({})
  .describe('how Regent is reached')

const log = z
  .strictObject({
    level: from(z.enum(['debug', 'info', 'warn', 'error']).default('info').describe('least level that is logged'), {
      env: ['REGENT_LOG_LEVEL'],
      flag: 'log-level',
    }),
  })
  .prefault({})
  .describe("Regent's own log, on stderr")

const models = z
  .strictObject({
    anthropic_key: from(z.string().min(1).optional().describe('API key of Anthropic'), {
      env: ['ANTHROPIC_API_KEY', 'CLAUDE_API_KEY'],
      secret: true,
      dotenv: true,
    }),
    openai_key: from(z.string().min(1).optional().describe('API key of OpenAI or what speaks like it'), {
      env: ['OPENAI_API_KEY'],
      secret: true,
      dotenv: true,
    }),
    anthropic_base_url: from(httpUrl.optional().describe('another address for Anthropic models'), {
      env: ['ANTHROPIC_BASE_URL'],
      dotenv: true,
    }),
    openai_base_url: from(httpUrl.optional().describe('another address for OpenAI models, such as a local server'), {
      env: ['OPENAI_BASE_URL'],
      dotenv: true,
    }),
    default: from(z.string().min(1).max(200).optional().describe('model of agents that name none, such as "haiku" or "offline"'), {
      env: ['REGENT_DEFAULT_MODEL'],
      flag: 'default-model',
    }),
  })
  .prefault({})
  .describe('language models; without a key the offline model answers')

const tools = z
  .strictObject({
    allow_hosts: from(words('hosts, host:port or CIDR ranges that tools may reach although they are private'), {
      env: ['REGENT_TOOLS_ALLOW_HOSTS'],
    }),
  })
  .prefault({})
  .describe('what tools may reach')

const agents = z
  .strictObject({
    startsecs: from(seconds(0, 3600).default(1).describe('time alive until STARTING becomes RUNNING'), { env: ['REGENT_STARTSECS'] }),
    startretries: from(z.int().min(0).max(1000).default(3).describe('deaths before RUNNING; one more is FATAL'), {
      env: ['REGENT_STARTRETRIES'],
    }),
    stop_grace: from(seconds(0, 3600).default(10).describe('time between the stop signal and KILL'), { env: ['REGENT_STOP_GRACE'] }),
    restarts_per_second: from(z.int().min(1).max(1000).default(10).describe('automatic restarts of all agents together'), {
      env: ['REGENT_RESTARTS_PER_SECOND'],
    }),
    user: from(
      z
        .string()
        .regex(/^(auto|same|per-owner|[a-z_][a-z0-9_-]{0,31})$/, 'must be auto, same, per-owner or the name of an account')
        .default('auto')
        .describe(
          'account that agents run as when Regent is root: auto (agentuser, where it is there), same, per-owner (regent-OWNER), or a name',
        ),
      { env: ['REGENT_AGENTS_USER'] },
    ),
    stop_level: from(
      z
        .enum(['auto', 'A', 'B', 'C', 'D'])
        .default('auto')
        .describe('how a stop finds all of an agent: A cgroup, B pid namespace, C marks, D process group; auto: the best there is'),
      { env: ['REGENT_STOP_LEVEL'] },
    ),
    memory: from(
      z
        .union([size, z.literal('off')])
        .default('1GiB')
        .describe('memory of an agent that names no limit'),
      { env: ['REGENT_AGENTS_MEMORY'] },
    ),
    cpus: from(
      z
        .union([z.number().min(0.01).max(1024), z.literal('off')])
        .default(1)
        .describe('processor cores of an agent that names no limit'),
      {
        env: ['REGENT_AGENTS_CPUS'],
      },
    ),
    pids: from(
      z
        .union([z.int().min(1).max(4_000_000), z.literal('off')])
        .default(256)
        .describe('processes and threads of an agent that names no limit'),
      {
        env: ['REGENT_AGENTS_PIDS'],
      },
    ),
    open_files: from(
      z
        .union([z.int().min(16).max(1_000_000), z.literal('off')])
        .default(4096)
        .describe('open files of each process of an agent that names no limit'),
      {
        env: ['REGENT_AGENTS_OPEN_FILES'],
      },
    ),
    per_user: from(z.int().min(1).max(100_000).default(200).describe('agents that a user who is not an admin may have'), {
      env: ['REGENT_AGENTS_PER_USER'],
    }),
  })
  .prefault({})
  .describe('what holds for agents that say nothing else')

const logs = z
  .strictObject({
    max_size: from(size.default('10MiB').describe("size of one file of an agent's output"), { env: ['REGENT_LOGS_MAX_SIZE'] }),
    keep: from(z.int().min(1).max(100).default(3).describe('files kept for each output stream'), { env: ['REGENT_LOGS_KEEP'] }),
    max_age: from(
      z
        .union([seconds(60, 315_360_000), z.literal('off')])
        .default('30d')
        .describe('time after which kept output is forgotten'),
      {
        env: ['REGENT_LOGS_MAX_AGE'],
      },
    ),
  })
  .prefault({})
  .describe("agents' output")

const brokerUrl = (schemes: string, example: string) =>
  z
    .string()
    .regex(new RegExp(`^(${schemes})://[^\\s]+$`), `must be an address such as ${example}`)
    .refine(hasPlaces, NO_PLACES)
const file = z.string().min(1).optional()

/** Those of DESIGN.md: naming one opens its door. */
const brokers = z
  .strictObject({
    redis_url: from(
      brokerUrl('rediss?', 'redis://host:6379/0')
        .optional()
        .describe('Redis for channels of agents and programs; several hosts with ?cluster=true are a cluster'),
      { env: ['REDIS_URL'], secret: true, dotenv: true },
    ),
    redis_host: from(z.string().min(1).optional().describe('Redis by host, where there is no redis_url'), {
      env: ['REDIS_HOST'],
      dotenv: true,
    }),
    redis_port: from(port.default(6379).describe('port of redis_host'), { env: ['REDIS_PORT'], dotenv: true }),
    rabbitmq_url: from(
      brokerUrl('amqps?', 'amqp://user:password@host:5672/vhost').optional().describe('RabbitMQ of the agent commands and events'),
      { env: ['RABBITMQ_URL'], secret: true, dotenv: true },
    ),
    kafka_url: from(brokerUrl('kafkas?', 'kafka://host:9092,other:9092').optional().describe('Kafka; wins over bootstrap_servers'), {
      env: ['REGENT_KAFKA_URL'],
      secret: true,
      dotenv: true,
    }),
    bootstrap_servers: from(
      words('Kafka by its brokers; with a port or a name of Amazon MSK, tokens of AWS IAM are used').refine(
        (servers) => servers.every(isPlace),
        'must be host:port, several with commas',
      ),
      { env: ['MSK_BOOTSTRAP_SERVERS'], dotenv: true },
    ),
    aws_region: from(z.string().min(1).default('ap-south-1').describe('region of Amazon MSK, for IAM tokens'), {
      env: ['AWS_REGION'],
      dotenv: true,
    }),
    activemq_host: from(z.string().min(1).optional().describe('STOMP broker of the testbed control queue'), {
      env: ['ACTIVEMQ_HOST'],
      dotenv: true,
    }),
    activemq_port: from(port.default(61_612).describe('port of activemq_host'), { env: ['ACTIVEMQ_PORT'], dotenv: true }),
    activemq_user: from(z.string().default('admin').describe('user of the STOMP broker'), { env: ['ACTIVEMQ_USER'], dotenv: true }),
    activemq_password: from(z.string().default('admin').describe('password of the STOMP broker'), {
      env: ['ACTIVEMQ_PASSWORD'],
      secret: true,
      dotenv: true,
    }),
    activemq_use_ssl: from(z.boolean().default(false).describe('whether it is reached over TLS'), {
      env: ['ACTIVEMQ_USE_SSL'],
      dotenv: true,
    }),
    activemq_ca_certs: from(file.describe('PEM file of who signs its certificate'), {
      env: ['ACTIVEMQ_SSL_CA_CERTS'],
      dotenv: true,
      file: true,
    }),
    activemq_cert_file: from(file.describe('PEM file of our own certificate'), {
      env: ['ACTIVEMQ_SSL_CERT_FILE'],
      dotenv: true,
      file: true,
    }),
    activemq_key_file: from(file.describe('PEM file of the key of activemq_cert_file'), {
      env: ['ACTIVEMQ_SSL_KEY_FILE'],
      dotenv: true,
      file: true,
    }),
  })
  .prefault({})
  .describe('brokers beside the bus: naming one opens what is spoken there')

const events = z
  .strictObject({
    keep: from(z.int().min(1000).max(100_000_000).default(100_000).describe('how many the journal keeps'), { env: ['REGENT_EVENTS_KEEP'] }),
  })
  .prefault({})
  .describe('the journal of events')

/** `regent.toml`, and what the environment and flags add to it. */
export const writtenConfig = z
  .strictObject({
    ...top,
    http,
    log,
    models,
    tools,
    agents,
    logs,
    brokers,
    events,
    workers,
  })
  .describe('Settings of Regent: regent.toml in the project')
export type WrittenConfig = z.output<typeof writtenConfig>

/** One setting: a leaf of `writtenConfig` with where it may come from. `path` as in `http.port`. */
export interface Setting extends SettingSource {
  readonly path: string
  readonly description: string
  readonly schema: z.ZodType
}

function leaves(shape: Readonly<Record<string, z.core.$ZodType>>, prefix: string): Setting[] {
  return Object.entries(shape).flatMap(([key, schema]) => {
    if (!(schema instanceof z.ZodType)) return []
    const source = sources.get(schema)
    if (source) return [{ path: prefix + key, description: schema.description ?? '', schema, ...source }]
    const inner = schema instanceof z.ZodPrefault ? schema.unwrap() : schema
    return inner instanceof z.ZodObject ? leaves(inner.shape, `${prefix}${key}.`) : []
  })
}

export const settings: readonly Setting[] = leaves(writtenConfig.shape, '')

/** The published JSON Schema of `regent.toml`, for editors. */
export function jsonSchema(): object {
  return { ...z.toJSONSchema(writtenConfig, { io: 'input', reused: 'inline' }), title: 'regent.toml' }
}
