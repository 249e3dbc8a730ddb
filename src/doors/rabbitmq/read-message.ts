import { createHash, randomUUID } from 'node:crypto'
import type { z } from 'zod'
import { agentConfig, busEvent, commandPayloads, commandTypes, directMessage, taskPayloads } from '../../contract/agent-commands.ts'
import { invalid } from '../../core/agents/definitions.ts'
import { RegentError } from '../../kernel/errors.ts'
import { checkJson, type Json, tryParse } from '../../kernel/json.ts'
import { type Incoming, MOST_BODY, UNNAMED } from '../../ports/bus.ts'
import { SOURCE } from './places.ts'

/** One message that asks for something, read and found to be right in itself. */
export interface Asked<P = Record<string, unknown>> {
  readonly type: string
  readonly agentId: string | undefined
  /** For whom the sender says he speaks. */
  readonly customerId: string | undefined
  readonly correlationId: string | null
  readonly payload: P
  /** Equal for a message that is sent again. */
  readonly key: string
  readonly input: Json
}

/** What can be known of a message that may be no good, for the answer to it. */
export interface Glimpse {
  readonly type: string | null
  readonly agentId: string | null
  readonly correlationId: string | null
}

/** Throws INVALID, TOO_LARGE or BAD_REQUEST, naming the field and what to do. */
export function readCommand(message: Incoming): Asked {
  const { message_type: type, payload, timestamp, correlation_id } = parsed(message, directMessage)
  const known = commandTypes.find((one) => one === type)
  if (known === undefined)
    throw new RegentError('BAD_REQUEST', `message_type: '${type.slice(0, 80)}' is not known`, {
      hint: `use one of ${commandTypes.join(', ')}`,
    })
  const checked = check(commandPayloads[known], payload, 'payload')
  return asked(message, type, checked, { timestamp, correlation_id, customer_id: undefined })
}

/** undefined for an event of this door itself, or of another Regent. */
export function readTrigger(message: Incoming): Asked | undefined {
  const { source, event_type, event_id, data, correlation_id, customer_id } = parsed(message, busEvent)
  if (source === SOURCE) return undefined
  if (event_type !== 'agent.created' && event_type !== 'agent.updated')
    throw new RegentError('BAD_REQUEST', `event_type: '${event_type.slice(0, 80)}' asks for nothing here`, {
      hint: 'agent.created and agent.updated do',
    })
  const config = check(agentConfig, { customer_id, ...data }, 'data')
  return {
    ...asked(message, event_type, config, { correlation_id, customer_id, timestamp: undefined }),
    key: keyOf(['event', source, event_id]),
  }
}

/** A message on an agent's own queue. */
export function readTask(message: Incoming, agentId: string): Asked {
  const { message_type: type, payload, timestamp, correlation_id } = parsed(message, directMessage)
  if (type === 'team.join')
    throw new RegentError('NOT_YET', 'team.join is not there yet', { hint: 'let the agents talk by conversation.start' })
  const schema = Object.hasOwn(taskPayloads, type) ? taskPayloads[type as keyof typeof taskPayloads] : undefined
  if (!schema)
    throw new RegentError('BAD_REQUEST', `message_type: '${type.slice(0, 80)}' is not known to agents`, {
      hint: `use one of ${Object.keys(taskPayloads).join(', ')}`,
    })
  const checked = check(schema, payload, 'payload')
  return { ...asked(message, type, checked, { timestamp, correlation_id, customer_id: undefined }), agentId }
}

export function glimpse(message: Incoming): Glimpse {
  const body = message.body.length > MOST_BODY ? undefined : (tryParse(message.body) as Record<string, unknown> | undefined)
  const payload = (body?.payload ?? body?.data) as Record<string, unknown> | undefined
  return {
    type: text(body?.message_type) ?? text(body?.event_type) ?? null,
    agentId: text(payload?.agent_id) ?? null,
    correlationId: message.correlationId ?? text(body?.correlation_id) ?? null,
  }
}

const text = (value: unknown): string | undefined => (typeof value === 'string' ? value.slice(0, 200) : undefined)

function parsed<T extends z.ZodType>({ body }: Incoming, schema: T): z.output<T> {
  if (Buffer.byteLength(body) > MOST_BODY)
    throw new RegentError('TOO_LARGE', `a message has at most ${MOST_BODY} bytes`, {
      hint: 'put what is large where the agent can fetch it',
    })
  const value = tryParse(body)
  if (value === undefined)
    throw new RegentError('INVALID', 'the body is not JSON', {
      hint: 'send {"message_type","payload","timestamp","correlation_id"} as JSON in UTF-8',
    })
  checkJson(value)
  return check(schema, value, '')
}

function check<T extends z.ZodType>(schema: T, value: unknown, prefix: string): z.output<T> {
  const found = schema.safeParse(value)
  if (!found.success) throw invalid(found.error, prefix)
  return found.data
}

interface Around {
  readonly timestamp: string | null | undefined
  readonly correlation_id: string | null | undefined
  readonly customer_id: string | null | undefined
}

function asked(message: Incoming, type: string, payload: Record<string, unknown>, around: Around): Asked {
  const correlationId = around.correlation_id ?? message.correlationId ?? null
  const agentId = typeof payload.agent_id === 'string' ? payload.agent_id : undefined
  const customer = around.customer_id ?? payload.customer_id
  return {
    type,
    agentId,
    customerId: typeof customer === 'string' ? customer : undefined,
    correlationId,
    payload,
    key: keyOf([...ownId(message, correlationId, around), type, agentId ?? null]),
    input: [type, payload as unknown as Json],
  }
}

const keyOf = (parts: readonly (string | null)[]): string => createHash('sha256').update(JSON.stringify(parts)).digest('hex')

/** What makes it the same command when it comes again: the sender's message id, or his correlation id with the time that he gave. */
function ownId({ id }: Incoming, correlationId: string | null, { timestamp = null }: Around): (string | null)[] {
  if (!id.startsWith(UNNAMED)) return ['id', id]
  if (correlationId !== null) return ['correlation', correlationId, timestamp]
  // Without a time two may be alike and both meant: the second stop after a start is no repetition of the first.
  return ['id', timestamp === null ? randomUUID() : id]
}
