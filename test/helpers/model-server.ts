// A server that speaks the real wire formats of Anthropic's Messages and OpenAI's chat completions, and says what a test tells it to.
// By itself (`node test/helpers/model-server.ts`) it prints its address and echoes the last message of the user.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { isObject, type JsonObject, tryParse } from '../../src/kernel/json.ts'
import { brokenRule } from './model-rules.ts'
import { anthropicWire, openAiWire, type Wire, type WireError } from './model-wires.ts'

export interface Reply {
  /** Whole, or in the pieces in which it is streamed. */
  readonly text?: string | readonly string[]
  readonly calls?: readonly { readonly id?: string; readonly name: string; readonly input: JsonObject }[]
  /** In the words of the wire: `max_tokens`, `length`, `refusal` … */
  readonly finish?: string
  readonly usage?: { readonly input: number; readonly output: number }
  /** Between the pieces. */
  readonly pauseMs?: number
  /** Anything but 200 sends `error`. */
  readonly status?: number
  readonly error?: WireError
  readonly headers?: Readonly<Record<string, string>>
  /** After this many pieces the connection is cut, the stream is ended without its end, an error event comes, or nothing more does. */
  readonly break?: { readonly after: number; readonly how: 'cut' | 'end' | 'error' | 'hang' }
}

export interface SeenRequest {
  readonly wire: 'anthropic' | 'openai'
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly model: string
  readonly body: Record<string, unknown>
  /** Of the last user message. */
  readonly text: string
}

export type ModelScript = readonly (Reply | string)[] | ((request: SeenRequest, number: number) => Reply | string | Promise<Reply | string>)

export interface ModelServer {
  /** Without `/v1`. */
  readonly url: string
  readonly requests: readonly SeenRequest[]
  /** Connections that a client gave up before the answer's end. */
  readonly aborted: () => number
  close(): Promise<void>
}

/** A queue that has run dry answers 500, so that a test sees a request too many. */
export async function startModelServer({ script, port = 0 }: { script: ModelScript; port?: number }): Promise<ModelServer> {
  const requests: SeenRequest[] = []
  let aborted = 0
  const server = createServer(async (request, response) => {
    const seen = await seenOf(request)
    if (seen === undefined) return void response.writeHead(request.url === '/' ? 200 : 404).end()
    const number = requests.push(seen)
    response.on('close', () => {
      if (!response.writableFinished) aborted++
    })
    const broken = brokenRule(seen.wire, seen.body)
    if (broken !== undefined) return await send(response, seen, { status: 400, error: { type: 'invalid_request_error', message: broken } })
    const scripted = typeof script === 'function' ? await script(seen, number) : script[number - 1]
    const fallback: Reply = { status: 500, error: { type: 'api_error', message: 'the script has run dry' } }
    await send(response, seen, typeof scripted === 'string' ? { text: scripted } : (scripted ?? fallback))
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    aborted: () => aborted,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function seenOf(request: IncomingMessage): Promise<SeenRequest | undefined> {
  const [path = ''] = (request.url ?? '').split('?')
  const wire = path.endsWith('/messages') ? 'anthropic' : path.endsWith('/chat/completions') ? 'openai' : undefined
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  const body = tryParse(Buffer.concat(chunks).toString())
  if (wire === undefined || !isObject(body)) return undefined
  return { wire, path, headers: request.headers, model: String(body.model), body, text: lastUserText(body) }
}

function lastUserText({ messages }: Record<string, unknown>): string {
  const users = (Array.isArray(messages) ? messages : []).filter((message) => isObject(message) && message.role === 'user')
  const content = users.at(-1)?.content
  if (typeof content === 'string') return content
  return (Array.isArray(content) ? content : []).map((part) => (isObject(part) && typeof part.text === 'string' ? part.text : '')).join('')
}

async function send(response: ServerResponse, seen: SeenRequest, reply: Reply): Promise<void> {
  const wire: Wire = seen.wire === 'anthropic' ? anthropicWire : openAiWire
  if (reply.status !== undefined && reply.status !== 200) {
    const error = reply.error ?? { type: 'api_error', message: `scripted ${reply.status}` }
    response.writeHead(reply.status, { 'content-type': 'application/json', ...reply.headers }).end(JSON.stringify(wire.error(error)))
    return
  }
  const { text = '', calls = [] } = reply
  const answer = {
    id: 'msg_1',
    model: seen.model,
    pieces: typeof text === 'string' ? (text === '' ? [] : [text]) : text,
    calls: calls.map((call, at) => ({ id: `call_${at + 1}`, ...call })),
    usage: reply.usage ?? { input: 10, output: 5 },
    ...(reply.finish !== undefined && { finish: reply.finish }),
  }
  if (seen.body.stream !== true) {
    response.writeHead(200, { 'content-type': 'application/json', ...reply.headers }).end(JSON.stringify(wire.whole(answer)))
    return
  }
  response.writeHead(200, { 'content-type': 'text/event-stream', ...reply.headers })
  await stream(response, wire, wire.stream(answer), reply)
}

async function stream(response: ServerResponse, wire: Wire, frames: ReturnType<Wire['stream']>, reply: Reply): Promise<void> {
  const stop = reply.break
  response.write(frames.head)
  for (const [at, piece] of frames.pieces.entries()) {
    if (stop?.after === at) break
    if (reply.pauseMs !== undefined) await pause(reply.pauseMs)
    response.write(piece)
  }
  if (stop === undefined || stop.after > frames.pieces.length) return void response.end(frames.tail)
  if (stop.how === 'end') response.end()
  if (stop.how === 'error') response.end(wire.streamError(reply.error ?? { type: 'overloaded_error', message: 'Overloaded' }))
  // What was written must be on its way before the connection goes.
  if (stop.how === 'cut') setTimeout(() => response.destroy(), 20)
}

if (import.meta.main) {
  const server = await startModelServer({
    script: ({ text }) => ({ text: `The model heard: ${text}`.split(/(?<= )/) }),
    port: Number(process.argv[2] ?? 0),
  })
  console.log(server.url)
}
