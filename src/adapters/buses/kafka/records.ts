import type { KafkaRecord, MessageRecord, RecordsBatch } from '@platformatic/kafka'
import { RegentError } from '../../../kernel/errors.ts'
import type { Incoming, Outgoing, Topic } from '../../../ports/bus.ts'

export const DEAD_TOPIC = 'regent.dead'
/** The header that names the only group that a message is for; empty for subscribers without one. */
const FOR_GROUP = 'regent-group'
const ID = 'regent-id'
const reserved: ReadonlySet<string> = new Set([ID, FOR_GROUP, 'content-type', 'reply-to', 'correlation-id'])
const names = {
  id: Buffer.from(ID),
  group: Buffer.from(FOR_GROUP),
  contentType: Buffer.from('content-type'),
  replyTo: Buffer.from('reply-to'),
  correlationId: Buffer.from('correlation-id'),
}

/**
 * Kafka takes letters, digits, `.`, `_` and `-`. Any other character is written as its code, `agent:x` as `agent-x3a-x`; throws INVALID
 * for a name that already looks so, is empty or too long.
 */
export function kafkaName({ name, exchange }: Topic): string {
  const full = exchange ? `${exchange}.${name}` : name
  const legal = full.replace(/[^A-Za-z0-9._-]/gu, (one) => `-x${one.codePointAt(0)?.toString(16)}-`)
  if (legal === '' || legal === '.' || legal === '..' || legal.length > 249 || /-x[0-9a-f]+-/.test(full))
    throw new RegentError('INVALID', `Kafka cannot have a topic named ${JSON.stringify(full.slice(0, 300))}`, {
      hint: 'a name has at most 249 letters, digits, dots, dashes and underscores',
    })
  return legal
}

export const isInternal = (name: string): boolean => name.startsWith('__') || name === DEAD_TOPIC

/** `group`: the only one it is for. */
export function toRecord(topic: string, partition: number, message: Outgoing, group?: string | null): MessageRecord {
  const headers = new Map<Buffer, Buffer>()
  const put = (name: Buffer, value: string | undefined) => {
    if (value !== undefined) headers.set(name, Buffer.from(value))
  }
  if (message.headers) for (const [name, value] of Object.entries(message.headers)) if (!reserved.has(name)) put(Buffer.from(name), value)
  put(names.id, message.id)
  put(names.contentType, message.contentType)
  put(names.replyTo, message.replyTo)
  put(names.correlationId, message.correlationId)
  if (group !== undefined) put(names.group, group ?? '')
  return {
    topic,
    partition,
    value: Buffer.from(message.body),
    headers,
    ...(message.key !== undefined && { key: Buffer.from(message.key) }),
  }
}

/** One record as it was read. */
export interface Found {
  readonly offset: bigint
  readonly record: KafkaRecord
}

/** The records from `from` on, in order, without control records and what transactions took back; `next`: where to read on. */
export function recordsIn(
  batches: readonly RecordsBatch[],
  from: bigint,
  aborted: readonly { readonly producerId: bigint; readonly firstOffset: bigint }[] = [],
): { readonly found: readonly Found[]; readonly next: bigint } {
  const found: Found[] = []
  let next = from
  const open = new Set<bigint>()
  const starts = [...aborted].sort((a, b) => (a.firstOffset < b.firstOffset ? -1 : 1))
  for (const batch of batches) {
    const last = batch.firstOffset + BigInt(batch.lastOffsetDelta)
    while (starts[0] && starts[0].firstOffset <= last) open.add(starts.shift()?.producerId ?? -1n)
    const control = (batch.attributes & 0x20) !== 0
    if (control) open.delete(batch.producerId)
    const dropped = control || ((batch.attributes & 0x10) !== 0 && open.has(batch.producerId))
    for (const record of dropped ? [] : batch.records) {
      const offset = batch.firstOffset + BigInt(record.offsetDelta)
      if (offset >= from) found.push({ offset, record })
    }
    if (last >= next) next = last + 1n
  }
  return { found, next }
}

/** A message, and the group that it is for where it is for one only. */
export function fromRecord(
  topic: Topic,
  place: string,
  record: KafkaRecord,
): { readonly message: Omit<Incoming, 'attempt'>; readonly group: string | undefined } {
  const all: Record<string, string> = {}
  for (const [name, value] of record.headers) if (name) all[name.toString()] = value?.toString() ?? ''
  const {
    [ID]: id,
    [FOR_GROUP]: group,
    'content-type': contentType,
    'reply-to': replyTo,
    'correlation-id': correlationId,
    ...headers
  } = all
  const message = {
    id: id || place,
    body: record.value?.toString() ?? '',
    topic,
    ...(contentType !== undefined && { contentType }),
    ...(replyTo !== undefined && { replyTo }),
    ...(correlationId !== undefined && { correlationId }),
    ...(record.key && { key: record.key.toString() }),
    ...(Object.keys(headers).length > 0 && { headers }),
  }
  return { message, group }
}
