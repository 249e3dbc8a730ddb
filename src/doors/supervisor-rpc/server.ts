import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Core } from '../../core/core.ts'
import type { Clock } from '../../kernel/clock.ts'
import { reasonOf } from '../../kernel/errors.ts'
import type { Logger } from '../../kernel/logger.ts'
import { toldError } from '../shared/upgrade.ts'
import { decodeCall, encodeFault, encodeResponse } from './codec.ts'
import { Fault, faultOf, faults } from './faults.ts'
import { logtail, mainLogtail } from './logtail.ts'
import type { MainLog } from './main-log.ts'
import type { Context } from './method.ts'
import { perform } from './methods.ts'
import type { About } from './process-info.ts'
import { agentPrograms } from './programs.ts'
import { Roster } from './roster.ts'
import { Self, type SelfControl } from './self.ts'
import { listenAt } from './socket.ts'

export interface SupervisorRpcOptions {
  readonly core: Pick<Core, 'call' | 'open' | 'identity'>
  readonly about: About
  readonly mainLog: MainLog
  readonly logger: Logger
  readonly clock: Clock
  readonly control: SelfControl
  readonly limits?: Partial<RpcLimits>
}

/** Times in ms. */
export interface RpcLimits {
  readonly bodyBytes: number
  readonly connections: number
  /** For answers in flight when the door closes. */
  readonly graceMs: number
}

export interface SupervisorRpcDoor {
  /** Listens on a Unix socket. Throws UNAVAILABLE. */
  open(path: string): Promise<void>
  /** Ends streams at once and gives answers in flight their grace; the socket goes. */
  close(): Promise<void>
}

const defaults: RpcLimits = { bodyBytes: 1 << 20, connections: 256, graceMs: 2000 }

/** supervisord's XML-RPC over HTTP, for the stock supervisorctl. Whoever may open the socket is the admin of this home. */
export function createSupervisorRpc(options: SupervisorRpcOptions): SupervisorRpcDoor {
  const { core, logger, clock } = options
  const limits = { ...defaults, ...options.limits }
  const caller = core.identity.localAdmin('supervisorctl')
  const roster = new Roster()
  const self = new Self(clock, options.control)
  const over = new AbortController()
  const closing = () => over.signal.aborted

  const contextFor = (signal: AbortSignal, answer: ServerResponse): Context => ({
    ...{ about: options.about, mainLog: options.mainLog, roster, self, logger, closing },
    ask: (operation, input) => core.call(operation, input, { caller, signal }),
    open: (operation, input, own) => core.open(operation, input, { caller, signal: own ?? signal }),
    now: () => clock.now(),
    answered: (act) => void answer.once('close', act),
  })

  const serve = async (request: IncomingMessage, answer: ServerResponse): Promise<void> => {
    const gone = new AbortController()
    answer.once('close', () => {
      if (!answer.writableFinished) gone.abort()
    })
    const signal = AbortSignal.any([gone.signal, over.signal])
    const context = contextFor(signal, answer)
    const path = decodedPath(request)
    if (request.method === 'POST' && path.startsWith('/RPC2')) return rpc(context, request, answer)
    const tail = tailOf(path, context, answer, signal)
    if (request.method !== 'GET' || !tail) return plain(answer, 404, 'supervisorctl calls POST /RPC2')
    try {
      await tail()
    } catch (error) {
      const fault = signal.aborted ? undefined : told(error)
      if (fault && !answer.headersSent) plain(answer, 404, fault.message)
      else answer.end()
    }
  }

  const rpc = async (context: Context, request: IncomingMessage, answer: ServerResponse): Promise<void> => {
    let call: ReturnType<typeof decodeCall>
    try {
      if (closing()) throw new Fault('SHUTDOWN_STATE', 'Regent is closing')
      const body = await bodyOf(request, limits.bodyBytes)
      if (!body) return tooLarge(answer, limits.bodyBytes)
      call = decodeCall(body)
    } catch (error) {
      const fault = told(error)
      return xml(answer, fault.faultCode === faults.BAD_ARGUMENTS ? 400 : 200, encodeFault(fault))
    }
    try {
      xml(answer, 200, encodeResponse(await perform(context, call)))
    } catch (error) {
      if (!answer.destroyed) xml(answer, 200, encodeFault(told(error)))
    }
  }

  const told = (error: unknown): Fault => {
    if (error instanceof Fault) return error
    if (closing()) return new Fault('SHUTDOWN_STATE', 'Regent is closing: what was asked stands, its outcome was not seen')
    return faultOf(
      toldError(error, (reason) => logger.error({ reason }, 'a call of supervisorctl failed')),
      false,
    )
  }

  const server = createServer(
    {
      maxHeaderSize: 16 << 10,
      headersTimeout: 10_000,
      requestTimeout: 30_000,
      connectionsCheckingInterval: 1000,
      requireHostHeader: false,
    },
    (request, answer) => {
      answer.on('error', () => answer.destroy())
      serve(request, answer).catch((error: unknown) => {
        logger.error({ error: reasonOf(error) }, 'a call of supervisorctl could not be answered')
        answer.destroy()
      })
    },
  )
  server.maxConnections = limits.connections

  return {
    async open(path) {
      roster.begin(await agentPrograms((operation, input) => core.call(operation, input, { caller, signal: over.signal })))
      await listenAt(server, path)
      logger.info({ path }, 'supervisorctl is served')
    },
    async close() {
      over.abort()
      if (!server.listening) return
      const cut = clock.after(limits.graceMs, () => server.closeAllConnections())
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeIdleConnections()
      })
      cut()
    },
  }
}

function tailOf(path: string, context: Context, answer: ServerResponse, signal: AbortSignal): (() => Promise<void>) | undefined {
  if (path === '/mainlogtail') return () => mainLogtail(context, answer, signal)
  if (path.startsWith('/logtail/')) return () => logtail(context, path.slice('/logtail/'.length), answer, signal)
  return undefined
}

function decodedPath(request: IncomingMessage): string {
  try {
    return decodeURIComponent((request.url ?? '').split('?', 1)[0] ?? '')
  } catch {
    return ''
  }
}

/** How many times its bound a body may have and still be read to its end, so that its sender hears the answer. */
const PATIENCE = 32

/** Undefined for one that is larger than it may be; nothing of that is kept. */
async function bodyOf(request: IncomingMessage, most: number): Promise<Buffer | undefined> {
  let pieces: Buffer[] = []
  let size = 0
  for await (const piece of request as AsyncIterable<Buffer>) {
    size += piece.length
    if (size > most * PATIENCE) break
    if (size > most) pieces = []
    else pieces.push(piece)
  }
  return size > most ? undefined : Buffer.concat(pieces)
}

function tooLarge(answer: ServerResponse, most: number): void {
  answer.setHeader('Connection', 'close')
  xml(answer, 413, encodeFault(new Fault('BAD_ARGUMENTS', `a call may have ${most} bytes at most`)))
}

function xml(answer: ServerResponse, status: number, body: string): void {
  answer.writeHead(status, { 'Content-Type': 'text/xml', 'Content-Length': Buffer.byteLength(body) })
  answer.end(body)
}

function plain(answer: ServerResponse, status: number, text: string): void {
  answer.writeHead(status, { 'Content-Type': 'text/plain;charset=utf-8', Connection: 'close' })
  answer.end(`${text}\n`)
}
