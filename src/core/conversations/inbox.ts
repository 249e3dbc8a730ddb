import type { InboxState } from '../../contract/messages.ts'
import type { Clock } from '../../kernel/clock.ts'
import { RegentError } from '../../kernel/errors.ts'
import type { JsonObject } from '../../kernel/json.ts'
import type { AgentRow, NewMessage, Tables } from '../../ports/store.ts'
import { eventOf } from '../supervision/situation.ts'
import { InboxRoom } from './inbox-room.ts'

/** Shared by all who post; it holds counts that can be lost. */
const room = new InboxRoom()
/** Characters of a message that its event shows. */
const MOST_IN_EVENT = 4000

/** A message as it comes to an agent, without who is told of it. */
export type Posted = Omit<Post, 'actor' | 'isNew'>

export interface Post {
  readonly id: string
  readonly conversation: string
  readonly content: string
  readonly metadata: JsonObject
  readonly sender: string
  readonly actor: string
  /** The id was made for it, so that it is nobody else's. */
  readonly isNew?: boolean
}

/**
 * Puts a message into an agent's durable inbox, within the caller's transaction. The same id again is the same message.
 * Throws TOO_MANY when the inbox is full.
 */
export async function post(tables: Tables, agent: AgentRow, message: Post, clock: Clock): Promise<string> {
  await postAll(tables, agent, [message], clock)
  return message.id
}

/** The same for many, in their order: all of them, or none. */
export async function postAll(tables: Tables, agent: AgentRow, messages: readonly Post[], clock: Clock): Promise<void> {
  const known = await tables.messages.placesOf(messages.filter(({ isNew }) => isNew !== true).map(({ id }) => id))
  if (known.some((row) => row.agentId !== agent.id))
    throw new RegentError('INVALID', 'this message id is taken', { hint: 'leave the id out, or use a new one' })
  const taken = new Set(known.map(({ id }) => id))
  const fresh = new Map(messages.filter(({ id }) => !taken.has(id)).map((message) => [message.id, message]))
  if (fresh.size === 0) return
  const at = clock.now()
  await room.take(tables, agent, fresh.size, at)
  const numbers = await tables.messages.insertAll([...fresh.values()].map((message) => inboundRow(agent, message, 'queued', at)))
  const events = [...fresh.values()].map((message) =>
    eventOf(agent, 'message.queued', at, message.actor, queuedData(message, numbers.get(message.id) ?? 0)),
  )
  await tables.events.appendAll(events)
}

/** What the event of a message that came tells of it. */
export const queuedData = ({ id, conversation, content }: Posted, number: number): JsonObject => ({
  id,
  number,
  conversation,
  content: content.slice(0, MOST_IN_EVENT),
})

/** The row of a message to an agent. */
export const inboundRow = (agent: AgentRow, message: Posted, state: InboxState, at: number): NewMessage => ({
  id: message.id,
  agentId: agent.id,
  conversation: message.conversation,
  direction: 'in',
  type: 'user',
  content: message.content,
  metadata: message.metadata,
  sender: message.sender,
  replyTo: null,
  final: false,
  state,
  tries: 0,
  reason: null,
  at,
})
