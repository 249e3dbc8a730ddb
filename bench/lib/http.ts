import { Agent, request } from 'node:http'

export interface Answer {
  readonly status: number
  readonly body: Record<string, unknown>
}

/** Calls over connections that are kept open, as a program that talks with Regent all day does. */
export interface Caller {
  /** Rejects when nobody answers, and on any status that is not 2xx. */
  call(method: string, path: string, body?: object): Promise<Answer>
  close(): void
}

const ANSWER_MS = 60_000

export function createCaller(url: string, token?: string): Caller {
  const agent = new Agent({ keepAlive: true })
  const { hostname, port } = new URL(url)
  return {
    close: () => agent.destroy(),
    call(method, path, body) {
      const text = body === undefined ? '' : JSON.stringify(body)
      const { promise, resolve, reject } = Promise.withResolvers<Answer>()
      const headers = {
        accept: 'application/json',
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
      }
      const outgoing = request({ agent, hostname, port, method, path, headers }, (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const answer = { status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }
          if (answer.status < 200 || answer.status > 299) reject(new Error(`${method} ${path} answered ${answer.status}: ${answer.text}`))
          else resolve({ status: answer.status, body: JSON.parse(answer.text || '{}') })
        })
      })
      outgoing.setTimeout(ANSWER_MS, () => outgoing.destroy(new Error(`${method} ${path} was not answered in time`)))
      outgoing.on('error', reject)
      outgoing.end(text)
      return promise
    },
  }
}
