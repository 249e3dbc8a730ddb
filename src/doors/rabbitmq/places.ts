import type { SubscribeOptions, Topic } from '../../ports/bus.ts'

/** Exchanges and queues as 001's programs know them (CONTRACT.md 2.1). */

/** Who speaks in this door's events. */
export const SOURCE = 'agent-manager'
/** Of all Regents that answer one queue, one does. */
const GROUP = 'agent-manager'
const PREFETCH = 10

const direct = (name: string): Topic => ({ exchange: 'autogen.direct', exchangeType: 'direct', name })
export const eventTopic = (type: string): Topic => ({ exchange: 'autogen.events', exchangeType: 'topic', name: type })

interface Place {
  readonly topic: Topic
  readonly options: SubscribeOptions
}

// What is refused is dead-lettered at once, with its reason; what can be tried again is tried again before that.
const shared = { group: GROUP, exclusive: true, maxAttempts: 1 } as const

export const commandPlace: Place = {
  topic: direct('agent-manager'),
  options: { ...shared, concurrency: PREFETCH, queue: { name: 'autogen.direct.agent-manager', durable: true, keys: ['agent-manager'] } },
}

export const triggerPlace: Place = {
  topic: eventTopic('agent.created'),
  options: {
    ...shared,
    concurrency: PREFETCH,
    queue: {
      name: 'agent-manager-events',
      durable: true,
      keys: ['agent.created', 'agent.updated'],
      arguments: { 'x-message-ttl': 3_600_000, 'x-max-length': 10_000 },
    },
  },
}

/** What is said to all: nothing of it is for the manager, which is there as 001's programs expect it. */
export const broadcastPlace: Place = {
  topic: { exchange: 'autogen.broadcast', exchangeType: 'fanout', name: '' },
  options: { group: GROUP, concurrency: PREFETCH, queue: { name: 'autogen.broadcast.agent-manager', durable: false, exclusive: true } },
}

export const agentTopic = (agentId: string): Topic => direct(`agent-${agentId}`)

/** One agent's own queue: one message at a time. */
export const agentPlace = (agentId: string): Place => ({
  topic: agentTopic(agentId),
  options: {
    ...shared,
    group: `agent-${agentId}`,
    concurrency: 1,
    queue: { name: `autogen.direct.agent-${agentId}`, durable: true, keys: [`agent-${agentId}`] },
  },
})

/** The queue that an answer was asked for on. */
export const replyTopic = (queue: string): Topic => ({ exchange: '', name: queue })

/** Whether a text can be a property of a message: AMQP's end after 255 bytes. What does not fit stands in the body. */
export const fits = (text: string | null): text is string => text !== null && Buffer.byteLength(text) <= 255
