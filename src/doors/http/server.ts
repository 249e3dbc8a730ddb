import { randomUUID } from 'node:crypto'
import Fastify, { type FastifyInstance } from 'fastify'
import type { Caller } from '../../contract/tokens.ts'
import type { Core } from '../../core/core.ts'
import { type Clock, systemClock } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Gate } from '../shared/gate.ts'
import type { UpgradeDoor } from '../shared/upgrade.ts'
import { docsRoutes } from './docs.ts'
import { answerClientError, problemHandler } from './errors.ts'
import { healthRoutes } from './health.ts'
import { parseBody } from './json-body.ts'
import { type HttpLimits, httpLimits } from './limits.ts'
import { createServers } from './listeners.ts'
import { managerApi } from './manager-api.ts'
import { type LoadMcp, mcpRoutes } from './mcp.ts'
import { nativeApi } from './native-api.ts'
import { closing, createShutdown } from './shutdown.ts'
import { unknownRoutes } from './unknown.ts'
import { workerLinkRoutes } from './worker-link.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Requests and streams that are not over, and when the last one was; elapsed ms. */
    requestsUnderWay(): { readonly count: number; readonly lastAt: number }
  }
  interface FastifyRequest {
    /** Who asks; set by the gate before any handler runs. */
    caller: Caller
  }
  interface FastifyContextConfig {
    /** Counts against the limit of creates. */
    creates?: boolean
  }
}

export interface HttpServerOptions {
  readonly core: Core
  readonly gate: Gate
  readonly logger: Logger
  readonly version: string
  readonly clock?: Clock
  readonly limits?: Partial<HttpLimits>
  /** false: no page at /docs. */
  readonly docs?: boolean
  readonly mcp?: LoadMcp
  /** Doors that take connections over, by path (`/link`). They are closed with the server. */
  readonly upgrades?: ReadonlyMap<string, UpgradeDoor>
}

const securityHeaders = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'self'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
}

/**
 * The HTTP door, not yet open: `listen` of listeners.ts opens it. `app.close()` ends streams and sockets at once, answers new
 * requests with 503 and gives those in flight `graceMs`.
 */
export function createHttpServer(options: HttpServerOptions): FastifyInstance {
  const { core, gate, logger, version, clock = systemClock } = options
  const limits = { ...httpLimits, ...options.limits }
  const upgrades = options.upgrades ?? new Map<string, UpgradeDoor>()
  const shutdown = createShutdown(clock, limits.graceMs)
  const servers = createServers({ limits, upgrades, shutdown, logger })
  const fail = problemHandler(logger)
  const app: FastifyInstance = Fastify({
    serverFactory: servers.make,
    clientErrorHandler: answerClientError,
    frameworkErrors: (error, request, reply) => fail(error, request, reply.headers(securityHeaders)),
    genReqId: (request) => requestId(request.headers['x-request-id']),
    bodyLimit: limits.bodyBytes,
    routerOptions: { maxParamLength: 500, ignoreTrailingSlash: true },
    return503OnClosing: false,
  })
  app.decorate('servers', servers)
  takeJsonOnly(app)
  app.decorateRequest('caller')
  countRequests(app, clock)
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(securityHeaders).header('x-request-id', request.id)
    if (shutdown.begun) throw closing()
    shutdown.enter(reply.raw)
    const { creates, forRuns } = request.routeOptions.config
    if (forRuns) gate.check(request.raw)
    else request.caller = await gate.admit(request.raw, { via: 'http', creates: creates === true })
  })
  app.setErrorHandler(fail)
  unknownRoutes(app)
  nativeApi(app, { core, shutdown, limits, logger })
  managerApi(app, { core, shutdown, logger })
  workerLinkRoutes(app, { core, gate })
  mcpRoutes(app, options.mcp, shutdown)
  healthRoutes(app, { core, auth: gate.auth, version, clock, logger })
  docsRoutes(app, version, options.docs !== false)
  app.addHook('preClose', async () => {
    shutdown.begin(servers.cut)
    // The listeners stay open until then, so that whoever comes is told.
    await Promise.all([...[...upgrades.values()].map((door) => door.close()), shutdown.drained()])
  })
  app.addHook('onClose', async () => {
    await servers.close()
    shutdown.done()
  })
  return app
}

function countRequests(app: FastifyInstance, clock: Clock): void {
  let count = 0
  let lastAt = clock.elapsed()
  app.decorate('requestsUnderWay', () => ({ count, lastAt }))
  app.addHook('onRequest', async (_request, reply) => {
    count++
    lastAt = clock.elapsed()
    reply.raw.once('close', () => {
      count--
      lastAt = clock.elapsed()
    })
  })
}

/** An empty body equals none. Poisoned keys are refused by checkJson, with their path. */
function takeJsonOnly(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, async (_request: unknown, body: Buffer) =>
    body.length === 0 ? undefined : parseBody(body),
  )
}

/** The caller's own id where it is fit for a log, else a new one. */
function requestId(given: string | string[] | undefined): string {
  return typeof given === 'string' && /^[\w.:-]{1,64}$/.test(given) ? given : randomUUID()
}
