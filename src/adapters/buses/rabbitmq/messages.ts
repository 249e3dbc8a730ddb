import { createHash } from 'node:crypto'
import type { Envelope } from 'rabbitmq-client'
import { RegentError } from '../../../kernel/errors.ts'
import type { Incoming, Outgoing, Topic } from '../../../ports/bus.ts'
import { checkBodyBytes } from '../shared/limits.ts'
import { encodingOf, type RawMessage } from './library.ts'
import { fits } from './names.ts'

export type Properties = Omit<Envelope, 'exchange' | 'routingKey' | 'mandatory'>

/** What a message is published with, ready for the wire. */
export interface Packed {
  readonly id: string
  readonly properties: Properties
  readonly body: Buffer
}

/** Headers of ours on the wire; nobody else's may be called so. */
export const headers = {
  key: 'regent-key',
  /** Where a message that was requeued or given up came from first. */
  exchange: 'regent-exchange',
  routingKey: 'regent-routing-key',
  /** On dead letters alone. */
  topic: 'regent-topic',
  topicExchange: 'regent-topic-exchange',
  group: 'regent-group',
  queue: 'regent-queue',
  reason: 'regent-reason',
  attempts: 'regent-attempts',
  at: 'regent-at',
} as const

const OURS: ReadonlySet<string> = new Set(Object.values(headers))
/** Added by the broker itself. */
const BROKERS = /^x-(death|first-death-|last-death-|delivery-count$|acquired-count$)/
/** RabbitMQ would send copies by these, or close the channel. */
const ROUTING = ['CC', 'BCC']
const MOST_HEADERS = 64 * 1024

/** Throws TOO_LARGE, or INVALID for what AMQP cannot carry. */
export function pack(message: Outgoing): Packed {
  const { id, contentType, correlationId, replyTo, key } = message
  const body = Buffer.from(message.body)
  checkBodyBytes(body.length)
  fits(id, 'message id')
  if (contentType !== undefined) fits(contentType, 'contentType')
  if (correlationId !== undefined) fits(correlationId, 'correlationId')
  if (replyTo !== undefined) fits(replyTo, 'replyTo')
  if (message.headers) checkHeaders(message.headers, key)
  const table = { ...message.headers, ...(key !== undefined && { [headers.key]: key }) }
  return {
    id,
    body,
    properties: {
      messageId: id,
      deliveryMode: 2,
      headers: table,
      ...(contentType !== undefined && { contentType }),
      ...(correlationId !== undefined && { correlationId }),
      ...(replyTo !== undefined && { replyTo }),
    } as Properties,
  }
}

function checkHeaders(given: Readonly<Record<string, string>>, key = ''): void {
  let bytes = Buffer.byteLength(key)
  for (const [name, value] of Object.entries(given)) {
    if (OURS.has(name) || ROUTING.includes(name))
      throw new RegentError('INVALID', `the header ${name} has a meaning of its own at RabbitMQ`, { hint: 'call it otherwise' })
    fits(name, 'name of a header')
    bytes += name.length * 3 + Buffer.byteLength(value) + 8
  }
  if (bytes > MOST_HEADERS)
    throw new RegentError('TOO_LARGE', `a message's headers hold at most ${MOST_HEADERS} bytes, these have ${bytes}`)
}

/** What a handler is given. `topic`: what was subscribed to; where `routed`, its name becomes what the message was sent with. */
export function unpack(raw: RawMessage, topic: Topic, routed: boolean): Incoming {
  const given = raw.headers ?? {}
  const key = given[headers.key]
  const [, routingKey] = originOf(raw)
  const own = foreignHeaders(given)
  return {
    id: idOf(raw),
    body: raw.body.toString(),
    topic: routed ? { ...topic, name: routingKey } : topic,
    attempt: 1 + redeliveries(raw),
    ...(raw.contentType !== undefined && { contentType: raw.contentType }),
    ...(typeof key === 'string' && { key }),
    ...(own && { headers: own }),
    ...(raw.replyTo !== undefined && { replyTo: raw.replyTo }),
    ...(raw.correlationId !== undefined && { correlationId: raw.correlationId }),
  }
}

/** The exchange and the routing key that the message was sent with at first. */
export function originOf({ headers: given = {}, exchange, routingKey }: RawMessage): [string, string] {
  return [text(given[headers.exchange]) ?? exchange, text(given[headers.routingKey]) ?? routingKey]
}

/** How often the broker gave it out before, as far as it tells: quorum queues count, others only know whether. */
function redeliveries({ headers: given = {}, redelivered }: RawMessage): number {
  const counted = Number(given['x-delivery-count'] ?? 0)
  return Math.max(Number.isFinite(counted) ? counted : 0, redelivered ? 1 : 0)
}

/**
 * The sender's id. Without one RabbitMQ tells nothing that names a message for sure: then it is made of where it was sent, when and
 * what, the same at each redelivery, and the same for two that are alike to the second.
 */
function idOf(raw: RawMessage): string {
  if (raw.messageId) return raw.messageId
  const [exchange, routingKey] = originOf(raw)
  const parts = [exchange, routingKey, raw.timestamp ?? '', raw.correlationId ?? '', raw.replyTo ?? '']
  const hash = createHash('sha256')
    .update(`${parts.join('\0')}\0`)
    .update(raw.body)
  return `unnamed-${hash.digest('hex').slice(0, 32)}`
}

function foreignHeaders(given: Readonly<Record<string, unknown>>): Record<string, string> | undefined {
  const kept: Record<string, string> = {}
  for (const [name, value] of Object.entries(given)) {
    if (OURS.has(name) || BROKERS.test(name) || value === null || value === undefined) continue
    kept[name] = typeof value === 'object' ? json(value) : String(value)
  }
  return Object.keys(kept).length > 0 ? kept : undefined
}

/** The properties of a message that is sent on as it was. */
export function sameProperties(raw: RawMessage): Properties {
  const { contentType, headers: _, correlationId, replyTo, messageId, timestamp, type, appId, priority } = raw
  const contentEncoding = encodingOf(raw)
  const given = { contentType, contentEncoding, correlationId, replyTo, messageId, timestamp, type, appId, priority }
  const set = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  return { ...set, deliveryMode: 2 } as Properties
}

/** What others set, without the broker's own marks and, where they are too many to be sent on with ours, without any. */
export function sameHeaders({ headers: given = {} }: RawMessage): Record<string, unknown> {
  const kept = Object.fromEntries(Object.entries(given).filter(([name]) => !BROKERS.test(name) && !ROUTING.includes(name)))
  return json(kept).length > MOST_HEADERS ? {} : kept
}

const json = (value: unknown): string => JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? String(part) : part))

export const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)
