import { RegentError } from '../../../kernel/errors.ts'
import type { SubscribeOptions, Topic } from '../../../ports/bus.ts'
import type { Headers } from './delivery.ts'

export type BrokerName = 'activemq' | 'rabbitmq' | 'other'

/** `server`: the header of the CONNECTED frame. */
export function brokerOf(server: string | undefined): BrokerName {
  if (/^activemq\//i.test(server ?? '')) return 'activemq'
  if (/^rabbitmq\//i.test(server ?? '')) return 'rabbitmq'
  return 'other'
}

/** What to subscribe to. */
export interface Source {
  readonly destination: string
  readonly headers: Headers
  /** A queue that only one connection can have: to be had before the subscription (RabbitMQ's way of an exclusive one). */
  readonly lock?: { readonly destination: string; readonly headers: Headers }
}

const PREFIX = /^\/(?:queue|topic|exchange)\//
const VIRTUAL = 'VirtualTopic.'

/** Whether the name is a destination of the broker as it stands. */
const isDestination = (name: string): boolean => PREFIX.test(name)

/** Where messages of a topic are sent. Throws INVALID where the broker has no such thing. */
export function targetOf(broker: BrokerName, topic: Topic): string {
  if (topic.exchange !== undefined) return exchangeOf(broker, topic, topic.exchange)
  if (isDestination(topic.name)) return checkedDestination(broker, topic.name)
  return broker === 'activemq' ? `/topic/${VIRTUAL}${safe(topic.name)}` : `/topic/${safe(topic.name)}`
}

/** Where one message of a topic is sent for one group alone; for all where the broker has no such place. */
export function targetOfGroup(broker: BrokerName, topic: Topic, group: string | null): string {
  const target = targetOf(broker, topic)
  if (group === null || target.startsWith('/queue/')) return target
  if (broker === 'rabbitmq') return `/amq/queue/${groupQueue(topic, group)}`
  return broker === 'activemq' && !isDestination(topic.name) ? consumerQueue(topic, group) : target
}

/** Where messages of a topic come from. `prefetch`: how many the broker hands out before they are acknowledged. */
export function sourceOf(broker: BrokerName, topic: Topic, options: SubscribeOptions, prefetch: number): Source {
  const { group, exclusive = false } = options
  const target = targetOf(broker, topic)
  if (broker === 'rabbitmq') return rabbitSource(target, topic, { group, exclusive, prefetch })
  if (broker !== 'activemq') return { destination: target, headers: {} }
  const headers = { 'activemq.prefetchSize': `${prefetch}`, ...(exclusive && { 'activemq.exclusive': 'true' }) }
  if (group === undefined || target.startsWith('/queue/')) return { destination: target, headers }
  if (isDestination(topic.name)) return { destination: target, headers: { ...headers, 'activemq.subscriptionName': safe(group) } }
  return { destination: consumerQueue(topic, group), headers }
}

/** ActiveMQ keeps a subscription to a topic under the client's id; other brokers let it pass. */
export function clientIdOf(topic: Topic, { group }: SubscribeOptions): string | undefined {
  return group !== undefined && topic.name.startsWith('/topic/') ? `regent-${safe(group)}-${safe(topic.name)}` : undefined
}

function rabbitSource(
  destination: string,
  topic: Topic,
  { group, exclusive, prefetch }: { group: string | undefined; exclusive: boolean; prefetch: number },
): Source {
  const name = destination.startsWith('/queue/') ? undefined : group === undefined ? undefined : groupQueue(topic, group)
  const lock = `regent.lock.${safe(topic.exchange ?? '')}.${safe(topic.name)}.${safe(group ?? '')}`
  return {
    destination,
    headers: {
      'prefetch-count': `${prefetch}`,
      ...(name !== undefined && { 'x-queue-name': name, durable: 'true', 'auto-delete': 'false', exclusive: 'false' }),
    },
    ...(exclusive && {
      lock: {
        destination: `/topic/${lock}`,
        headers: { 'x-queue-name': lock, durable: 'false', 'auto-delete': 'true', exclusive: 'true' },
      },
    }),
  }
}

function exchangeOf(broker: BrokerName, { name }: Topic, exchange: string): string {
  if (broker !== 'rabbitmq')
    throw new RegentError('INVALID', `topic ${name} is in the exchange ${exchange}, and this broker has none`, { hint: 'use RabbitMQ' })
  return exchange === '' ? `/queue/${slashed(name)}` : `/exchange/${slashed(exchange)}/${slashed(name)}`
}

function checkedDestination(broker: BrokerName, name: string): string {
  if (broker === 'activemq' && name.startsWith('/exchange/'))
    throw new RegentError('INVALID', `${name} is an exchange, and ActiveMQ has none`, { hint: 'use /queue/… or /topic/…' })
  if (/[\p{Cc}]/u.test(name) || name.trim() !== name || name.replace(PREFIX, '') === '')
    throw new RegentError('INVALID', `${JSON.stringify(name)} is no destination`, { hint: 'such as /queue/work or /topic/news' })
  return name
}

const consumerQueue = (topic: Topic, group: string) => `/queue/Consumer.${safe(group).replaceAll('.', '~2E')}.${VIRTUAL}${safe(topic.name)}`
const groupQueue = (topic: Topic, group: string) =>
  `regent.${safe(group).replaceAll('.', '~2E')}.${topic.exchange === undefined ? '' : `${safe(topic.exchange)}.`}${safe(topic.name)}`

const slashed = (name: string) => name.replaceAll('%', '%25').replaceAll('/', '%2F')

/** A name without signs that mean something to a broker: wildcards, lists, options, slashes. */
const safe = (name: string) =>
  name.replaceAll(/[^A-Za-z0-9_.-]/gu, (sign) => [...Buffer.from(sign)].map((byte) => `~${byte.toString(16).toUpperCase()}`).join(''))
