import { randomUUID } from 'node:crypto'
import { onTestFinished } from 'vitest'
import type { Bus, Handler, Incoming, Outgoing, SubscribeOptions, Topic } from '../../src/ports/bus.ts'

/** A topic that no other test uses. */
export const freshTopic = (): Topic => ({ name: `regent-test-${randomUUID()}` })
export const message = (body: string, over: Partial<Outgoing> = {}): Outgoing => ({ id: randomUUID(), body, ...over })
export const bodies = (messages: readonly Incoming[]) => messages.map((one) => one.body)

/** A subscriber that keeps what it got; `work` may throw. */
export async function listen(bus: Bus, topic: Topic, options: SubscribeOptions = {}, work: Handler = async () => {}) {
  const got: Incoming[] = []
  const subscription = await bus.subscribe(
    topic,
    async (incoming, signal) => {
      got.push(incoming)
      await work(incoming, signal)
    },
    options,
  )
  onTestFinished(() => subscription.close())
  return { got, subscription }
}
