import type { IncomingMessage } from 'node:http'
import { RegentError } from '../kernel/errors.ts'
import { unreachable } from './http.ts'

const LARGEST = 64 * 2 ** 20

/** The whole body as text; throws TOO_LARGE beyond 64 MiB and UNAVAILABLE when the connection is cut. */
export async function readBody(response: IncomingMessage, url: string): Promise<string> {
  response.setEncoding('utf8')
  let text = ''
  try {
    for await (const chunk of response) {
      text += String(chunk)
      if (text.length > LARGEST) throw new RegentError('TOO_LARGE', 'the answer is larger than 64 MiB')
    }
  } catch (error) {
    throw error instanceof RegentError ? error : unreachable(url, error)
  }
  return text
}
