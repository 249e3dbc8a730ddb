import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { RegentError, systemCode } from '../../kernel/errors.ts'
import type { Logger } from '../../kernel/logger.ts'
import { refuseUpgrade, type UpgradeDoor } from '../shared/upgrade.ts'
import { answerClientError } from './errors.ts'
import type { HttpLimits } from './limits.ts'
import { closing, type Shutdown } from './shutdown.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The Node servers that stand before this application. */
    readonly servers: Servers
  }
}

/** Makes Node servers alike, and cuts what they hold when the grace is over. */
export interface Servers {
  make(handler: RequestListener): Server
  /** Takes no new connection; resolves when the last one is gone. */
  close(): Promise<void>
  cut(): void
  readonly logger: Logger
}

export interface ServersOptions {
  readonly limits: HttpLimits
  readonly upgrades: ReadonlyMap<string, UpgradeDoor>
  readonly shutdown: Shutdown
  readonly logger: Logger
}

export interface ListenOptions {
  readonly host: string
  /** 0 picks a free one. */
  readonly port: number
}

export function createServers({ limits, upgrades, shutdown, logger }: ServersOptions): Servers {
  const servers = new Set<Server>()
  return {
    logger,
    make(handler) {
      const server = createServer(
        {
          maxHeaderSize: limits.headerBytes,
          headersTimeout: limits.headersMs,
          requestTimeout: limits.requestMs,
          connectionsCheckingInterval: Math.max(100, Math.min(1000, limits.headersMs / 4)),
          keepAliveTimeout: 65_000,
          // Some clients offer h2c with every request; that offer may be ignored.
          shouldUpgradeCallback: (request) => request.headers.upgrade?.toLowerCase() === 'websocket',
        },
        handler,
      )
      server.maxConnections = limits.connections
      server.on('clientError', (error, socket) => answerClientError(error, socket as Socket))
      server.on('upgrade', (request, socket, head) => {
        const door = upgrades.get((request.url ?? '').split('?', 1)[0] ?? '')
        if (shutdown.begun) refuseUpgrade(socket, closing())
        else if (door) door.upgrade(request, socket, head)
        else refuseUpgrade(socket, new RegentError('NOT_FOUND', 'no WebSocket is served at this path'))
      })
      servers.add(server)
      return server
    },
    async close() {
      await Promise.all([...servers].map(closeServer))
    },
    cut() {
      for (const server of servers) server.closeAllConnections()
    },
  }
}

/** Connections that fall idle are closed as they do: their callers could only be told 503. */
function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const sweep = setInterval(() => server.closeIdleConnections(), 50)
    server.close(() => {
      clearInterval(sweep)
      resolve()
    })
  })
}

/**
 * Opens the application at an address, and for 127.0.0.1 or localhost also at [::1], where the machine has it. Answers the
 * port. May be called again for another address; `app.close()` closes all of them. Rejects with UNAVAILABLE when it cannot be bound.
 */
export async function listen(app: FastifyInstance, { host, port }: ListenOptions): Promise<number> {
  await app.ready()
  const opened = await open(app, host === 'localhost' ? '127.0.0.1' : host, port)
  if (host === '127.0.0.1' || host === 'localhost') {
    // Not every machine has IPv6, and its port may be another program's: callers of localhost try both addresses.
    await open(app, '::1', opened).catch((error: unknown) => {
      if (!(error instanceof RegentError)) throw error
      if (systemCode(error.cause) === 'EADDRINUSE')
        app.servers.logger.warn(
          { port: opened },
          'another program listens on [::1] at this port: callers of localhost may reach it instead',
        )
    })
  }
  return opened
}

async function open(app: FastifyInstance, host: string, port: number): Promise<number> {
  const server = app.servers.make((request, response) => app.routing(request, response))
  server.listen({ host, port })
  try {
    await once(server, 'listening')
  } catch (error) {
    const taken = systemCode(error) === 'EADDRINUSE'
    throw new RegentError('UNAVAILABLE', `cannot listen on ${host} port ${port}${taken ? ': another program does' : ''}`, {
      hint: taken
        ? 'stop that program, or choose another with --port or REGENT_PORT (0 picks a free one)'
        : 'choose an address of this machine',
      cause: error,
    })
  }
  const { port: opened } = server.address() as AddressInfo
  return opened
}
