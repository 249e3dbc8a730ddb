import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { routes } from '../../src/client/routes.ts'
import { RegentError } from '../../src/kernel/errors.ts'

export interface FakeRequest {
  readonly operation: string
  readonly input: Readonly<Record<string, unknown>>
  readonly headers: IncomingMessage['headers']
}

/** Answers one operation; for streams an async iterable of items, which may carry `id`. Errors become problem+json. */
export type FakeHandler = (
  input: Readonly<Record<string, unknown>>,
  request: FakeRequest,
) => object | AsyncIterable<{ readonly id?: string; readonly data: object }> | Promise<object>

export interface FakeNativeApi {
  readonly url: string
  /** In order of arrival. */
  readonly requests: FakeRequest[]
  /** Replaces what answers an operation. */
  on(operation: string, handler: FakeHandler): void
  /** Cuts every open connection, as a crash would. */
  cut(): void
  close(): Promise<void>
}

const parametersOf = (path: string): number => path.split(':').length
/** Addresses without parameters win, as in the server. */
const matchers = Object.entries(routes)
  .toSorted(([, a], [, b]) => parametersOf(a.path) - parametersOf(b.path))
  .map(([operation, { method, path, reply }]) => ({
    operation,
    method,
    reply,
    pattern: new RegExp(`^${path.replace(/:([a-z_]+)/g, '(?<$1>[^/]+)')}$`),
  }))

/** The native API over real HTTP, with answers that a test gives. */
export async function startFakeNativeApi(handlers: Readonly<Record<string, FakeHandler>> = {}): Promise<FakeNativeApi> {
  const answers = new Map(Object.entries(handlers))
  const requests: FakeRequest[] = []
  const server = createServer((request, response) => void serve(request, response).catch((error) => sendError(response, error)))
  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://localhost')
    const found = matchers
      .filter(({ method }) => method === request.method)
      .map((matcher) => ({ ...matcher, match: matcher.pattern.exec(url.pathname) }))
      .find(({ match }) => match !== null)
    if (!found) throw new RegentError('NOT_FOUND', `there is no ${request.method} ${url.pathname}`)
    const path = Object.fromEntries(Object.entries(found.match?.groups ?? {}).map(([name, value]) => [name, decodeURIComponent(value)]))
    const body = await text(request)
    const input = { ...Object.fromEntries(url.searchParams), ...(body === '' ? {} : JSON.parse(body)), ...path }
    const asked = { operation: found.operation, input, headers: request.headers }
    requests.push(asked)
    const handler = answers.get(found.operation)
    if (!handler) throw new RegentError('NOT_YET', `the fake does not answer ${found.operation}`)
    const answer = await handler(input, asked)
    if (found.reply === 'value') response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
    else await stream(response, answer as AsyncIterable<{ id?: string; data: object }>)
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    on: (operation, handler) => void answers.set(operation, handler),
    cut: () => server.closeAllConnections(),
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function stream(response: ServerResponse, items: AsyncIterable<{ id?: string; data: object }>): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.write(': here\n\n')
  for await (const { id, data } of items) {
    if (response.destroyed) return
    response.write(`${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`)
  }
  response.end()
}

function sendError(response: ServerResponse, error: unknown): void {
  const known = error instanceof RegentError ? error : new RegentError('INTERNAL', String(error))
  const problem = { code: known.code, detail: known.message, hint: known.hint ?? null, errors: known.fields, details: known.details }
  if (response.headersSent) response.end(`event: error\ndata: ${JSON.stringify(problem)}\n\n`)
  else response.writeHead(known.status, { 'content-type': 'application/problem+json' }).end(JSON.stringify(problem))
}
