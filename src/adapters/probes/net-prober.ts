import type { IncomingMessage } from 'node:http'
import type { LookupFunction, Socket } from 'node:net'
import type { Probe } from '../../contract/policy.ts'
import { reasonOf, systemCode } from '../../kernel/errors.ts'
import { type ProbeOutcome, type Prober, probeHeader } from '../../ports/prober.ts'

type HttpProbe = Extract<Probe, { type: 'http' }>
type TcpProbe = Extract<Probe, { type: 'tcp' }>

/** What of an answer's body is read, and dropped, so that its server may end it in peace. */
const BODY_BYTES = 16 * 1024

// Built-ins by this way do not load Node's fetch, which would stay in memory for the life of Regent.
const { request: httpRequest } = process.getBuiltinModule('node:http')
const { connect: tcpConnect } = process.getBuiltinModule('node:net')
const { lookup: lookUp } = process.getBuiltinModule('node:dns')

const loopback = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
] as const

/** Only two names are looked up at once in the whole process, so that slow ones of other agents would hold up localhost too. */
const lookup: LookupFunction = (name, options, done) => {
  if (name.toLowerCase() !== 'localhost') return lookUp(name, options, done)
  const [first] = loopback
  process.nextTick(() => (options.all ? done(null, [...loopback]) : done(null, first.address, first.family)))
}

/** Looks over HTTP and TCP from this machine. Each look is a connection of its own; none lasts longer than its `timeout`. */
export function createNetProber(): Prober {
  return { probe: (probe, signal) => (probe.type === 'http' ? get(probe, signal) : connect(probe, signal)) }
}

/** GET, without following redirects. */
function get(probe: HttpProbe, outer: AbortSignal): Promise<ProbeOutcome> {
  return look(`GET ${shown(probe.url)}`, probe.timeout, outer, (told, signal) => {
    // TLS is loaded only where somebody asks for it.
    const ask = probe.url.startsWith('https:') ? process.getBuiltinModule('node:https').request : httpRequest
    const headers = { 'user-agent': 'regent', accept: '*/*', connection: 'close', [probeHeader]: '1' }
    const request = ask(probe.url, { agent: false, headers, signal, lookup })
    request.on('error', told.failed)
    request.on('response', (response: IncomingMessage) => {
      const status = response.statusCode ?? 0
      told.seen(probe.status === undefined ? status >= 200 && status < 400 : status === probe.status, `answered ${status}`)
      let bytes = 0
      response.on('error', () => request.destroy())
      response.on('data', (piece: Buffer) => {
        bytes += piece.length
        if (bytes > BODY_BYTES) request.destroy()
      })
    })
    request.end()
  })
}

function connect({ host, port, timeout }: TcpProbe, outer: AbortSignal): Promise<ProbeOutcome> {
  return look(`TCP ${host.includes(':') ? `[${host}]` : host}:${port}`, timeout, outer, (told, signal) => {
    const socket: Socket = tcpConnect({ host, port, lookup })
    signal.addEventListener('abort', () => socket.destroy(), { once: true })
    socket.on('error', told.failed)
    socket.on('connect', () => {
      told.seen(true, 'connected')
      socket.destroy()
    })
  })
}

interface Told {
  seen(ok: boolean, words: string): void
  failed(error: unknown): void
}

/** One look that is over, at the latest, when `seconds` are; `begin` is given a signal that ends what is left of it then. */
function look(what: string, seconds: number, outer: AbortSignal, begin: (told: Told, signal: AbortSignal) => void): Promise<ProbeOutcome> {
  return new Promise((resolve) => {
    const limit = AbortSignal.timeout(seconds * 1000)
    const signal = AbortSignal.any([outer, limit])
    const told: Told = {
      seen: (ok, words) => resolve({ ok, message: `${what}: ${words}` }),
      failed: (error) => told.seen(false, limit.aborted ? `no answer within ${seconds} s` : wordsOf(error)),
    }
    signal.addEventListener('abort', () => told.failed(signal.reason), { once: true })
    if (signal.aborted) return told.failed(signal.reason)
    try {
      begin(told, signal)
    } catch (error) {
      told.failed(error)
    }
  })
}

const plain: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the connection was closed without an answer',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'the name of the host could not be looked up',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'its network cannot be reached',
}

/** A host with several addresses fails with an error for each; they rarely differ. */
function wordsOf(error: unknown): string {
  const first = error instanceof AggregateError ? (error.errors[0] as unknown) : error
  return plain[systemCode(first) ?? ''] ?? (reasonOf(first) || 'failed')
}

/** Without credentials and query, which may be secrets. */
function shown(url: string): string {
  if (!URL.canParse(url)) return 'an address that is none'
  const { origin, pathname } = new URL(url)
  return `${origin}${pathname}`
}
