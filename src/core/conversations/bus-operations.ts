import type { Ids } from '../../kernel/ids.ts'
import type { Bus, Incoming } from '../../ports/bus.ts'
import type { Handlers, Streams } from '../handling.ts'

export interface BusOptions {
  readonly bus: Bus
  readonly ids: Ids
}

/** Messages that may wait for a slow reader of a topic; past that the oldest are dropped. */
const MOST_WAITING = 1000

export function busOperations({ bus, ids }: BusOptions): Handlers<'bus.publish'> {
  return {
    async 'bus.publish'({ topic, message, key }, { signal }) {
      const id = ids.next()
      const body = typeof message === 'string' ? message : JSON.stringify(message ?? null)
      await bus.publish({ name: topic }, { id, body, ...(key !== undefined && { key }) }, signal)
      return { id, topic }
    },
  }
}

export function busStreams({ bus }: BusOptions): Streams<'bus.tail'> {
  return {
    async *'bus.tail'({ topic }, { signal }) {
      const waiting: Incoming[] = []
      let wake = () => {}
      const subscription = await bus.subscribe({ name: topic }, async (message) => {
        if (waiting.length >= MOST_WAITING) waiting.shift()
        waiting.push(message)
        wake()
      })
      const aborted = () => wake()
      signal.addEventListener('abort', aborted, { once: true })
      try {
        while (!signal.aborted) {
          const message = waiting.shift()
          if (message) yield { id: message.id, topic: message.topic.name, body: message.body }
          else
            await new Promise<void>((resolve) => {
              wake = resolve
              if (signal.aborted) resolve()
            })
        }
      } finally {
        signal.removeEventListener('abort', aborted)
        await subscription.close()
      }
    },
  }
}
