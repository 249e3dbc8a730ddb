import { setImmediate as turn } from 'node:timers/promises'
import { Admin, Consumer, ProduceAcks, Producer, stringDeserializers, stringSerializers } from '@platformatic/kafka'
import type { OpenBare } from './bare.ts'

export const openKafka: OpenBare = async (url, name) => {
  const bootstrapBrokers = [url.replace('kafka://', '')]
  const admin = new Admin({ clientId: 'bare', bootstrapBrokers })
  await admin.createTopics({ topics: [name], partitions: 1, replicas: 1 })
  const producer = new Producer({ clientId: 'bare', bootstrapBrokers, serializers: stringSerializers })
  const consumer = new Consumer({ clientId: 'bare', bootstrapBrokers, groupId: name, deserializers: stringDeserializers })
  let waiting: { topic: string; value: string; headers: Record<string, string> }[] = []
  let sending: Promise<unknown> = Promise.resolve()
  let next: Promise<void> | undefined
  const sendNext = async (): Promise<void> => {
    await sending
    await turn()
    const messages = waiting
    waiting = []
    next = undefined
    sending = producer.send({ messages, acks: ProduceAcks.ALL })
    await sending
  }
  return {
    // One request after the other, so that they stay in order; what comes while one is under way goes together with the next.
    publish(body) {
      waiting.push({ topic: name, value: body, headers: { 'regent-id': crypto.randomUUID() } })
      next ??= sendNext()
      return next
    },
    async consume(handler) {
      const stream = await consumer.consume({ topics: [name], autocommit: 250, mode: 'latest', maxWaitTime: 100 })
      stream.on('data', (message) => handler(message.value))
      stream.on('error', (error) => process.stderr.write(`${String(error)}\n`))
    },
    async close() {
      await consumer.close(true)
      await producer.close()
      await admin.deleteTopics({ topics: [name] })
      await admin.close()
    },
  }
}
