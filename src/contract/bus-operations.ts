import { z } from 'zod'
import { count, define, flag } from './define.ts'
import { agentRef } from './names.ts'

/** Names of brokers: `bus` is Regent's own, the others go by their kind. */
export const brokerNames = ['bus', 'redis', 'kafka', 'rabbitmq', 'stomp'] as const
export type BrokerName = (typeof brokerNames)[number]

const broker = z.enum(brokerNames).describe("which broker; `bus` is Regent's own")
const topic = z.string().min(1).max(300)
const place = {
  topic: topic.optional().describe('needed unless an agent is named'),
  broker: broker.optional().describe("default `bus`, Regent's own; an agent's channel is on its own broker"),
  agent: agentRef.optional().describe("an agent's channel in place of broker and topic"),
  fleeting: flag.default(false).describe('Redis: pub/sub, which reaches who listens now, in place of a stream, which keeps'),
  exchange: z.string().max(255).optional().describe('RabbitMQ: the exchange, the topic being the routing key'),
}

/** How a relay of the outbox stands. */
const relayView = z
  .object({
    name: z.string(),
    broker: z.string(),
    position: z.number().int().describe('number of the last event that it is done with'),
    backlog: z.number().int().describe('events after it, as far as their numbers tell'),
    sent: z.number().int().describe('messages that the broker confirmed, since Regent started'),
    refused: z.number().int().describe('messages that the broker will never take, since Regent started'),
    dropped: z.number().int().describe('health and log events that were forgotten before they were sent'),
    retrying: z.string().nullable().describe('why it waits, while its broker is away'),
  })
  .meta({ id: 'Relay' })
export type RelayView = z.output<typeof relayView>

const brokerView = z
  .object({
    name: z.string(),
    kind: z.string(),
    address: z.string().describe('without secrets'),
    connected: z.boolean().describe('whether it answers'),
    since: z.number().int().describe('epoch ms: since when it is so'),
    reason: z.string().nullable().describe('why it cannot be used'),
    reconnects: z.number().int(),
    lag: z
      .array(z.object({ topic: z.string(), group: z.string().nullable(), waiting: z.number().int().nullable() }))
      .describe("what waits for each of Regent's subscriptions; null where the broker does not tell"),
    dead_letters: z.number().int().nullable().describe('1000 stands for so many or more; null where the broker does not tell'),
  })
  .meta({ id: 'Broker' })
export type BrokerView = z.output<typeof brokerView>

const deadLetter = z
  .object({
    id: z.string().describe('`BROKER:…`, or `inbox:MESSAGE` for a message in the inbox of an agent'),
    broker: z.string().describe('where it lies; `inbox` for messages to agents'),
    topic: z.string().nullable(),
    group: z.string().nullable(),
    agent: z.string().nullable().describe('owner/name'),
    message_id: z.string(),
    reason: z.string(),
    attempts: z.number().int(),
    at: z.number().int().describe('epoch ms: when it was given up, or for an inbox when it came'),
    body: z.string().describe('in a list its first 500 characters'),
    content_type: z.string().nullable(),
    key: z.string().nullable(),
    headers: z.record(z.string(), z.string()),
  })
  .meta({ id: 'DeadLetter' })
export type DeadLetterView = z.output<typeof deadLetter>

const letter = { id: z.string().min(1).max(1000).describe('as the list tells it') }

/** What may be asked of the brokers. What names an agent is for whoever may use the agent, all else for admins. */
export const busOperations = {
  'bus.publish': define({
    name: 'bus.publish',
    summary: "Publish a message on a topic of a broker, or on an agent's channel",
    effect: 'change',
    role: 'user',
    reply: 'value',
    http: { method: 'POST', path: '/api/v1/bus/publish' },
    input: z
      .object({
        ...place,
        message: z.unknown().describe('a text as it is, all else as JSON; a text for an agent becomes its envelope'),
        key: z.string().max(300).optional().describe('messages of one key stay in order'),
        id: z.string().min(1).max(200).optional().describe('default a new one'),
        content_type: z.string().min(1).max(200).optional(),
        headers: z.record(z.string().min(1).max(200), z.string().max(8000)).optional(),
      })
      .strict(),
    output: z.object({ id: z.string(), topic: z.string(), broker: z.string() }),
  }),
  'bus.tail': define({
    name: 'bus.tail',
    summary: 'Follow a topic of a broker, or what an agent says on its channel',
    effect: 'read',
    role: 'read-only',
    reply: 'stream',
    http: { method: 'GET', path: '/api/v1/bus/tail' },
    input: z
      .object({
        ...place,
        from: z
          .enum(['latest', 'earliest'])
          .default('latest')
          .describe('earliest: what the broker keeps comes first (Redis streams, Kafka)'),
        group: z.string().min(1).max(200).optional().describe('share the messages with others of this group, which goes on where it stood'),
      })
      .strict(),
    output: z.object({
      id: z.string(),
      topic: z.string(),
      body: z.string(),
      key: z.string().nullable(),
      content_type: z.string().nullable(),
      headers: z.record(z.string(), z.string()),
      attempt: z.number().int(),
    }),
  }),
  'bus.topics': define({
    name: 'bus.topics',
    summary: 'List the topics of a broker',
    effect: 'read',
    role: 'admin',
    reply: 'value',
    http: { method: 'GET', path: '/api/v1/bus/topics' },
    input: z.object({ broker: broker.default('bus') }).strict(),
    output: z.object({
      topics: z.array(
        z.object({
          name: z.string(),
          subscribers: z.number().int().nullable(),
          waiting: z.number().int().nullable().describe('null where the broker does not tell'),
        }),
      ),
    }),
  }),
  'bus.status': define({
    name: 'bus.status',
    summary: 'How each broker is, what waits there, and how far the outbox is',
    effect: 'read',
    role: 'admin',
    reply: 'value',
    http: { method: 'GET', path: '/api/v1/bus/status' },
    input: z.object({}).strict(),
    output: z.object({
      brokers: z.array(brokerView),
      relays: z.array(relayView),
      dead_in_inboxes: z.number().int().describe('messages that agents gave up; 1000 stands for so many or more'),
    }),
  }),
  'bus.dead.list': define({
    name: 'bus.dead.list',
    summary: 'List messages that were given up, at brokers and in the inboxes of agents',
    effect: 'read',
    role: 'read-only',
    reply: 'value',
    http: { method: 'GET', path: '/api/v1/bus/dead' },
    input: z
      .object({
        broker: z.enum([...brokerNames, 'inbox']).optional(),
        topic: topic.optional(),
        agent: agentRef.optional().describe('only of its inbox'),
        limit: count(1, 1000).default(100),
      })
      .strict(),
    output: z.object({
      letters: z.array(deadLetter),
      unreachable: z.array(z.object({ broker: z.string(), reason: z.string() })).describe('brokers that could not be asked'),
    }),
  }),
  'bus.dead.show': define({
    name: 'bus.dead.show',
    summary: 'Show a message that was given up, whole',
    effect: 'read',
    role: 'read-only',
    reply: 'value',
    http: { method: 'GET', path: '/api/v1/bus/dead/:id' },
    input: z.object(letter).strict(),
    output: deadLetter,
  }),
  'bus.dead.requeue': define({
    name: 'bus.dead.requeue',
    summary: 'Have a message that was given up delivered once more',
    effect: 'change',
    role: 'user',
    reply: 'value',
    http: { method: 'POST', path: '/api/v1/bus/dead/:id/requeue' },
    input: z.object(letter).strict(),
    output: z.object({ id: z.string(), message_id: z.string().describe('under which it is delivered; a new one for an inbox') }),
  }),
  'bus.dead.drop': define({
    name: 'bus.dead.drop',
    summary: 'Forget a message that was given up',
    effect: 'destroy',
    role: 'user',
    reply: 'value',
    http: { method: 'DELETE', path: '/api/v1/bus/dead/:id' },
    input: z.object(letter).strict(),
    output: z.object({ id: z.string(), dropped: z.boolean() }),
  }),
} as const
