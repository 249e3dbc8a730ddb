import { createClient } from 'redis'
import type { OpenBare } from './bare.ts'

export const openRedis: OpenBare = async (url, name) => {
  const [writer, reader] = [createClient({ url }), createClient({ url })]
  await Promise.all([writer.connect(), reader.connect()])
  let open = true
  let reading: Promise<void> | undefined
  return {
    async publish(body) {
      await writer.xAdd(name, '*', { id: crypto.randomUUID(), body })
    },
    async consume(handler) {
      await writer.xGroupCreate(name, 'g', '$', { MKSTREAM: true })
      reading = (async () => {
        while (open) {
          const found = await reader.xReadGroup('g', 'c', { key: name, id: '>' }, { COUNT: 128, BLOCK: 500 })
          const messages = (found as { messages: { id: string; message: Record<string, string> }[] }[] | null)?.[0]?.messages ?? []
          for (const { message } of messages) handler(message.body ?? '')
          if (messages.length > 0)
            await writer.xAck(
              name,
              'g',
              messages.map(({ id }) => id),
            )
        }
      })()
    },
    async close() {
      open = false
      await reading
      await writer.del(name)
      await Promise.all([writer.close(), reader.close()])
    },
  }
}
