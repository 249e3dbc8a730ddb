import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

export interface Pages {
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  readonly port: number
  readonly seen: readonly { readonly path: string; readonly agent: string }[]
}

type Page = string | ((request: IncomingMessage, response: ServerResponse) => unknown)

/** A web site of these pages, HTML where they are texts, closed when the test ends; anything else is 404. */
export async function pages(content: Readonly<Record<string, Page>>): Promise<Pages> {
  const seen: { path: string; agent: string }[] = []
  const server = createServer((request, response) => {
    const path = (request.url ?? '').split('?')[0] ?? ''
    seen.push({ path: request.url ?? '', agent: request.headers['user-agent'] ?? '' })
    const page = content[path]
    if (page === undefined) response.writeHead(404).end('nothing here')
    else if (typeof page === 'string') response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page)
    else page(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, port, seen }
}

/** A page of another type than HTML. */
export const typed =
  (type: string, body: string | Buffer, headers: Readonly<Record<string, string>> = {}): Page =>
  (_request, response) =>
    response.writeHead(200, { 'content-type': type, ...headers }).end(body)
