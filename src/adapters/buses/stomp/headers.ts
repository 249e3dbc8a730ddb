import { createHash } from 'node:crypto'
import { RegentError } from '../../../kernel/errors.ts'
import { isObject, tryParse } from '../../../kernel/json.ts'
import { type Incoming, MOST_BODY, type Outgoing, type Topic, UNNAMED } from '../../../ports/bus.ts'
import { checkBodyBytes, checkEnvelopeBytes } from '../shared/limits.ts'
import type { Delivery, Headers } from './delivery.ts'
import type { BrokerName } from './dialect.ts'
import { CUT } from './frame-reader.ts'

/** ActiveMQ drops a connection that sends a header longer than 10 KiB. */
const MOST_HEADER = 8 * 1024
const SHORT_BODY = 1024

/** Not a user's: the protocol's, the brokers' and ours. */
const reserved = new Set([
  ...['destination', 'subscription', 'message-id', 'ack', 'id', 'content-length', 'content-type', 'receipt', 'receipt-id', 'transaction'],
  ...['redelivered', 'persistent', 'priority', 'expires', 'expiration', 'timestamp', 'type', 'reply-to', 'correlation-id'],
  ...['amqp-message-id', 'content-encoding', 'user-id', 'app-id', 'cluster-id', 'transformation', 'transformation-error', 'browser'],
  ...['original-destination', 'originaldestination', 'jmsxuserid', 'jmsxgroupid', 'jmsxgroupseq', 'amq-msg-type', 'selector', 'durable'],
])
const ours = /^regent[-_]/
/** RabbitMQ puts it before an answer's place that is no destination. */
const REPLY_QUEUE = /^\/reply-queue\//
const plainName = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/

/** As they are on the wire: what every client can read as headers of its own, what headers cannot hold in `regent-more`. */
export function headersOf(broker: BrokerName, message: Outgoing): Headers {
  const { id, key, contentType, replyTo, correlationId, headers = {} } = message
  const wire: Record<string, string> = { persistent: 'true' }
  const more: Record<string, unknown> = {}
  const put = (name: string, field: string, value: string | undefined) => {
    if (value === undefined) return
    if (isPlain(value)) wire[name] = value
    else more[field] = value
  }
  put('regent-id', 'id', id)
  put('regent-key', 'key', key)
  put('content-type', 'contentType', contentType)
  put('reply-to', 'replyTo', replyTo)
  put('correlation-id', 'correlationId', correlationId)
  if (broker === 'rabbitmq' && wire['regent-id'] !== undefined) wire['amqp-message-id'] = id
  const odd: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (isPlain(value) && plainName.test(name) && !isReserved(name)) wire[name] = value
    else odd[name] = value
  }
  if (Object.keys(odd).length > 0) more.headers = odd
  if (Object.keys(more).length > 0) wire['regent-more'] = encodeURIComponent(JSON.stringify(more))
  checkSize(wire)
  return wire
}

/** A message of a client that names none has the id that the broker gave it, where that is the message's own. */
export function incomingOf(topic: Topic, { headers, body }: Pick<Delivery, 'headers' | 'body'>, attempt: number): Incoming {
  const more = moreOf(headers['regent-more'])
  const user: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) if (!isReserved(name)) user[name] = value
  if (isObject(more.headers)) for (const [name, value] of Object.entries(more.headers)) user[name] = String(value)
  const text = (name: string, field: string) => (typeof more[field] === 'string' ? more[field] : headers[name])
  const [key, contentType] = [text('regent-key', 'key'), text('content-type', 'contentType')]
  const [replyTo, correlationId] = [text('reply-to', 'replyTo')?.replace(REPLY_QUEUE, ''), text('correlation-id', 'correlationId')]
  return {
    id: text('regent-id', 'id') ?? headers['amqp-message-id'] ?? idOf(headers, body),
    body,
    ...(contentType !== undefined && { contentType }),
    ...(key !== undefined && { key }),
    ...(Object.keys(user).length > 0 && { headers: user }),
    ...(replyTo !== undefined && { replyTo }),
    ...(correlationId !== undefined && { correlationId }),
    topic,
    attempt,
  }
}

/**
 * Without a content-length ActiveMQ makes a text message of it, which is what consumers of texts expect; with one, a message of bytes,
 * the only kind that can hold a NUL. RabbitMQ makes the same of both: it finds the end of a short body sooner than it reads a length.
 */
export function bodyOf(broker: BrokerName, text: string): { readonly text: string; readonly bytes: boolean } {
  const plain = broker === 'activemq' || (broker === 'rabbitmq' && text.length <= SHORT_BODY)
  return { text, bytes: !plain || text.includes('\0') }
}

/** How many bytes the body of a delivery had that was too large to be read; undefined: it is whole. */
export function cutOf({ headers, body }: Pick<Delivery, 'headers' | 'body'>): number | undefined {
  const bytes = headers[CUT]
  return bytes !== undefined && body === '' && /^\d+$/.test(bytes) ? Number(bytes) : undefined
}

export const tooLarge = (bytes: number): string => `TOO_LARGE: it has ${bytes} bytes, the most is ${MOST_BODY}; its body is not kept`

export function checkBody(body: string): void {
  checkBodyBytes(Buffer.byteLength(body))
}

function checkSize(wire: Headers): void {
  let total = 0
  for (const [name, value] of Object.entries(wire)) {
    const size = Buffer.byteLength(name) + Buffer.byteLength(value)
    if (size > MOST_HEADER)
      throw new RegentError('TOO_LARGE', `the header ${name.slice(0, 80)} has ${size} bytes, at most ${MOST_HEADER} are carried`)
    total += size
  }
  checkEnvelopeBytes(total)
}

/** Survives both versions' escapes and the trimming that clients do. */
const isPlain = (value: string) => value !== '' && value.trim() === value && !/[\\\p{Cc}]/u.test(value) && value.isWellFormed()
const isReserved = (name: string) => reserved.has(name.toLowerCase()) || ours.test(name)

/** RabbitMQ's `T_subscription@@session@@number` is of one delivery: the next one of the same message has another. */
function idOf(headers: Headers, body: string): string {
  const given = headers['message-id']
  if (given !== undefined && !given.includes('@@session-')) return given
  const parts = [headers.destination, headers['correlation-id'], headers.timestamp, cutOf({ headers, body })?.toString() ?? body].map(
    (part) => part ?? '',
  )
  return `${UNNAMED}${createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 40)}`
}

function moreOf(text: string | undefined): Readonly<Record<string, unknown>> {
  if (text === undefined) return {}
  try {
    const value = tryParse(decodeURIComponent(text))
    return isObject(value) ? value : {}
  } catch {
    return {}
  }
}
