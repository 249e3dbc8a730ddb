import { RegentError } from '../kernel/errors.ts'
import { isObject } from '../kernel/json.ts'
import { type BrokerSettings, parseBrokerUrl, type SaslSettings, type TlsSettings, withPort } from './brokers.ts'
import type { TeamConfig } from './team.ts'

/** Where an agent's channel is: the same for its runner, which speaks there, and for Regent, which guards whose it is. */
export interface ChannelPlace {
  /** What the definition names; msk is kafka with Amazon's defaults. */
  readonly backend: 'memory' | 'redis' | 'kafka'
  readonly stem: string
  /** Where people write to the agent; confirmation requests go there too, and answers are heard there. */
  readonly inbound: readonly ChannelTopic[]
  /** Where the agent speaks; answers to confirmations are heard there as well. */
  readonly outbound: readonly ChannelTopic[]
  /** What envelopes of the agent carry as `channel_id`. */
  readonly outboundId: string
  /** undefined for memory, which Regent carries itself. */
  readonly broker: BrokerSettings | undefined
  /** Where a group without a committed position begins. */
  readonly from: 'latest' | 'earliest'
}

export interface ChannelTopic {
  readonly name: string
  readonly fleeting?: boolean
}

/** Whether an agent holds its channel at a broker, and the first topic of it; '' where it has none there. */
export interface ChannelHold {
  readonly held: boolean
  readonly topic: string
}

/** Variables that stand in for what a definition leaves out. */
export interface ChannelDefaults {
  /** REDIS_URL, or made of REDIS_HOST and REDIS_PORT. */
  readonly redisUrl?: string | undefined
  /** MSK_BOOTSTRAP_SERVERS. */
  readonly bootstrapServers?: readonly string[] | undefined
  readonly awsRegion?: string | undefined
}

/** As an agent's environment has them. */
export function channelDefaults(env: Readonly<Record<string, string | undefined>>): ChannelDefaults {
  const { REDIS_URL, REDIS_HOST, REDIS_PORT, MSK_BOOTSTRAP_SERVERS, AWS_REGION } = env
  const host = REDIS_HOST?.includes(':') && !REDIS_HOST.startsWith('[') ? `[${REDIS_HOST}]` : REDIS_HOST
  const servers = (MSK_BOOTSTRAP_SERVERS ?? '').split(/[\s,]+/).filter((server) => server !== '')
  return {
    redisUrl: REDIS_URL || `redis://${host || 'localhost'}:${REDIS_PORT || 6379}`,
    ...(servers.length > 0 && { bootstrapServers: servers }),
    awsRegion: AWS_REGION || undefined,
  }
}

type Pubsub = NonNullable<TeamConfig['pubsub_config']>

/** undefined while pub/sub is off. Throws INVALID when no broker is named, telling the field. */
export function channelPlace(name: string, config: TeamConfig, defaults: ChannelDefaults): ChannelPlace | undefined {
  const pubsub = config.pubsub_config
  if (!config.pubsub_enabled || pubsub === undefined) return undefined
  const stem = pubsub.channel_name ?? name
  const from = 'latest' as const
  const outboundId = `agent_${stem}`
  const backend = pubsub.use_redis === true ? 'redis' : pubsub.backend
  if (backend === 'memory')
    return { backend, stem, inbound: [{ name: `agent:${stem}` }], outbound: [{ name: outboundId }], outboundId, broker: undefined, from }
  if (backend === 'redis') {
    const prefix = pubsub.redis?.channel_prefix ?? 'agent:'
    const names = [...new Set([`${prefix}${stem}`, `agent:${name}`])]
    const broker = redisOf(pubsub, defaults)
    return { backend, stem, inbound: names.flatMap(bothWays), outbound: bothWays(`${prefix}${outboundId}`), outboundId, broker, from }
  }
  const section = kafkaSection(pubsub, backend)
  const prefix = typeof section.topic_prefix === 'string' ? section.topic_prefix : 'mcp_agent_'
  const reset = oneOf(section.consumer_config, 'auto_offset_reset', ['latest', 'earliest'], `${backend}.consumer_config`)
  return {
    backend: 'kafka',
    stem,
    inbound: [{ name: `${prefix}${stem}` }],
    outbound: [{ name: `${prefix}${outboundId}` }],
    outboundId,
    broker: kafkaOf(section, backend, defaults),
    from: reset === 'earliest' ? 'earliest' : 'latest',
  }
}

/** A channel of Redis' pub/sub, and the stream beside it that keeps what comes: `PUBLISH name` reaches who listens, `XADD name:stream` waits. */
const bothWays = (name: string): ChannelTopic[] => [{ name, fleeting: true }, { name: `${name}:stream` }]

function redisOf({ redis }: Pubsub, defaults: ChannelDefaults): BrokerSettings {
  const base = parseBrokerUrl(defaults.redisUrl ?? 'redis://localhost:6379')
  const own = redis?.host !== undefined || redis?.port !== undefined
  const [host = 'localhost', port = '6379'] = (base.addresses[0] ?? '').split(/:(?=\d+$)/)
  const db = redis?.db ?? 0
  const password = typeof redis?.password === 'string' ? redis.password : undefined
  const username = typeof redis?.username === 'string' ? redis.username : undefined
  return {
    // An account of the environment is for the environment's broker alone.
    ...(own ? { kind: 'redis' as const, addresses: [withPort(`${redis?.host ?? host}:${redis?.port ?? port}`, 6379)] } : base),
    ...(redis?.cluster === true && { cluster: true }),
    ...(redis?.ssl === true && { tls: {} }),
    ...(db !== 0 && { database: `${db}` }),
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
  }
}

type Section = Readonly<Record<string, unknown>>

const PROTOCOLS = ['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL']

/** `kafka` may stand under its own name or, as in 000's library, under `msk`. */
const kafkaSection = (pubsub: Pubsub, backend: 'msk' | 'kafka'): Section =>
  (backend === 'kafka' ? (pubsub.kafka ?? pubsub.msk) : (pubsub.msk ?? pubsub.kafka)) ?? {}

function kafkaOf(section: Section, backend: 'msk' | 'kafka', { bootstrapServers = [], awsRegion }: ChannelDefaults): BrokerSettings {
  const own = Array.isArray(section.bootstrap_servers) ? section.bootstrap_servers.filter((one) => typeof one === 'string') : []
  const servers = own.length > 0 ? own : bootstrapServers
  if (servers.length === 0)
    throw new RegentError('INVALID', `pubsub_config.${backend}.bootstrap_servers is empty`, {
      hint: 'name the brokers there as host:port, or in MSK_BOOTSTRAP_SERVERS',
    })
  const protocol = oneOf(section, 'security_protocol', PROTOCOLS, backend) ?? (backend === 'msk' ? 'SASL_SSL' : 'PLAINTEXT')
  const producer = isObject(section.producer_config) ? section.producer_config : {}
  const acks = oneOf(producer, 'acks', ['all', '1', '0', '-1'], `${backend}.producer_config`)
  const clientName = text(producer.client_id)
  const sasl = protocol.startsWith('SASL') ? saslOf(section, backend, awsRegion) : undefined
  return {
    kind: 'kafka',
    addresses: servers.map((server) => withPort(server, 9092)),
    ...(clientName !== undefined && { clientName }),
    ...(protocol.endsWith('SSL') && { tls: tlsOf(section.ssl_config) }),
    ...(sasl && { sasl }),
    ...(acks === '1' && { acks: 'leader' as const }),
  }
}

function saslOf(section: Section, backend: string, awsRegion: string | undefined): SaslSettings {
  const mechanism = text(section.sasl_mechanism) ?? (backend === 'msk' ? 'OAUTHBEARER' : 'PLAIN')
  if (mechanism === 'OAUTHBEARER' || mechanism === 'AWS_MSK_IAM')
    return { mechanism: 'OAUTHBEARER', region: text(section.aws_region) ?? awsRegion ?? 'ap-south-1' }
  if (mechanism !== 'PLAIN' && mechanism !== 'SCRAM-SHA-256' && mechanism !== 'SCRAM-SHA-512')
    throw new RegentError('INVALID', `pubsub_config.${backend}.sasl_mechanism is ${mechanism}`, {
      hint: 'use PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER',
    })
  const username = text(section.sasl_username) ?? text(section.sasl_plain_username)
  if (username === undefined)
    throw new RegentError('INVALID', `pubsub_config.${backend}.sasl_username is missing`, {
      hint: `${mechanism} needs it, and sasl_password`,
    })
  return { mechanism, username, password: text(section.sasl_password) ?? text(section.sasl_plain_password) ?? '' }
}

/** A word of those that are known; undefined where there is none. Throws INVALID, naming field and remedy, for another. */
function oneOf(section: unknown, field: string, known: readonly string[], place: string): string | undefined {
  const value = isObject(section) ? section[field] : undefined
  if (value === undefined || value === null || value === '') return undefined
  const word = known.find((one) => one === `${value}`)
  if (word === undefined)
    throw new RegentError('INVALID', `pubsub_config.${place}.${field} is ${JSON.stringify(value)}`, { hint: `use ${known.join(', ')}` })
  return word
}

function tlsOf(ssl: unknown): TlsSettings {
  if (!isObject(ssl)) return {}
  const [ca, cert, key] = [text(ssl.cafile) ?? text(ssl.ca), text(ssl.certfile) ?? text(ssl.cert), text(ssl.keyfile) ?? text(ssl.key)]
  const unverified = ssl.verify_mode === 'none' || ssl.verify_mode === 'CERT_NONE' || ssl.verify_mode === false
  return {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(unverified && { verify: false }),
    ...(ssl.check_hostname === false && { checkHostname: false }),
  }
}

const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)
