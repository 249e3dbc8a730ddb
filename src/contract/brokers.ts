import { RegentError } from '../kernel/errors.ts'

/** How to reach one broker, whoever asks for it: the configuration, an agent's definition, a test. */
export interface BrokerSettings {
  readonly kind: 'redis' | 'kafka' | 'rabbitmq' | 'stomp'
  /** `host:port`; several for Kafka's bootstrap list or the nodes of a Redis Cluster. */
  readonly addresses: readonly string[]
  readonly username?: string
  readonly password?: string
  /** Redis' database number, RabbitMQ's virtual host, STOMP's host header. */
  readonly database?: string
  /** Redis: a cluster behind `addresses`. */
  readonly cluster?: boolean
  readonly tls?: TlsSettings
  readonly sasl?: SaslSettings
  /** What the client calls itself at the broker. */
  readonly clientName?: string
  /** Kafka: what a publish waits for; default all. */
  readonly acks?: 'all' | 'leader'
  /** STOMP: ms between signs of life, each way; default 30,000, which is also the most. */
  readonly heartbeat?: number
}

export interface TlsSettings {
  /** Paths of PEM files: who signs the broker's certificate, and the client's own. */
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  /** false only where REGENT_ALLOW_INSECURE_TLS=1 allows it; otherwise ignored, with a warning. Default true. */
  readonly verify?: boolean
  readonly checkHostname?: boolean
}

/** For Kafka. OAUTHBEARER signs AWS IAM tokens for `region` with the credentials of the environment. */
export type SaslSettings =
  | { readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'; readonly username: string; readonly password: string }
  | { readonly mechanism: 'OAUTHBEARER'; readonly region: string }

const kinds = {
  redis: { kind: 'redis', port: 6379, tls: false },
  rediss: { kind: 'redis', port: 6379, tls: true },
  kafka: { kind: 'kafka', port: 9092, tls: false },
  kafkas: { kind: 'kafka', port: 9092, tls: true },
  amqp: { kind: 'rabbitmq', port: 5672, tls: false },
  amqps: { kind: 'rabbitmq', port: 5671, tls: true },
  stomp: { kind: 'stomp', port: 61613, tls: false },
  stomps: { kind: 'stomp', port: 61614, tls: true },
} as const

const FORM = 'such as redis://host:6379/0, kafka://host:9092,other:9092, amqp://user:password@host:5672/vhost or stomp://host:61613'

/**
 * Reads `scheme://[user:password@]host[:port][,host[:port]…][/database][?option=value…]`. Options: `cluster=true` (Redis), `ca`, `cert`, `key`,
 * `verify=false`, `check_hostname=false` (TLS), `mechanism` and `region` (Kafka), `heartbeat` in ms (STOMP). Throws INVALID; the message holds no password.
 */
export function parseBrokerUrl(url: string): BrokerSettings {
  const parts = /^([a-z]+):\/\/(?:([^@/?]*)@)?([^/?@]*)(?:\/([^?]*))?(?:\?(.*))?$/.exec(url)
  const scheme = parts?.[1] ?? ''
  const found = Object.hasOwn(kinds, scheme) ? kinds[scheme as keyof typeof kinds] : undefined
  if (!parts || !found || !parts[3]) throw new RegentError('INVALID', `this is no broker's address: ${withoutSecrets(url)}`, { hint: FORM })
  const [, , account, hosts, path, query] = parts
  const isTorn = path?.includes('@') || (account === undefined && query?.includes('@'))
  if (isTorn || hosts.split(',').some((host) => !/^\s*(\[[^\]]*\]|[^:]*)(:\d+)?\s*$/.test(host)))
    throw new RegentError('INVALID', `this is no broker's address: ${withoutSecrets(url)}`, {
      hint: 'in an account @ / ? : are written %40 %2F %3F %3A, and IPv6 addresses stand in brackets',
    })
  const options = new URLSearchParams(query ?? '')
  const [username, password] = accountOf(account, url)
  const tls = found.tls || ['ca', 'cert', 'key', 'verify', 'check_hostname'].some((name) => options.has(name))
  const sasl = found.kind === 'kafka' ? saslOf(options, username, password) : undefined
  return {
    kind: found.kind,
    addresses: hosts.split(',').map((host) => withPort(host.trim(), found.port)),
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(path && { database: decoded(path, url) }),
    ...(options.get('cluster') === 'true' && { cluster: true }),
    ...(tls && { tls: tlsOf(options) }),
    ...(sasl && { sasl }),
    ...(options.has('heartbeat') && { heartbeat: heartbeatOf(options) }),
  }
}

/** For logs and people: kind and addresses, never an account. */
export const describeBroker = ({ kind, addresses, database, tls }: BrokerSettings): string =>
  `${kind}${tls ? ' (TLS)' : ''} at ${addresses.join(', ')}${database ? `/${database}` : ''}`

/** Equal for settings that mean the same client. Holds secrets: for maps, never for logs. */
export const brokerKey = (settings: BrokerSettings): string => JSON.stringify(Object.entries(settings).sort(([a], [b]) => (a < b ? -1 : 1)))

/** What must not be told. */
export const secretsOf = ({ password, sasl }: BrokerSettings): readonly string[] =>
  [password, sasl && 'password' in sasl ? sasl.password : undefined].filter((secret) => secret !== undefined && secret !== '') as string[]

/** Up to the last @, since one in a password may not be written as it should. */
const withoutSecrets = (url: string): string => url.replace(/\/\/.*@/s, '//***@')

/** Throws INVALID where a % begins no code. */
function decoded(text: string, url: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new RegentError('INVALID', `this is no broker's address: ${withoutSecrets(url)}`, { hint: 'a % itself is written %25' })
  }
}

function accountOf(account: string | undefined, url: string): [string | undefined, string | undefined] {
  if (!account) return [undefined, undefined]
  const colon = account.indexOf(':')
  const name = colon === -1 ? account : account.slice(0, colon)
  return [name === '' ? undefined : decoded(name, url), colon === -1 ? undefined : decoded(account.slice(colon + 1), url)]
}

/** Throws INVALID for a port that is none. */
export function withPort(place: string, port: number): string {
  const [, host, given] = /^(.*?)(?::(\d+))?$/.exec(place) ?? []
  if (!host) throw new RegentError('INVALID', 'a broker has an empty host', { hint: FORM })
  if (Number(given ?? port) > 65_535)
    throw new RegentError('INVALID', `the broker ${place} has no such port`, { hint: 'ports end at 65535' })
  return given === undefined ? `${host}:${port}` : place
}

function heartbeatOf(options: URLSearchParams): number {
  const ms = Number(options.get('heartbeat'))
  if (!Number.isInteger(ms) || ms < 1000 || ms > 30_000) throw new RegentError('INVALID', 'heartbeat is 1000 to 30000, in ms')
  return ms
}

function tlsOf(options: URLSearchParams): TlsSettings {
  const text = (name: string) => options.get(name) ?? undefined
  const [ca, cert, key] = [text('ca'), text('cert'), text('key')]
  return {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(options.get('verify') === 'false' && { verify: false }),
    ...(options.get('check_hostname') === 'false' && { checkHostname: false }),
  }
}

function saslOf(options: URLSearchParams, username: string | undefined, password: string | undefined): SaslSettings | undefined {
  const mechanism = options.get('mechanism') ?? (username === undefined ? undefined : 'PLAIN')
  if (mechanism === undefined) return undefined
  if (mechanism === 'OAUTHBEARER') return { mechanism, region: options.get('region') ?? 'ap-south-1' }
  if (mechanism !== 'PLAIN' && mechanism !== 'SCRAM-SHA-256' && mechanism !== 'SCRAM-SHA-512')
    throw new RegentError('INVALID', `Kafka's mechanism is ${mechanism}`, {
      hint: 'use PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER',
    })
  return { mechanism, username: username ?? '', password: password ?? '' }
}
