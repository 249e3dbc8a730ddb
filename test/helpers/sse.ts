import { get, type IncomingMessage } from 'node:http'
import { onTestFinished } from 'vitest'
import { until } from './until.ts'

export interface SseEvent {
  readonly id?: string
  readonly event?: string
  readonly data: unknown
}

export interface SseReader {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  /** Events and texts so far. */
  readonly events: SseEvent[]
  text(): string
  ended(): boolean
  next(count: number): Promise<readonly SseEvent[]>
  close(): void
}

/** Opens a stream of server-sent events and collects what comes; closed with the test. */
export async function readSse(url: string, headers: Record<string, string> = {}): Promise<SseReader> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get(url, { headers: { accept: 'text/event-stream', ...headers }, agent: false }, resolve).on('error', reject)
  })
  onTestFinished(() => void response.destroy())
  const events: SseEvent[] = []
  let text = ''
  let rest = ''
  let ended = false
  response.setEncoding('utf8')
  response.on('data', (chunk: string) => {
    text += chunk
    rest += chunk
    const blocks = rest.split('\n\n')
    rest = blocks.pop() ?? ''
    for (const block of blocks) {
      const event = parse(block)
      if (event) events.push(event)
    }
  })
  response.on('close', () => (ended = true))
  response.on('error', () => (ended = true))
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    events,
    text: () => text,
    ended: () => ended,
    async next(count) {
      await until(() => events.length >= count, `${count} events`)
      return events
    },
    close: () => void response.destroy(),
  }
}

function parse(block: string): SseEvent | undefined {
  const fields = new Map(block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)] as const))
  const data = fields.get('data')
  if (data === undefined) return undefined
  const id = fields.get('id')
  const event = fields.get('event')
  return { ...(id !== undefined && { id }), ...(event !== undefined && { event }), data: JSON.parse(data) }
}
