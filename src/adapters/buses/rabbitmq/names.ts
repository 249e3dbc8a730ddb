import { RegentError } from '../../../kernel/errors.ts'
import type { SubscribeOptions, Topic } from '../../../ports/bus.ts'

/** The exchange of topics that name none. */
const EXCHANGE = 'regent'
/** Where messages go that were given up: a durable queue without arguments, so that any program can declare it too. */
export const DEAD_QUEUE = 'regent.dead'
/** Routing to one of these is never "unroutable" for the broker, and never mandatory. */
const DIRECT_REPLY = 'amq.rabbitmq.reply-to.'
const MOST_NAME = 255
/** The broker's own limit, far above what a handler is given: it ends what kills every process that takes it. */
const DELIVERY_LIMIT = 100

/** Where a topic's messages are published. */
export interface Place {
  readonly exchange: string
  readonly type: 'direct' | 'topic' | 'fanout'
  readonly key: string
  /** The broker tells when there is no such queue. */
  readonly mandatory: boolean
}

/** What a subscription declares; an empty name lets the broker choose one. */
export interface QueuePlan {
  readonly name: string
  readonly durable: boolean
  readonly exclusive: boolean
  readonly autoDelete: boolean
  readonly arguments: Readonly<Record<string, string | number | boolean>>
  /** Instead, where the broker does not offer this kind of queue. */
  readonly otherwise?: Readonly<Record<string, string | number | boolean>>
  readonly place: Place
  /** What it is bound to the exchange by. */
  readonly keys: readonly string[]
}

/** Throws INVALID for a name that AMQP cannot carry. */
export function placeOf({ name, exchange, exchangeType = 'topic' }: Topic): Place {
  const key = exchange === undefined ? literal(name) : name
  fits(key, 'topic')
  if (exchange === undefined) return { exchange: EXCHANGE, type: 'topic', key, mandatory: false }
  fits(exchange, 'exchange')
  return { exchange, type: exchangeType, key, mandatory: exchange === '' && !key.startsWith(DIRECT_REPLY) }
}

export function queuePlan(topic: Topic, { group, queue, exclusive: alone }: SubscribeOptions): QueuePlan {
  const place = placeOf(topic)
  if (queue) {
    const { name, durable, exclusive = false } = queue
    fits(name, 'queue')
    const keys = place.exchange === '' ? [] : (queue.keys ?? [place.key])
    return { name, durable, exclusive, autoDelete: false, arguments: queue.arguments ?? {}, place, keys }
  }
  if (place.exchange === '') return { name: place.key, durable: true, exclusive: false, autoDelete: false, arguments: {}, place, keys: [] }
  if (group === undefined) return { name: '', durable: false, exclusive: true, autoDelete: true, arguments: {}, place, keys: [place.key] }
  const name = groupQueue(topic, group)
  fits(name, `queue of group ${group}`)
  const dead = {
    'x-dead-letter-exchange': '',
    'x-dead-letter-routing-key': DEAD_QUEUE,
    // Quorum queues know no exclusive consumers; of these the broker itself lets one act and the next take over.
    ...(alone && { 'x-single-active-consumer': true }),
  }
  const quorum = {
    'x-queue-type': 'quorum',
    'x-delivery-limit': DELIVERY_LIMIT,
    ...dead,
    'x-dead-letter-strategy': 'at-least-once',
    'x-overflow': 'reject-publish',
  }
  return { name, durable: true, exclusive: false, autoDelete: false, arguments: quorum, otherwise: dead, place, keys: [place.key] }
}

/** `regent.{topic}.{group}`; no two topics and groups share one. */
function groupQueue({ name, exchange }: Topic, group: string): string {
  const path = (text: string) => literal(text).replaceAll('/', '%2F')
  const where = exchange === undefined ? path(name) : `${path(exchange)}/${path(name)}`
  return `regent.${where}.${path(group).replaceAll('.', '%2E')}`
}

/** As a binding reads it, nothing of it being a wildcard. */
const literal = (name: string): string =>
  /[%#*]/.test(name) ? name.replaceAll('%', '%25').replaceAll('#', '%23').replaceAll('*', '%2A') : name

/** AMQP's short strings end after 255 bytes. Throws INVALID. */
export function fits(text: string, what: string): void {
  if (text.length * 3 <= MOST_NAME || Buffer.byteLength(text) <= MOST_NAME) return
  throw new RegentError('INVALID', `the ${what} is longer than RabbitMQ's ${MOST_NAME} bytes: ${text.slice(0, 60)}…`)
}
