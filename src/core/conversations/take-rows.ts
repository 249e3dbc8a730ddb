import type { OutRow } from '../../contract/link.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Json, JsonObject } from '../../kernel/json.ts'
import type { AgentRow, Store, Tables } from '../../ports/store.ts'
import { tell } from '../supervision/situation.ts'

/** Longer contents stand whole in the message; its event carries this much of them. */
const MOST_IN_EVENT = 16_000

/**
 * Takes in what a runner did: rows after the cursor, with the cursor, in one transaction, so that each counts once however often
 * it is sent. Answers the new cursor.
 */
export function takeRows({ store, clock }: { store: Store; clock: Clock }, agent: AgentRow, rows: readonly OutRow[]): Promise<number> {
  const name = `runner:${agent.id}`
  return store.transaction(async (tables) => {
    const cursor = await tables.cursors.get(name)
    const fresh = rows.filter((row) => row.seq > cursor)
    for (const row of fresh) await take(tables, agent, row, clock.now())
    const reached = fresh.at(-1)?.seq ?? cursor
    if (reached > cursor) await tables.cursors.set(name, reached)
    return reached
  })
}

type Body<K extends OutRow['body']['kind']> = Extract<OutRow['body'], { kind: K }>

async function take(tables: Tables, agent: AgentRow, { body, at }: OutRow, now: number): Promise<void> {
  switch (body.kind) {
    case 'say':
      return say(tables, agent, body, at)
    case 'tried':
      return tables.messages.update(body.message_id, { tries: body.tries })
    case 'done':
    case 'failed':
      return end(tables, agent, body, now)
    case 'approval_requested':
      return request(tables, agent, body)
    case 'approval_closed':
      return close(tables, agent, body, at)
    case 'usage':
      await tables.usages.add({
        agentId: agent.id,
        modelCalls: 1,
        inputTokens: body.input_tokens,
        outputTokens: body.output_tokens,
        costUsd: body.cost_usd,
      })
      await tell(tables, agent, 'usage.recorded', at, 'agent', {
        model: body.model,
        input_tokens: body.input_tokens,
        output_tokens: body.output_tokens,
        cost_usd: body.cost_usd,
      })
  }
}

async function say(tables: Tables, agent: AgentRow, body: Body<'say'>, at: number): Promise<void> {
  const answered = body.reply_to === null ? undefined : await tables.messages.get(body.reply_to)
  const content = (body.content ?? null) as Json
  const number = await tables.messages.insert({
    id: body.id,
    agentId: agent.id,
    conversation: answered?.conversation ?? 'main',
    direction: 'out',
    type: body.type,
    content,
    metadata: body.metadata as JsonObject,
    sender: body.author,
    replyTo: body.reply_to,
    final: body.final,
    state: null,
    tries: 0,
    reason: null,
    at,
  })
  if (number === undefined) return
  const text = JSON.stringify(content)
  const shown =
    text.length <= MOST_IN_EVENT
      ? { content }
      : { content: typeof content === 'string' ? content.slice(0, MOST_IN_EVENT) : null, truncated: true }
  await tell(tables, agent, 'message.sent', at, 'agent', {
    id: body.id,
    number,
    type: body.type,
    author: body.author,
    reply_to: body.reply_to,
    final: body.final,
    conversation: answered?.conversation ?? 'main',
    metadata: body.metadata as JsonObject,
    ...shown,
  })
}

async function end(tables: Tables, agent: AgentRow, body: Body<'done'> | Body<'failed'>, at: number): Promise<void> {
  const message = await tables.messages.get(body.message_id)
  if (!message || message.agentId !== agent.id || message.state === 'acknowledged' || message.state === 'dead') return
  if (body.kind === 'done') {
    await tables.messages.update(message.id, { state: 'acknowledged' })
    await tell(tables, agent, 'message.acknowledged', at, 'agent', { id: message.id })
  } else {
    await tables.messages.update(message.id, { state: 'dead', reason: body.reason })
    await tell(tables, agent, 'message.dead', at, 'agent', { id: message.id, reason: body.reason })
  }
}

async function request(tables: Tables, agent: AgentRow, { approval }: Body<'approval_requested'>): Promise<void> {
  const isNew = await tables.approvals.insert({
    id: approval.id,
    agentId: agent.id,
    messageId: approval.message_id,
    subagent: approval.subagent,
    server: approval.server,
    tool: approval.tool,
    arguments: approval.arguments as JsonObject,
    state: 'pending',
    default: approval.default,
    requestedAt: approval.requested_at,
    expiresAt: approval.expires_at,
    answeredAt: null,
    answeredBy: null,
    via: null,
  })
  if (isNew) await tell(tables, agent, 'approval.requested', approval.requested_at, 'agent', approval as JsonObject)
}

async function close(tables: Tables, agent: AgentRow, body: Body<'approval_closed'>, at: number): Promise<void> {
  const row = await tables.approvals.get(body.id)
  if (row?.agentId !== agent.id || row.state !== 'pending') return
  const state = body.confirmed ? 'confirmed' : 'rejected'
  await tables.approvals.update(body.id, { state, answeredAt: at, answeredBy: body.by, via: body.via })
  const { tool, server, messageId } = row
  await tell(tables, agent, 'approval.answered', at, body.by, {
    id: body.id,
    confirmed: body.confirmed,
    by: body.by,
    via: body.via,
    tool,
    server,
    message_id: messageId,
  })
}
