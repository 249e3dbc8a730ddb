import type { z } from 'zod'
import type { OperationName, Output, operations, StreamName, ValueName } from '../contract/operations.ts'
import { RegentError } from '../kernel/errors.ts'
import { isObject, tryParse } from '../kernel/json.ts'
import { type Endpoint, exchange } from './http.ts'
import { errorOf } from './problem.ts'
import { readBody } from './read-body.ts'
import { type Route, routes } from './routes.ts'
import type { StreamOptions } from './stream.ts'

/** What a caller gives: defaults may be left out. */
export type GivenInput<N extends OperationName> = z.input<(typeof operations)[N]['input']>

export interface CallOptions {
  /** The same key again has one effect and gets the same answer. */
  readonly key?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** Regent's operations over HTTP. Every failure is a RegentError; where nobody answers, UNAVAILABLE with `details.what` = `server`. */
export interface Client {
  call<N extends ValueName>(name: N, input: GivenInput<N>, options?: CallOptions): Promise<Output<N>>
  /** Connects at the first step; leaving the loop, or the signal, closes the connection. */
  open<N extends StreamName>(name: N, input: GivenInput<N>, options?: StreamOptions): AsyncIterable<Output<N>>
}

export interface ClientOptions extends Endpoint {
  /** Where the server is now; asked before a stream connects again, since a restarted one may have another port. */
  readonly relocate?: () => Promise<Endpoint | undefined>
}

export function createClient(options: ClientOptions): Client {
  return {
    async call(name, input, { key, signal } = {}) {
      const what = { route: routeOf(name), input: input as Record<string, unknown>, signal }
      const response = await exchange(options, key === undefined ? what : { ...what, headers: { 'idempotency-key': key } })
      const body = await readBody(response, options.url, signal)
      const status = response.statusCode ?? 0
      if (status < 200 || status > 299) throw errorOf(status, body, response.headers['retry-after'])
      const value = tryParse(body)
      if (isObject(value)) return value as Output<typeof name>
      throw new RegentError('UPSTREAM', `${options.url} did not answer with JSON`, { hint: 'check the address: is this a Regent?' })
    },
    async *open(name, input, given = {}) {
      const { streamOf } = await import('./stream.ts')
      let first = true
      const locate = async () => {
        const moved = first ? undefined : await options.relocate?.()
        first = false
        return moved ?? options
      }
      const what = { route: routeOf(name), input: input as Record<string, unknown>, signal: given.signal }
      yield* streamOf(locate, what, given) as AsyncGenerator<Output<typeof name>>
    },
  }
}

function routeOf(name: string): Route {
  const route = routes[name]
  if (route) return route
  throw new RegentError('BAD_REQUEST', `there is no operation ${name}`)
}
