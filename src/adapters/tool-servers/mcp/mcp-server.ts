import type { Client } from '@modelcontextprotocol/client'
import { type ErrorOptions, RegentError, reasonOf } from '../../../kernel/errors.ts'
import type { JsonObject } from '../../../kernel/json.ts'
import type { Tool, ToolCallOptions, ToolResult, ToolServer } from '../../../ports/tool-server.ts'
import { errorResult, resultOf, toolsOf } from './results.ts'

export interface ConnectionParts {
  readonly id: string
  readonly client: Client
  /** Of a call, where the caller says nothing, in ms. */
  readonly callMs: number
  /** Why the connection is gone, in words without secrets; undefined while it lives. */
  readonly lost: () => string | undefined
  /** Ends the connection for good. */
  readonly lose: (reason: string) => void
  readonly closed: Promise<string>
  /** After every call. */
  readonly onCalled: () => void
  /** Ends what carries the connection. */
  readonly end: () => Promise<void>
  readonly scrub: (text: string) => string
}

const listMs = 30_000

/** A connected MCP server. */
export function createMcpServer(parts: ConnectionParts): ToolServer {
  const { id, client } = parts
  let ended: Promise<void> | undefined
  return {
    id,
    notice: null,
    closed: parts.closed,
    async tools(signal): Promise<Tool[]> {
      if (client.getServerCapabilities()?.tools === undefined) return []
      try {
        return toolsOf((await client.listTools({}, { signal, timeout: listMs, cacheMode: 'refresh' })).tools)
      } catch (thrown) {
        throw await explained(thrown, parts, signal, `listing the tools of ${id}`, listMs)
      }
    },
    async call(tool, args, { signal, timeoutMs = parts.callMs }: ToolCallOptions): Promise<ToolResult> {
      const lost = parts.lost()
      if (lost !== undefined) throw gone(id, lost)
      try {
        return resultOf(
          await client.callTool({ name: tool, arguments: args as JsonObject & Record<string, unknown> }, { signal, timeout: timeoutMs }),
        )
      } catch (thrown) {
        const { ProtocolError } = await import('@modelcontextprotocol/client')
        if (ProtocolError.isInstance(thrown)) return errorResult(parts.scrub(thrown.message))
        throw await explained(thrown, parts, signal, `the call of ${tool} at ${id}`, timeoutMs)
      } finally {
        parts.onCalled()
      }
    },
    close() {
      ended ??= parts.end()
      return ended
    },
  }
}

const gone = (id: string, reason: string, options: ErrorOptions = {}): RegentError =>
  new RegentError('UNAVAILABLE', `the MCP server ${id} is gone: ${reason}`, options)

/** What a failed request means; a connection that cannot carry the next one either is marked lost. */
async function explained(thrown: unknown, parts: ConnectionParts, signal: AbortSignal, what: string, ms: number): Promise<unknown> {
  if (signal.aborted) return signal.reason
  const { ProtocolError, SdkError, SdkErrorCode } = await import('@modelcontextprotocol/client')
  const words = parts.scrub(reasonOf(thrown))
  if (SdkError.isInstance(thrown) && thrown.code === SdkErrorCode.RequestTimeout)
    return new RegentError('TIMED_OUT', `${what} took longer than ${ms / 1000} s`)
  if (ProtocolError.isInstance(thrown)) return new RegentError('UPSTREAM', `${what} failed: ${words}`)
  if (SdkError.isInstance(thrown) && (thrown.code === SdkErrorCode.InvalidResult || thrown.code === SdkErrorCode.UnsupportedResultType))
    return new RegentError('UPSTREAM', `${what} gave an answer that is not MCP: ${words}`)
  parts.lose(words)
  return gone(parts.id, parts.lost() ?? words, hintOf(thrown))
}

export function hintOf(thrown: unknown): ErrorOptions {
  const status = statusOf(thrown)
  if (status === 401 || status === 403) return { hint: 'The server wants another key: set auth.api_key or headers of this server.' }
  if (status === 404 || status === 405) return { hint: 'Check the url and the transport of this server: sse and http differ.' }
  return {}
}

/** HTTP's, wherever the library keeps it. */
function statusOf(thrown: unknown): number | undefined {
  const { code, status, data, name } = (thrown ?? {}) as { code?: unknown; status?: unknown; data?: { status?: unknown }; name?: unknown }
  if (name === 'UnauthorizedError') return 401
  return [status, data?.status, code].find((one) => typeof one === 'number')
}
