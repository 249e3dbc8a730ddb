import { createHash } from 'node:crypto'
import { isObject } from '../../../kernel/json.ts'
import type { DeadLetter, Incoming, Topic } from '../../../ports/bus.ts'
import type { RawMessage } from './library.ts'
import { headers, originOf, type Packed, type Properties, sameHeaders, sameProperties, text, unpack } from './messages.ts'
import { type Place, placeOf } from './names.ts'

const MOST_REASON = 1000

/** Whose message it was. */
export interface Owner {
  readonly topic: Topic
  readonly group: string | null
  /** undefined where the queue goes with its subscriber. */
  readonly queue: string | undefined
}

/** A message that is given up, as it is kept. */
export function wrap(raw: RawMessage, message: Incoming, owner: Owner, about: { attempts: number; reason: string; at: number }): Packed {
  const [exchange, routingKey] = originOf(raw)
  const table = {
    ...sameHeaders(raw),
    [headers.exchange]: exchange,
    [headers.routingKey]: routingKey,
    [headers.topic]: owner.topic.name,
    ...(owner.topic.exchange !== undefined && { [headers.topicExchange]: owner.topic.exchange }),
    ...(owner.group !== null && { [headers.group]: owner.group }),
    ...(owner.queue !== undefined && { [headers.queue]: owner.queue }),
    [headers.reason]: about.reason.slice(0, MOST_REASON),
    [headers.attempts]: String(about.attempts),
    [headers.at]: String(about.at),
  }
  return { id: message.id, body: raw.body, properties: { ...sameProperties(raw), messageId: message.id, headers: table } as Properties }
}

/** Reads a message of the dead queue: one that Regent wrapped, or one that the broker itself put there. */
export function readLetter(raw: RawMessage): DeadLetter {
  const given = raw.headers ?? {}
  const own = text(given[headers.topic])
  const broker = brokersWords(given['x-death'])
  const exchange = text(given[headers.topicExchange])
  const name = own ?? broker?.routingKey ?? raw.routingKey
  const topic: Topic = own !== undefined && exchange !== undefined ? { name, exchange } : { name: own ?? decode(name) }
  const attempts = Number(text(given[headers.attempts]) ?? broker?.count ?? 1)
  const queue = text(given[headers.queue]) ?? broker?.queue
  const message = { ...unpack(raw, topic, false), attempt: Math.max(1, attempts) }
  return {
    id: letterId([topic.exchange ?? '', topic.name, queue ?? '', message.id]),
    message,
    group: text(given[headers.group]) ?? (own === undefined && queue !== undefined ? groupOf(queue) : null),
    reason: text(given[headers.reason]) ?? `RabbitMQ gave it up: ${broker?.reason ?? 'no reason is known'}`,
    at: Number(text(given[headers.at]) ?? (raw.timestamp ?? 0) * 1000),
  }
}

/** Where a letter is sent to be handled again: its own queue, or its topic where that went with its subscriber. */
export function wayBack(raw: RawMessage): { readonly place: Place; readonly packed: Packed } {
  const given = raw.headers ?? {}
  const queue = text(given[headers.queue]) ?? brokersWords(given['x-death'])?.queue
  const [exchange, routingKey] = originOf(raw)
  const letter = readLetter(raw)
  const marks: ReadonlySet<string> = new Set([
    headers.topic,
    headers.topicExchange,
    headers.group,
    headers.queue,
    headers.reason,
    headers.attempts,
    headers.at,
  ])
  const table = Object.fromEntries(Object.entries(sameHeaders(raw)).filter(([name]) => !marks.has(name)))
  const packed = { id: letter.message.id, body: raw.body, properties: { ...sameProperties(raw), headers: table } as Properties }
  if (queue !== undefined) return { place: placeOf({ name: queue, exchange: '' }), packed }
  return { place: { ...placeOf(letter.message.topic), exchange, key: routingKey, mandatory: false }, packed }
}

/** The same for the same message of the same queue: one that was buried twice, as after a crash, is one letter. */
const letterId = (parts: readonly string[]): string => createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, 24)

/** What the broker says of a message that it dead-lettered itself. */
function brokersWords(deaths: unknown) {
  const death: unknown = Array.isArray(deaths) ? deaths[0] : undefined
  if (!isObject(death)) return undefined
  const keys: unknown = death['routing-keys']
  return {
    reason: text(death.reason),
    queue: text(death.queue),
    count: String(death.count ?? 1),
    routingKey: Array.isArray(keys) ? text(keys[0]) : undefined,
  }
}

const decode = (key: string): string => key.replaceAll('%2A', '*').replaceAll('%23', '#').replaceAll('%25', '%')

/** Of `regent.{topic}.{group}`, the last part. */
const groupOf = (queue: string): string => decode((queue.split('.').at(-1) ?? queue).replaceAll('%2E', '.').replaceAll('%2F', '/'))
