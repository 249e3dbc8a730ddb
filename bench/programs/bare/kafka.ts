import { Admin, Consumer, ProduceAcks, Producer, stringDeserializers, stringSerializers } from '@platformatic/kafka'
import type { OpenBare } from './bare.ts'

export const openKafka: OpenBare = async (url, name) => {
  const bootstrapBrokers = [url.replace('kafka://', '')]
  const admin = new Admin({ clientId: 'bare', bootstrapBrokers })
  await admin.createTopics({ topics: [name], partitions: 1, replicas: 1 })
  const producer = new Producer({ clientId: 'bare', bootstrapBrokers, serializers: stringSerializers })
  const consumer = new Consumer({ clientId: 'bare', bootstrapBrokers, groupId: name, deserializers: stringDeserializers })
  const waiting: { topic: string; value: string; headers: Record<string, string> }[] = []
  let sending = Promise.resolve()
  return {
    // What comes while a send is under way goes with the next: the library sends what it is given at once.
    publish(body) {
      waiting.push({ topic: name, value: body, headers: { 'regent-id': crypto.randomUUID() } })
      sending = sending.then(async () => {
        const messages = waiting.splice(0)
        if (messages.length > 0) await producer.send({ messages, acks: ProduceAcks.ALL })
      })
      return sending
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
