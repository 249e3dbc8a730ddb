import { connect } from 'node:net'
import { Client, type IMessage, type IStompSocket } from '@stomp/stompjs'
import type { OpenBare } from './bare.ts'

/** Over TCP, in the way that the library's documents tell for sockets of one's own. */
function overTcp(host: string, port: number): IStompSocket {
  const socket = connect({ port, host, noDelay: true })
  const self: IStompSocket & { readyState: number } = {
    url: `tcp://${host}:${port}`,
    readyState: 0,
    close: () => void socket.end(),
    send: (data) => void socket.write(typeof data === 'string' ? data : Buffer.from(data as ArrayBuffer)),
    onclose: undefined,
    onerror: undefined,
    onmessage: undefined,
    onopen: undefined,
  }
  socket.on('connect', () => {
    self.readyState = 1
    self.onopen?.()
  })
  socket.on('data', (chunk) => self.onmessage?.({ data: new Uint8Array(chunk).buffer }))
  socket.on('close', () => {
    self.readyState = 3
    self.onclose?.()
  })
  socket.on('error', (error) => self.onerror?.(error))
  return self
}

async function open(url: string): Promise<{ readonly client: Client; readonly server: string }> {
  const { hostname, port, username, password } = new URL(url)
  const client = new Client({
    webSocketFactory: () => overTcp(hostname, Number(port)),
    forceBinaryWSFrames: true,
    connectHeaders: { login: username || 'admin', passcode: password || 'admin', host: username === 'guest' ? '/' : hostname },
    heartbeatIncoming: 0,
    heartbeatOutgoing: 0,
  })
  const server = await new Promise<string>((resolve, reject) => {
    client.onConnect = (frame) => resolve(frame.headers.server ?? '')
    client.onStompError = (frame) => reject(new Error(frame.headers.message))
    client.activate()
  })
  return { client, server }
}

/** A topic with a durable group, as each broker has it. */
function placesAt(server: string, name: string) {
  if (server.startsWith('RabbitMQ')) {
    const group = { 'x-queue-name': `${name}.g`, durable: 'true', 'auto-delete': 'false', 'prefetch-count': '128' }
    return { to: `/topic/${name}`, from: `/topic/${name}`, group }
  }
  return { to: `/topic/VirtualTopic.${name}`, from: `/queue/Consumer.g.VirtualTopic.${name}`, group: { 'activemq.prefetchSize': '128' } }
}

/** Two connections: on one ActiveMQ's small answers wait for each other, since it leaves Nagle's algorithm on. */
export const openStomp: OpenBare = async (url, name) => {
  const [{ client: writer, server }, { client: reader }] = await Promise.all([open(url), open(url)])
  const { to, from, group } = placesAt(server, name)
  let receipts = 0
  return {
    publish(body) {
      const receipt = `r${++receipts}`
      return new Promise((resolve) => {
        writer.watchForReceipt(receipt, () => resolve())
        writer.publish({
          destination: to,
          body,
          headers: { receipt, persistent: 'true', 'content-type': 'application/json', 'regent-id': crypto.randomUUID() },
          skipContentLengthHeader: true,
        })
      })
    },
    async consume(handler) {
      const subscribed = new Promise<void>((resolve) => reader.watchForReceipt('subscribed', () => resolve()))
      const take = (message: IMessage) => {
        handler(message.body)
        message.ack()
      }
      reader.subscribe(from, take, { ...group, ack: 'client-individual', receipt: 'subscribed' })
      await subscribed
    },
    async close() {
      await Promise.all([writer.deactivate(), reader.deactivate()])
    },
  }
}
