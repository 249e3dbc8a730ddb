import { reasonOf, systemCode } from '../../../kernel/errors.ts'
import type { Channel } from './library.ts'
import { DEAD_QUEUE, type QueuePlan } from './names.ts'

type Arguments = QueuePlan['arguments']

/** Declares a plan's exchange, queue and bindings; the answer is the queue's name. Rejects with the library's error, the channel being closed then. */
export async function declare(channel: Channel, plan: QueuePlan, args: Arguments): Promise<string> {
  const { exchange, type } = plan.place
  if (exchange !== '') await channel.exchangeDeclare({ exchange, type, durable: true })
  if (plan.otherwise) await channel.queueDeclare({ queue: DEAD_QUEUE, durable: true })
  const { name, durable, exclusive, autoDelete } = plan
  const { queue } = await channel.queueDeclare({ queue: name, durable, exclusive, autoDelete, arguments: args })
  for (const routingKey of plan.keys) await channel.queueBind({ queue, exchange, routingKey })
  return queue
}

/** Whether the broker, or what stands there already, is of another kind than a quorum queue. */
export const isOtherKind = (error: unknown): boolean =>
  systemCode(error) === 'PRECONDITION_FAILED' && /x-queue-type|quorum/.test(reasonOf(error))
