import type { IncomingMessage } from 'node:http'
import { RegentError, systemCode } from '../kernel/errors.ts'
import type { Route } from './routes.ts'

/** Where a Regent answers, and as whom. */
export interface Endpoint {
  readonly url: string
  readonly token?: string | undefined
}

export interface Exchange {
  readonly route: Route
  readonly input: Readonly<Record<string, unknown>>
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal | undefined
}

/** An `import` of node:http makes all its exports, WebSocket and with it the whole of `fetch`: 25 ms that every command would pay. */
const { request: plainRequest } = process.getBuiltinModule('node:http')

const CONNECT_MS = 10_000
/** Beyond what was asked to wait for; the server itself answers any request within 30 s. */
const ANSWER_MS = 60_000

/** Sends one request and answers when the headers came. */
export async function exchange(endpoint: Endpoint, { route, input, headers, signal }: Exchange): Promise<IncomingMessage> {
  const { path, rest } = fillPath(route.path, input)
  const inBody = route.method === 'POST' || route.method === 'PATCH'
  const url = new URL(endpoint.url.replace(/\/+$/, '') + path + (inBody ? '' : query(rest)))
  const body = inBody ? JSON.stringify(rest) : undefined
  const request = url.protocol === 'https:' ? process.getBuiltinModule('node:https').request : plainRequest
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const outgoing = request(url, {
    method: route.method,
    agent: false,
    headers: {
      accept: route.reply === 'stream' ? 'text/event-stream' : 'application/json',
      ...(endpoint.token ? { authorization: `Bearer ${endpoint.token}` } : {}),
      ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
      ...headers,
    },
    ...(signal ? { signal } : {}),
  })
  outgoing.on('response', resolve)
  outgoing.on('error', (error) => {
    if (signal?.aborted) reject(signal.reason)
    else reject(error instanceof RegentError ? error : unreachable(endpoint.url, error))
  })
  outgoing.on('socket', (socket) => {
    if (!socket.connecting) return
    const timer = setTimeout(() => outgoing.destroy(Object.assign(new Error('no connection'), { code: 'ETIMEDOUT' })), CONNECT_MS)
    socket.once('connect', () => clearTimeout(timer)).once('close', () => clearTimeout(timer))
  })
  const patience = patienceFor(route, input)
  const timer = patience === undefined ? undefined : setTimeout(() => outgoing.destroy(lateAnswer(endpoint.url, patience)), patience)
  outgoing.end(body)
  return promise.finally(() => clearTimeout(timer))
}

/** Undefined where the caller waits for an outcome without a limit. */
function patienceFor({ reply }: Route, { wait, timeout }: Exchange['input']): number | undefined {
  if (reply === 'stream' || wait !== true) return ANSWER_MS
  return typeof timeout === 'number' ? Math.min(timeout + ANSWER_MS, 2 ** 31 - 1) : undefined
}

const lateAnswer = (url: string, ms: number): RegentError =>
  new RegentError('TIMED_OUT', `${url} did not answer within ${Math.round(ms / 1000)} s`, { hint: 'look at its log, or try again' })

/** UNAVAILABLE with `details.what` = `server`: nobody answers there. */
export function unreachable(url: string, cause: unknown): RegentError {
  const code = systemCode(cause)
  const why = code === 'ECONNREFUSED' ? 'nothing listens there' : code === 'ECONNRESET' ? 'the connection was cut' : (code ?? 'no answer')
  return new RegentError('UNAVAILABLE', `no Regent answers at ${url} (${why})`, {
    hint: 'start it with `regent serve`, or check --url and REGENT_URL',
    details: { what: 'server' },
    cause,
  })
}

function fillPath(template: string, input: Readonly<Record<string, unknown>>): { path: string; rest: Record<string, unknown> } {
  const rest = { ...input }
  const path = template.replace(/:([a-z_]+)/g, (_, name: string) => {
    const value = rest[name]
    delete rest[name]
    if (typeof value === 'string' && value !== '' && !/^\.{1,2}$/.test(value)) return encodeURIComponent(value)
    throw new RegentError('BAD_REQUEST', `${name} is missing, or no name`)
  })
  return { path, rest }
}

function query(fields: Readonly<Record<string, unknown>>): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || value === null) continue
    parameters.set(name, Array.isArray(value) ? value.join(',') : String(value))
  }
  return parameters.size === 0 ? '' : `?${parameters}`
}
