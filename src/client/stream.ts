import { setTimeout as pause } from 'node:timers/promises'
import { createParser } from 'eventsource-parser'
import { RegentError } from '../kernel/errors.ts'
import { tryParse } from '../kernel/json.ts'
import { type Endpoint, type Exchange, exchange, unreachable } from './http.ts'
import { errorOf } from './problem.ts'
import { readBody } from './read-body.ts'

export interface StreamOptions {
  /** Ends the stream without an error. */
  readonly signal?: AbortSignal | undefined
  /** Goes on after this event. */
  readonly lastEventId?: string | undefined
  /** Told before each attempt to connect again. */
  readonly onLost?: ((error: RegentError) => void) | undefined
}

/** Nothing at all for this long, where the server sends a heartbeat every 15 s, is a dead connection. */
const SILENCE_MS = 60_000
/** A server that cannot be reached for this long is given up. */
const PATIENCE_MS = 120_000
const LARGEST_EVENT = 16 * 2 ** 20

/**
 * The items of a stream. One whose items carry ids is resumed with Last-Event-ID when the connection is lost, and then never ends
 * by itself; any other ends with the server's end, and throws UNAVAILABLE when it is cut.
 */
export async function* streamOf(locate: () => Promise<Endpoint>, what: Exchange, options: StreamOptions): AsyncGenerator<object> {
  let last = options.lastEventId
  let lostAt: number | undefined
  for (let attempt = 0; ; attempt++) {
    const endpoint = await locate()
    try {
      for await (const item of connection(endpoint, what, last)) {
        lostAt = undefined
        attempt = 0
        last = item.id ?? last
        yield item.data
      }
      if (last === undefined) return
      throw unreachable(endpoint.url, undefined)
    } catch (error) {
      if (options.signal?.aborted) return
      const lost = error instanceof RegentError && error.details.what === 'server'
      lostAt ??= performance.now()
      if (!lost || last === undefined || performance.now() - lostAt > PATIENCE_MS) throw error
      options.onLost?.(error)
      await pause(Math.min(5000, 250 * 2 ** Math.min(attempt, 5)), undefined, { signal: options.signal }).catch(() => {})
      if (options.signal?.aborted) return
    }
  }
}

async function* connection(
  endpoint: Endpoint,
  what: Exchange,
  last: string | undefined,
): AsyncGenerator<{ id: string | undefined; data: object }> {
  const response = await exchange(endpoint, last === undefined ? what : { ...what, headers: { ...what.headers, 'last-event-id': last } })
  if (response.statusCode !== 200)
    throw errorOf(response.statusCode ?? 0, await readBody(response, endpoint.url), response.headers['retry-after'])
  const items: { id: string | undefined; data: object }[] = []
  let failure: RegentError | undefined
  const parser = createParser({
    maxBufferSize: LARGEST_EVENT,
    onEvent({ event, id, data }) {
      const value = tryParse(data)
      if (event === 'error') failure = errorOf(0, data)
      else if (typeof value === 'object' && value !== null) items.push({ id, data: value })
    },
    onError(error) {
      if (error.type === 'max-buffer-size-exceeded') failure = new RegentError('UPSTREAM', 'the server sent an event larger than 16 MiB')
    },
  })
  response.socket.setTimeout(SILENCE_MS, () => response.destroy(new Error('silent for too long')))
  response.setEncoding('utf8')
  try {
    for await (const chunk of response) {
      parser.feed(String(chunk))
      yield* items.splice(0)
      if (failure) throw failure
    }
  } catch (error) {
    throw error instanceof RegentError ? error : unreachable(endpoint.url, error)
  } finally {
    response.destroy()
  }
}
