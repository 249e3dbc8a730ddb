import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import Fastify from 'fastify'
import { type WebSocket, WebSocketServer } from 'ws'
import { answer, takeJob } from '../lib/job.ts'
import type { RelayJob } from '../lib/relay.ts'

// The way of a message through Regent and back, and nothing else: HTTP, a WebSocket, a process that answers. Nothing is kept.

const { agents, stampFile } = await takeJob<RelayJob>()
const app = Fastify()
const sockets = new WebSocketServer({ server: app.server })
const waiting = new Map<number, (answer: object) => void>()
const links: WebSocket[] = []
let last = 0

sockets.on('connection', (socket) => {
  links.push(socket)
  socket.on('message', (data) => {
    const { number, content } = JSON.parse(String(data))
    waiting.get(number)?.({ content })
    waiting.delete(number)
  })
})

app.post<{ Params: { at: string }; Body: { content: string } }>('/agents/:at/messages', ({ params, body }) => {
  const { promise, resolve } = Promise.withResolvers<object>()
  const number = ++last
  waiting.set(number, resolve)
  links[Number(params.at)]?.send(JSON.stringify({ number, content: body.content }))
  return promise
})

const url = await app.listen({ host: '127.0.0.1', port: 0 })
for (let at = 0; at < agents; at++) await startAgent()
answer(url)

/** Resolves when it is connected and able to work. */
async function startAgent(): Promise<void> {
  const child: ChildProcess = fork(join(import.meta.dirname, 'relay-agent.ts'), [], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  child.send({ url: `ws://127.0.0.1:${(app.server.address() as AddressInfo).port}`, stampFile })
  await once(child, 'message')
}
