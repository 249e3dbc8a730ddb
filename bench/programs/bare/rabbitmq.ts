import { Connection } from 'rabbitmq-client'
import type { OpenBare } from './bare.ts'

export const openRabbitmq: OpenBare = async (url, name) => {
  const connection = new Connection({ url, noDelay: true })
  connection.on('error', (error) => process.stderr.write(`${String(error)}\n`))
  const publisher = connection.createPublisher({ confirm: true })
  const queues = await connection.acquire()
  await queues.queueDeclare({ queue: name, durable: true, arguments: { 'x-queue-type': 'quorum' } })
  return {
    async publish(body) {
      await publisher.send(
        { routingKey: name, durable: true, messageId: crypto.randomUUID(), contentType: 'application/json' },
        Buffer.from(body),
      )
    },
    async consume(handler) {
      const consumer = connection.createConsumer(
        { queue: name, queueOptions: { passive: true }, qos: { prefetchCount: 128 } },
        async ({ body }) => {
          handler(Buffer.isBuffer(body) ? body.toString() : typeof body === 'string' ? body : JSON.stringify(body))
        },
      )
      await new Promise<void>((resolve) => consumer.once('ready', () => resolve()))
    },
    async close() {
      await queues.queueDelete({ queue: name })
      await queues.close()
      await publisher.close()
      connection.unsafeDestroy()
    },
  }
}
