import type { IncomingMessage } from 'node:http'
import { RegentError } from '../kernel/errors.ts'
import { unreachable } from './http.ts'

const LARGEST = 64 * 2 ** 20

/** The whole body as text; throws TOO_LARGE beyond 64 MiB, UNAVAILABLE when the connection is cut, the signal's reason when it aborts. */
export async function readBody(response: IncomingMessage, url: string, signal?: AbortSignal): Promise<string> {
  response.setEncoding('utf8')
  let text = ''
  try {
    for await (const chunk of response) {
      text += String(chunk)
      if (text.length > LARGEST) throw new RegentError('TOO_LARGE', 'the answer is larger than 64 MiB')
    }
  } catch (error) {
    if (signal?.aborted) throw signal.reason
    throw error instanceof RegentError ? error : unreachable(url, error)
  }
  return text
}
