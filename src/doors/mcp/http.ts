import type { IncomingMessage, ServerResponse } from 'node:http'
import { toNodeHandler } from '@modelcontextprotocol/node'
import { createMcpHandler, type McpRequestContext } from '@modelcontextprotocol/server'
import type { Caller } from '../../contract/tokens.ts'
import type { Core } from '../../core/core.ts'
import { reasonOf } from '../../kernel/errors.ts'
import type { Logger } from '../../kernel/logger.ts'
import { Answers } from './answers.ts'
import { createToolServer, type ToolSet, toolSets } from './server.ts'
import { Settling } from './settling.ts'
import type { ToolHost } from './tool-host.ts'
import { transcriptUri } from './transcripts.ts'
import { transcriptEvents } from './watch-transcripts.ts'

export interface McpHttpOptions {
  readonly core: Core
  readonly version: string
  readonly api: 'readme' | 'state'
  readonly logger: Logger
}

/** One request that the gate has let in. */
export interface McpRequest {
  readonly caller: Caller
  readonly body: unknown
  /** Aborted when the caller is gone, or Regent closes. */
  readonly signal: AbortSignal
}

export interface McpHttp {
  handle(request: IncomingMessage, response: ServerResponse, given: McpRequest): Promise<void>
  close(): Promise<void>
}

const DEFAULT_NAMESPACE = 'default'

/** Streamable HTTP, for clients of both protocol eras. Nothing is kept between requests, so each is bound to who sent it. */
export function createMcpHttp({ core, version, api, logger }: McpHttpOptions): McpHttp {
  const onerror = (error: Error) => logger.debug({ reason: reasonOf(error) }, 'an MCP request came to nothing')
  const handler = createMcpHandler((context) => serverFor(context, version), { onerror })
  const handleNode = toNodeHandler(handler, { onerror })
  const over = new AbortController()
  const settling = new Settling()
  let following = false
  const follow = async (): Promise<void> => {
    const context = { caller: core.identity.localAdmin('mcp'), signal: over.signal }
    for await (const item of core.open('events.stream', { types: transcriptEvents }, context)) {
      const { event } = item as { event?: { agent_id: string | null } }
      if (event?.agent_id) handler.notify.resourceUpdated(transcriptUri(event.agent_id))
    }
  }
  return {
    async handle(request, response, { caller, body, signal }) {
      if (!following) {
        following = true
        follow().catch((error: unknown) => onerror(error as Error))
      }
      const answers = new Answers()
      response.once('finish', () => answers.close(true))
      response.once('close', () => answers.close(false))
      const place = placeOf(request)
      if (!place) {
        const detail = `tools must be one of ${toolSets.join(', ')}`
        response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify({ detail }))
        return
      }
      const host = hostFor({ core, api, caller, signal, answers, settling, namespace: place.namespace })
      const auth = { token: '', clientId: caller.user, scopes: [], extra: { host, tools: place.tools } }
      await handleNode(Object.assign(request, { auth, method: request.method ?? 'GET', url: request.url ?? '/' }), response, body)
    },
    async close() {
      over.abort()
      await handler.close()
    },
  }
}

interface Hosting {
  readonly core: Core
  readonly api: 'readme' | 'state'
  readonly caller: Caller
  readonly signal: AbortSignal
  readonly answers: Answers
  readonly settling: Settling
  readonly namespace: string
}

function hostFor({ core, api, caller, signal: gone, answers, settling, namespace }: Hosting): ToolHost {
  const context = (signal: AbortSignal, key?: string) => ({
    caller: { ...caller, via: 'mcp' },
    signal: AbortSignal.any([signal, gone]),
    ...(key !== undefined && { key }),
  })
  return {
    // A lease is settled after the caller has gone, too.
    call: (name, input, { signal, key }) =>
      core.call(name, input as object, name === 'workers.claim' ? { ...context(signal, key), signal } : context(signal, key)) as never,
    open: (name, input, signal) => core.open(name, input as object, context(signal)) as never,
    namespace,
    caller: {},
    api,
    settling,
    afterAnswer: (id, settle) => answers.add(id, settle),
  }
}

/** The crew and the tools that the address names; undefined where it names tools that there are not. */
function placeOf({ url = '/', headers }: IncomingMessage): { namespace: string; tools: ToolSet } | undefined {
  const { searchParams } = new URL(url, 'http://localhost')
  const header = headers['x-regent-namespace']
  const tools = toolSets.find((set) => set === (searchParams.get('tools') ?? 'all'))
  if (tools === undefined) return undefined
  return {
    namespace: searchParams.get('namespace') || (typeof header === 'string' && header) || DEFAULT_NAMESPACE,
    tools,
  }
}

/** Clients of the older era have no connection here on which they could be told of anything. */
function serverFor({ authInfo, era }: McpRequestContext, version: string) {
  const { host, tools } = (authInfo?.extra ?? {}) as { host: ToolHost; tools: ToolSet }
  return createToolServer(host, { tools, version, subscribe: era === 'modern' })
}
