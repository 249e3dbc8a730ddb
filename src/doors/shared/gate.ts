import { hash } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { isIPv6 } from 'node:net'
import type { Caller } from '../../contract/tokens.ts'
import type { Identity } from '../../core/core.ts'
import type { Clock } from '../../kernel/clock.ts'
import { RegentError } from '../../kernel/errors.ts'
import { probeHeader } from '../../ports/prober.ts'
import { asHostName, isLocalName, originAuthority, parseAuthority, withPort } from './hosts.ts'
import { createBuckets, type Rate } from './limits.ts'
import { createLocalUserCheck } from './local-user.ts'
import { createPeerUidReader, type Ends, type ReadPeerUid } from './peer-uid.ts'

/** What the gate looks at; a Node `IncomingMessage` is one. `rawHeaders`: names and values in turn, as they came. */
export interface RequestFacts {
  readonly method?: string | undefined
  readonly url?: string | undefined
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: readonly string[]
  readonly socket: Ends
}

export interface GateOptions {
  readonly identity: Identity
  /** auto: a token, or none from the same local user. token: always a token. none: everybody is the local admin. */
  readonly auth: 'auto' | 'token' | 'none'
  /** Names of the Host header accepted beside localhost, 127.0.0.0/8 and [::1]; with or without a port. Put the bound name here. */
  readonly allowedHosts: readonly string[]
  /** Origins of web pages that may call, beside Regent's own. */
  readonly allowedOrigins: readonly string[]
  /** Regent's own uid; undefined where the system has none. */
  readonly uid: number | undefined
  readonly readPeerUid?: ReadPeerUid
  readonly clock: Clock
  readonly limits?: Partial<GateLimits>
}

export interface GateLimits {
  /** For each token that is not an admin's. */
  readonly requests: Rate
  readonly creates: Rate
  /** Failed authentications of one peer address. */
  readonly failures: Rate
}

/** `via` names the door; `creates` marks what counts against the limit of creates. */
export interface Entry {
  readonly via: string
  readonly creates?: boolean
}

/** Guards HTTP, WebSocket, SSE and MCP alike. Every method throws RegentError. */
export interface Gate {
  readonly auth: 'auto' | 'token' | 'none'
  /** The header checks that come before any question of who asks: Host, Origin, Fetch metadata, media type. */
  check(facts: RequestFacts): void
  /** The Bearer token, if one was sent. */
  bearer(facts: RequestFacts): string | undefined
  /** Checks, then tells who asks. */
  admit(facts: RequestFacts, entry: Entry): Promise<Caller>
  /** What to answer to a token that stands for nobody. */
  refusal(facts: RequestFacts): RegentError
}

const defaults: GateLimits = {
  requests: { rate: 50, burst: 100 },
  creates: { rate: 10, burst: 10 },
  failures: { rate: 1, burst: 20 },
}

const howTo =
  'send it as a header: Authorization: Bearer TOKEN (the admin\'s is in the file "token" of Regent\'s home; others: regent token create USER)'

export function createGate(options: GateOptions): Gate {
  const { identity, auth, uid, clock } = options
  const strangeness = createLocalUserCheck(uid, options.readPeerUid ?? createPeerUidReader())
  const limits = { ...defaults, ...options.limits }
  const requests = createBuckets(limits.requests, clock)
  const creates = createBuckets(limits.creates, clock)
  const failures = createBuckets(limits.failures, clock)
  const hosts = new Set(options.allowedHosts.map((host) => (isIPv6(host) ? asHostName(host) : host.toLowerCase())))
  const origins = new Set(options.allowedOrigins.map((origin) => origin.toLowerCase().replace(/\/$/, '')))

  const check = (facts: RequestFacts): void => {
    if (!facts.url?.startsWith('/')) throw new RegentError('BAD_REQUEST', 'the request target must be a path')
    if (facts.headers[probeHeader] !== undefined) throw forbidden('a probe may not ask Regent itself', 'probe the agent')
    checkHost(facts, hosts)
    checkOrigin(facts, origins)
    checkBody(facts)
  }

  const refusal = (facts: RequestFacts): RegentError => {
    const wait = failures.take(facts.socket.remoteAddress ?? '')
    if (wait > 0) return new RegentError('TOO_MANY', 'too many failed authentications from this address', { retryAfter: wait / 1000 })
    return unauthenticated('the token is unknown or revoked')
  }

  const byToken = async (token: string, facts: RequestFacts, entry: Entry): Promise<Caller> => {
    const caller = await identity.byToken(token, entry.via)
    if (!caller) throw refusal(facts)
    if (caller.role === 'admin') return caller
    const key = hash('sha256', token, 'base64url')
    const wait = Math.max(requests.take(key), entry.creates ? creates.take(key) : 0)
    if (wait > 0) throw new RegentError('TOO_MANY', 'too many requests for this token', { retryAfter: wait / 1000 })
    return caller
  }

  return {
    auth,
    check,
    bearer,
    refusal,
    async admit(facts, entry) {
      check(facts)
      if (auth === 'none') return identity.localAdmin(entry.via)
      refuseUrlToken(facts)
      const token = bearer(facts)
      if (token !== undefined) return byToken(token, facts, entry)
      const strange = auth === 'token' ? 'this Regent asks every caller for one' : await strangeness(facts)
      if (strange !== undefined) throw unauthenticated(`a token is needed: ${strange}`)
      return identity.localAdmin(entry.via)
    },
  }
}

const unauthenticated = (message: string): RegentError => new RegentError('UNAUTHENTICATED', message, { hint: howTo })
const forbidden = (message: string, hint: string): RegentError => new RegentError('FORBIDDEN', message, { hint })

/** The one value of a header; two of them are refused, whatever they say. */
function only(facts: RequestFacts, name: string): string | undefined {
  let found: string | undefined
  for (let at = 0; at < facts.rawHeaders.length; at += 2) {
    const key = facts.rawHeaders[at]
    if (key === undefined || key.length !== name.length || key.toLowerCase() !== name) continue
    if (found !== undefined) throw new RegentError('BAD_REQUEST', `the header ${name} was sent twice`)
    found = facts.rawHeaders[at + 1] ?? ''
  }
  return found
}

function checkHost(facts: RequestFacts, hosts: ReadonlySet<string>): void {
  const host = only(facts, 'host')
  const at = host === undefined ? undefined : parseAuthority(host)
  if (host !== undefined && at) {
    if (isLocalName(at.name) || hosts.has(at.name) || hosts.has(host.toLowerCase())) return
    // The very address that was called cannot be a foreign page's name.
    if (facts.socket.localAddress !== undefined && at.name === asHostName(facts.socket.localAddress)) return
  }
  throw forbidden('the Host header names another server', 'call http://localhost:PORT, or list the name in allowed_hosts')
}

function checkOrigin(facts: RequestFacts, origins: ReadonlySet<string>): void {
  const origin = only(facts, 'origin')
  if (origin !== undefined) {
    if (origins.has(origin.toLowerCase())) return
    const own = parseAuthority(facts.headers.host ?? '')
    const from = originAuthority(origin)
    const scheme = origin.toLowerCase().startsWith('https:') ? '443' : '80'
    if (!own || from === undefined || from !== withPort(own, scheme))
      throw forbidden('the call comes from a foreign web page', 'list its origin in allowed_origins if you trust it')
  }
  const site = only(facts, 'sec-fetch-site')
  if (site !== undefined && site !== 'none' && site !== 'same-origin')
    throw forbidden('the call comes from a foreign web page', 'open this address directly')
}

/** A page can send other media types without asking first, and Node would parse them: bodies are JSON and say so. */
function checkBody(facts: RequestFacts): void {
  const length = facts.headers['content-length']
  if (facts.headers['transfer-encoding'] === undefined && (length === undefined || length === '0')) return
  const type = only(facts, 'content-type') ?? ''
  if (/^application\/json\s*(?:;\s*charset\s*=\s*"?utf-8"?\s*)?$/i.test(type)) return
  throw new RegentError('UNSUPPORTED_MEDIA', 'a body must be application/json', { hint: 'send the header Content-Type: application/json' })
}

function refuseUrlToken(facts: RequestFacts): void {
  if (!/[?&](?:access_?token|auth_?token|api_?key|token)=/i.test(facts.url ?? '')) return
  throw unauthenticated('a token must not be in the address, where logs and histories keep it')
}

function bearer(facts: RequestFacts): string | undefined {
  const header = only(facts, 'authorization')
  if (header === undefined) return undefined
  const token = /^bearer +([A-Za-z0-9._~+/-]{1,512}=*) *$/i.exec(header)?.[1]
  if (token === undefined) throw unauthenticated('the Authorization header is not a Bearer token')
  return token
}
