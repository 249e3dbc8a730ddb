import type { Clock } from '../../kernel/clock.ts'
import { RegentError } from '../../kernel/errors.ts'
import type { JsonObject } from '../../kernel/json.ts'
import type { AgentRow, Tables } from '../../ports/store.ts'
import { tell } from '../supervision/situation.ts'

/** The most messages that may wait for one agent. */
const MOST_WAITING = 100_000

export interface Post {
  readonly id: string
  readonly conversation: string
  readonly content: string
  readonly metadata: JsonObject
  readonly sender: string
  readonly actor: string
}

/**
 * Puts a message into an agent's durable inbox, within the caller's transaction. The same id again is the same message.
 * Throws TOO_MANY when the inbox is full.
 */
export async function post(tables: Tables, agent: AgentRow, message: Post, clock: Clock): Promise<string> {
  const known = await tables.messages.get(message.id)
  if (known) {
    if (known.agentId !== agent.id)
      throw new RegentError('INVALID', 'this message id is taken', { hint: 'leave the id out, or use a new one' })
    return known.id
  }
  const waiting = (await tables.messages.countWaiting([agent.id])).get(agent.id) ?? 0
  if (waiting >= MOST_WAITING)
    throw new RegentError('TOO_MANY', `${waiting} messages wait for ${agent.owner}/${agent.name}`, {
      hint: 'start it, or send less',
      retryAfter: 30,
    })
  const at = clock.now()
  const number = await tables.messages.insert({
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
    state: 'queued',
    tries: 0,
    reason: null,
    at,
  })
  await tell(tables, agent, 'message.queued', at, message.actor, {
    id: message.id,
    number: number ?? 0,
    conversation: message.conversation,
    content: message.content.slice(0, 4000),
  })
  return message.id
}
