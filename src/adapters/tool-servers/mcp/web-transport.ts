import type { Transport } from '@modelcontextprotocol/client'
import type { McpServer } from '../../../contract/team.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { RegentError } from '../../../kernel/errors.ts'

export interface WebOptions {
  readonly config: McpServer
  readonly clock: Clock
  /** The event stream of the SSE transport ended: nothing will come any more. */
  readonly onLost: (reason: string) => void
}

const largestReply = 64 * 1024 * 1024

/** Streamable HTTP or the older SSE. Redirects are followed within the origin only: a key goes nowhere else. */
export async function openWebTransport({ config, clock, onLost }: WebOptions): Promise<Transport> {
  const url = addressOf(config)
  const { StreamableHTTPClientTransport, SSEClientTransport } = await import('@modelcontextprotocol/client')
  const requestInit = { headers: headersOf(config) }
  if (config.transport === 'http') return new StreamableHTTPClientTransport(url, { requestInit, fetch: boundedFetch })
  const idleMs = config.read_transport_sse_timeout_seconds * 1000
  return new SSEClientTransport(url, { requestInit, fetch: watchedFetch(clock, idleMs, onLost) })
}

function addressOf({ url, transport }: McpServer): URL {
  const hint = 'Write `url` like https://host/path.'
  if (url === undefined) throw new RegentError('INVALID', `an MCP server with transport ${transport} needs a url`, { hint })
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol))
    throw new RegentError('INVALID', 'the url of an MCP server is not an http or https URL', { hint })
  return parsed
}

/** `headers` as written; `auth.api_key` as a bearer token where no header says otherwise. */
function headersOf({ headers, auth }: McpServer): Headers {
  try {
    const sent = new Headers(headers)
    if (auth?.api_key !== undefined && auth.api_key !== '' && !sent.has('authorization'))
      sent.set('authorization', `Bearer ${auth.api_key}`)
    return sent
  } catch {
    throw new RegentError('INVALID', 'a header of an MCP server holds what no HTTP header may hold', {
      hint: 'Check `headers` and `auth.api_key`.',
    })
  }
}

type Fetch = (url: string | URL, init?: RequestInit) => Promise<Response>

/** Replies that are no event streams end; one that does not is cut. */
const boundedFetch: Fetch = async (url, init) => {
  const response = await fetch(url, init)
  return isEventStream(response) ? response : through(response, meter())
}

function meter(): TransformStream<Uint8Array, Uint8Array> {
  let bytes = 0
  return new TransformStream({
    transform(chunk, controller) {
      bytes += chunk.byteLength
      if (bytes > largestReply) controller.error(new RegentError('UPSTREAM', `a reply of the server is longer than ${largestReply} bytes`))
      else controller.enqueue(chunk)
    },
  })
}

/** Sees the end of the event stream, and its silence; the library would open another one, which the server does not know. */
function watchedFetch(clock: Clock, idleMs: number, onLost: (reason: string) => void): Fetch {
  return async (url, init) => {
    const response = await boundedFetch(url, init)
    if (!isEventStream(response) || !response.ok) return response
    const silent = () => onLost(`its event stream was silent for ${idleMs / 1000} s`)
    let cancel = clock.after(idleMs, silent)
    const end = (reason: string) => {
      cancel()
      onLost(reason)
    }
    const watch = new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        cancel()
        cancel = clock.after(idleMs, silent)
        controller.enqueue(chunk)
      },
      flush: () => end('it ended its event stream'),
      cancel: () => end('its event stream was cut'),
    })
    return through(response, watch)
  }
}

const isEventStream = (response: Response): boolean => (response.headers.get('content-type') ?? '').startsWith('text/event-stream')

function through(response: Response, stream: TransformStream<Uint8Array, Uint8Array>): Response {
  const body = response.body?.pipeThrough(stream) ?? null
  const copy = new Response(body, { status: response.status, statusText: response.statusText, headers: response.headers })
  // The library compares it with what it asked for, to find redirects.
  Object.defineProperty(copy, 'url', { value: response.url })
  return copy
}
