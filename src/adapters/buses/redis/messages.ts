import { RegentError } from '../../../kernel/errors.ts'
import { isObject, tryParse } from '../../../kernel/json.ts'
import { MOST_BODY, type Outgoing, type Topic } from '../../../ports/bus.ts'
import { checkBodyBytes, checkEnvelopeBytes, MOST_ENVELOPE } from '../shared/limits.ts'

/** One entry of a stream. */
export interface Entry {
  /** Its id in the stream, such as 1700000000000-0. */
  readonly id: string
  readonly message: Outgoing
  /** The one group that is to have it again; others pass over it. */
  readonly onlyFor: string | undefined
  /** About what it takes in memory, in bytes. */
  readonly size: number
}

/** The key of a topic's stream, or the name of its channel. */
export function keyOf({ name, exchange }: Topic): string {
  if (name === '') throw new RegentError('INVALID', 'a topic has no name')
  return exchange ? `${exchange}:${name}` : name
}

/** Throws TOO_LARGE. */
export function checkSize(message: Outgoing): void {
  // One UTF-16 unit is three bytes at most.
  if (message.body.length * 3 > MOST_BODY) checkBodyBytes(Buffer.byteLength(message.body))
  const { id, contentType = '', key = '', headers, replyTo = '', correlationId = '' } = message
  const texts = [id, contentType, key, replyTo, correlationId, ...(headers ? [JSON.stringify(headers)] : [])]
  const units = texts.reduce((sum, text) => sum + text.length, 0)
  if (units * 3 <= MOST_ENVELOPE) return
  checkEnvelopeBytes(texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0))
}

/** A message as the fields of an entry. */
export function fieldsOf({ id, body, contentType, key, headers, replyTo, correlationId }: Outgoing): string[] {
  const fields = ['id', id, 'body', body]
  if (contentType !== undefined) fields.push('contentType', contentType)
  if (key !== undefined) fields.push('key', key)
  if (headers !== undefined) fields.push('headers', JSON.stringify(headers))
  if (replyTo !== undefined) fields.push('replyTo', replyTo)
  if (correlationId !== undefined) fields.push('correlationId', correlationId)
  return fields
}

/** Reads an entry as Redis answers it: its id and a flat list of fields. A foreign one may have a single field of any name. */
export function entryOf(stream: string, raw: unknown): Entry | undefined {
  if (!Array.isArray(raw) || typeof raw[0] !== 'string' || !Array.isArray(raw[1])) return undefined
  const [id, list] = raw as [string, string[]]
  const fields = new Map<string, string>()
  let size = 200
  for (let at = 0; at + 1 < list.length; at += 2) {
    const [name, value] = [String(list[at]), String(list[at + 1])]
    fields.set(name, value)
    size += 2 * (name.length + value.length)
  }
  return { id, message: messageOf(`${stream}/${id}`, fields), onlyFor: fields.get('onlyFor'), size }
}

function messageOf(place: string, fields: ReadonlyMap<string, string>): Outgoing {
  const text = (name: string) => {
    const value = fields.get(name)
    return value === undefined ? {} : { [name]: value }
  }
  const headers = headersOf(fields.get('headers'))
  return {
    id: fields.get('id') ?? place,
    body: bodyOf(fields),
    ...text('contentType'),
    ...text('key'),
    ...(headers && { headers }),
    ...text('replyTo'),
    ...text('correlationId'),
  }
}

function bodyOf(fields: ReadonlyMap<string, string>): string {
  const body = fields.get('body')
  if (body !== undefined) return body
  const [only] = fields.values()
  return fields.size === 1 && only !== undefined ? only : JSON.stringify(Object.fromEntries(fields))
}

function headersOf(text: string | undefined): Readonly<Record<string, string>> | undefined {
  const value = text === undefined ? undefined : tryParse(text)
  if (!isObject(value)) return undefined
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, String(one)]))
}
