import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Caller } from '../../contract/tokens.ts'
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
export const createSupervisorRpc = (options: SupervisorRpcOptions): SupervisorRpcDoor => new Door(options)

class Door implements SupervisorRpcDoor {
  readonly #options: SupervisorRpcOptions
  readonly #limits: RpcLimits
  readonly #caller: Caller
  readonly #roster = new Roster()
  readonly #self: Self
  readonly #over = new AbortController()
  readonly #server: Server

  constructor(options: SupervisorRpcOptions) {
    this.#options = options
    this.#limits = { ...defaults, ...options.limits }
    this.#caller = options.core.identity.localAdmin('supervisorctl')
    this.#self = new Self(options.clock, options.control)
    this.#server = this.#listener()
  }

  async open(path: string): Promise<void> {
    const { core, logger } = this.#options
    const context = { caller: this.#caller, signal: this.#over.signal }
    this.#roster.begin(await agentPrograms((operation, input) => core.call(operation, input, context)))
    await listenAt(this.#server, path)
    logger.info({ path }, 'supervisorctl is served')
  }

  async close(): Promise<void> {
    this.#over.abort()
    if (!this.#server.listening) return
    const cut = this.#options.clock.after(this.#limits.graceMs, () => this.#server.closeAllConnections())
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve())
      this.#server.closeIdleConnections()
    })
    cut()
  }

  #listener(): Server {
    const { logger } = this.#options
    const times = { headersTimeout: 10_000, requestTimeout: 30_000, connectionsCheckingInterval: 1000 }
    const server = createServer({ ...times, maxHeaderSize: 16 << 10, requireHostHeader: false }, (request, answer) => {
      answer.on('error', () => answer.destroy())
      this.#serve(request, answer).catch((error: unknown) => {
        logger.error({ error: reasonOf(error) }, 'a call of supervisorctl could not be answered')
        answer.destroy()
      })
    })
    server.maxConnections = this.#limits.connections
    return server
  }

  async #serve(request: IncomingMessage, answer: ServerResponse): Promise<void> {
    const gone = new AbortController()
    answer.once('close', () => {
      if (!answer.writableFinished) gone.abort()
    })
    const signal = AbortSignal.any([gone.signal, this.#over.signal])
    const context = this.#contextFor(signal, answer)
    const path = decodedPath(request)
    if (request.method === 'POST' && path.startsWith('/RPC2')) return this.#rpc(context, request, answer)
    const tail = tailOf(path, context, answer, signal)
    if (request.method !== 'GET' || !tail) return plain(answer, 404, 'supervisorctl calls POST /RPC2')
    try {
      await tail()
    } catch (error) {
      const fault = signal.aborted ? undefined : this.#told(error)
      if (fault && !answer.headersSent) plain(answer, 404, fault.message)
      else answer.end()
    }
  }

  async #rpc(context: Context, request: IncomingMessage, answer: ServerResponse): Promise<void> {
    let call: ReturnType<typeof decodeCall>
    try {
      if (context.closing()) throw new Fault('SHUTDOWN_STATE', 'Regent is closing')
      const body = await bodyOf(request, this.#limits.bodyBytes)
      if (!body) return tooLarge(answer, this.#limits.bodyBytes)
      call = decodeCall(body)
    } catch (error) {
      const fault = this.#told(error)
      return xml(answer, fault.faultCode === faults.BAD_ARGUMENTS ? 400 : 200, encodeFault(fault))
    }
    try {
      xml(answer, 200, encodeResponse(await perform(context, call)))
    } catch (error) {
      if (!answer.destroyed) xml(answer, 200, encodeFault(this.#told(error)))
    }
  }

  #contextFor(signal: AbortSignal, answer: ServerResponse): Context {
    const { core, about, mainLog, logger, clock } = this.#options
    const caller = this.#caller
    return {
      ...{ about, mainLog, logger, roster: this.#roster, self: this.#self },
      closing: () => this.#over.signal.aborted,
      ask: (operation, input) => core.call(operation, input, { caller, signal }),
      open: (operation, input, own) => core.open(operation, input, { caller, signal: own ?? signal }),
      now: () => clock.now(),
      answered: (act) => void answer.once('close', act),
    }
  }

  #told(error: unknown): Fault {
    if (error instanceof Fault) return error
    if (this.#over.signal.aborted) return new Fault('SHUTDOWN_STATE', 'Regent is closing: what was asked stands, its outcome was not seen')
    const { logger } = this.#options
    return faultOf(
      toldError(error, (reason) => logger.error({ reason }, 'a call of supervisorctl failed')),
      false,
    )
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
