import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import type { Readable } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import { checkLiteral, publicLookup } from './addresses.ts'

export interface DownloadOptions {
  readonly userAgent: string
  readonly signal: AbortSignal
  readonly largest: number
  /** Whether this very URL may lead to a private address; asked again for each redirect. */
  readonly trusts: (url: URL) => boolean
}

export interface Page {
  /** After redirects. */
  readonly url: URL
  readonly status: number
  readonly contentType: string
  readonly body: Buffer
  /** The body is longer than was read. */
  readonly cut: boolean
}

/** What cannot be fetched, in words for the one who asked. */
export class CannotFetch extends Error {
  override readonly name = 'CannotFetch'
}

const mostRedirects = 5
const redirects = new Set([301, 302, 303, 307, 308])

/** GET, redirects followed; each address is checked when its connection is made, and no other is used. */
export async function download(start: URL, options: DownloadOptions): Promise<Page> {
  let url = start
  for (let hops = 0; ; hops++) {
    const response = await get(url, options)
    const status = response.statusCode ?? 0
    const location = response.headers.location
    if (!redirects.has(status) || location === undefined) {
      const { body, cut } = await read(response, options.largest)
      return { url, status, contentType: response.headers['content-type'] ?? '', body, cut }
    }
    response.destroy()
    if (hops === mostRedirects) throw new CannotFetch(`Failed to fetch ${start}: it redirects more than ${mostRedirects} times`)
    url = nextOf(url, location, start)
  }
}

function nextOf(url: URL, location: string, start: URL): URL {
  const next = URL.canParse(location, url.href) ? new URL(location, url) : undefined
  if (next === undefined || !/^https?:$/.test(next.protocol))
    throw new CannotFetch(`Failed to fetch ${start}: it redirects to what is no http or https URL`)
  return next
}

function get(url: URL, { userAgent, signal, trusts }: DownloadOptions): Promise<IncomingMessage> {
  const trusted = trusts(url)
  if (!trusted) checkLiteral(url)
  const options = {
    headers: { 'user-agent': userAgent, accept: 'text/html,text/plain,application/json,*/*;q=0.8', 'accept-encoding': 'gzip, deflate, br' },
    signal,
    ...(!trusted && { lookup: publicLookup }),
  }
  return new Promise((resolve, reject) => {
    // A connection of its own: one that is kept could lead where another request was allowed to go.
    const request =
      url.protocol === 'https:'
        ? httpsRequest(url, { ...options, agent: new HttpsAgent({ keepAlive: false }) }, resolve)
        : httpRequest(url, { ...options, agent: new HttpAgent({ keepAlive: false }) }, resolve)
    request.on('error', reject)
    request.end()
  })
}

async function read(response: IncomingMessage, largest: number): Promise<{ body: Buffer; cut: boolean }> {
  const chunks: Buffer[] = []
  let size = 0
  const plain = decoded(response)
  try {
    for await (const chunk of plain as AsyncIterable<Buffer>) {
      chunks.push(chunk)
      size += chunk.length
      if (size > largest) return { body: Buffer.concat(chunks).subarray(0, largest), cut: true }
    }
  } finally {
    response.destroy()
    plain.destroy()
  }
  return { body: Buffer.concat(chunks), cut: false }
}

function decoded(response: IncomingMessage): Readable {
  const encoding = (response.headers['content-encoding'] ?? '').trim().toLowerCase()
  const decoder =
    encoding === 'gzip' || encoding === 'x-gzip'
      ? createGunzip()
      : encoding === 'deflate'
        ? createInflate()
        : encoding === 'br'
          ? createBrotliDecompress()
          : undefined
  if (decoder === undefined) return response
  response.on('error', (error) => decoder.destroy(error))
  return response.pipe(decoder)
}
