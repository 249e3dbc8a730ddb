import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'
import type { Caller } from '../../contract/tokens.ts'
import { callerSignal } from './caller-signal.ts'
import type { Shutdown } from './shutdown.ts'

/** What answers at `/mcp`; loaded at its first request, since few need it. */
export type LoadMcp = () => Promise<{
  handle(
    request: IncomingMessage,
    response: ServerResponse,
    given: { readonly caller: Caller; readonly body: unknown; readonly signal: AbortSignal },
  ): Promise<void>
  close(): Promise<void>
}>

/** MCP over HTTP, behind the gate like everything else. */
export function mcpRoutes(app: FastifyInstance, load: LoadMcp | undefined, shutdown: Shutdown): void {
  if (!load) return
  let loaded: ReturnType<LoadMcp> | undefined
  app.route({
    method: ['GET', 'POST', 'DELETE'],
    url: '/mcp',
    exposeHeadRoute: false,
    handler: async (request, reply) => {
      loaded ??= load()
      const mcp = await loaded
      const signal = AbortSignal.any([callerSignal(reply), shutdown.waits])
      reply.hijack()
      for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) reply.raw.setHeader(name, value)
      await mcp.handle(request.raw, reply.raw, { caller: request.caller, body: request.body, signal })
    },
  })
  app.addHook('preClose', async () => {
    await (await loaded)?.close()
  })
}
