import type { OutRow } from '../../contract/link.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Json, JsonObject } from '../../kernel/json.ts'
import type { AgentRow, NewEvent, NewMessage, Store, Tables } from '../../ports/store.ts'
import { eventOf } from '../supervision/situation.ts'
import { inboundRow, type Posted, queuedData } from './inbox.ts'

/** Longer contents stand whole in the message; its event carries this much of them. */
const MOST_IN_EVENT = 16_000

export interface Done {
  readonly rows: readonly OutRow[]
  /** Messages that stand in the runner's journal. */
  readonly accepted: readonly string[]
}

/**
 * Takes in what a runner did: rows after the cursor, with the cursor, in one transaction, so that each counts once however often
 * it is sent. Answers the new cursor.
 */
export function takeRows({ store, clock }: { store: Store; clock: Clock }, agent: AgentRow, { rows, accepted }: Done): Promise<number> {
  const name = `runner:${agent.id}`
  return store.transaction(async (tables) => {
    const cursor = await tables.cursors.get(name)
    const fresh = rows.filter((row) => row.seq > cursor)
    const taking = new Taking(tables, agent, clock.now())
    await taking.take(fresh, accepted)
    const reached = fresh.at(-1)?.seq ?? cursor
    if (reached > cursor) await tables.cursors.set(name, reached)
    return reached
  })
}

type Known = Pick<NewMessage, 'id' | 'agentId' | 'conversation' | 'state'>
type Body<K extends OutRow['body']['kind']> = Extract<OutRow['body'], { kind: K }>

/** One list of rows: what can be read and written together is, the events in the order of the rows. */
class Taking {
  readonly #tables: Tables
  readonly #agent: AgentRow
  readonly #now: number
  readonly #events: NewEvent[] = []
  /** Messages to the agent that the rows speak of. */
  #known: ReadonlyMap<string, Known> = new Map()
  /** Numbers of what it said now. */
  #said: ReadonlyMap<string, number> = new Map()
  readonly #worked = new Set<string>()
  readonly #buried = new Set<string>()
  /** By model. */
  readonly #used = new Map<string, Used>()

  constructor(tables: Tables, agent: AgentRow, now: number) {
    this.#tables = tables
    this.#agent = agent
    this.#now = now
  }

  async take(rows: readonly OutRow[], accepted: readonly string[]): Promise<void> {
    if (rows.length + accepted.length === 0) return
    await this.#look(rows, accepted)
    for (const row of rows) await this.#row(row)
    await this.#deliver(accepted)
    await this.#tables.messages.setState([...this.#worked], 'acknowledged')
    await this.#use()
    await this.#tables.events.appendAll(this.#events)
  }

  async #look(rows: readonly OutRow[], accepted: readonly string[]): Promise<void> {
    const ids = new Set(accepted)
    for (const { body } of rows) {
      if (body.kind === 'say' && body.reply_to !== null) ids.add(body.reply_to)
      if (body.kind === 'done' || body.kind === 'failed' || body.kind === 'heard') ids.add(body.message_id)
    }
    const found = await this.#tables.messages.placesOf([...ids])
    const known = new Map<string, Known>(found.map((message) => [message.id, message]))
    this.#known = known
    const fresh = new Map<string, NewMessage>()
    for (const { body, at } of rows) {
      if (body.kind === 'say') fresh.set(body.id, this.#message(body, at))
      if (body.kind !== 'heard' || known.has(body.message_id)) continue
      const row = inboundRow(this.#agent, heardBy(body), 'delivered', at)
      known.set(row.id, row)
      fresh.set(row.id, row)
    }
    this.#said = await this.#tables.messages.insertAll([...fresh.values()])
  }

  async #row({ body, at }: OutRow): Promise<void> {
    switch (body.kind) {
      case 'say':
        return this.#say(body, at)
      case 'heard':
        return this.#heard(body, at)
      case 'tried':
        return this.#tables.messages.update(body.message_id, { tries: body.tries })
      case 'done':
        return this.#acknowledge(body.message_id)
      case 'failed':
        return this.#bury(body)
      case 'approval_requested':
        return this.#request(body)
      case 'approval_closed':
        return this.#close(body, at)
      case 'usage':
        return this.#usage(body, at)
    }
  }

  #tell(type: NewEvent['type'], at: number, data: JsonObject, actor = 'agent'): void {
    this.#events.push(eventOf(this.#agent, type, at, actor, data))
  }

  #conversation(replyTo: string | null): string {
    return (replyTo === null ? undefined : this.#known.get(replyTo)?.conversation) ?? 'main'
  }

  #message(body: Body<'say'>, at: number): NewMessage {
    return {
      id: body.id,
      agentId: this.#agent.id,
      conversation: this.#conversation(body.reply_to),
      direction: 'out',
      type: body.type,
      content: (body.content ?? null) as Json,
      metadata: body.metadata as JsonObject,
      sender: body.author,
      replyTo: body.reply_to,
      final: body.final,
      state: null,
      tries: 0,
      reason: null,
      at,
    }
  }

  /** What the runner took from its own channel: its inbox is Regent's all the same. */
  #heard(body: Body<'heard'>, at: number): void {
    const number = this.#said.get(body.message_id)
    if (number === undefined) return
    this.#tell('message.queued', at, { ...queuedData(heardBy(body), number), via: body.via }, body.sender)
    this.#tell('message.delivered', at, { id: body.message_id })
  }

  #say(body: Body<'say'>, at: number): void {
    const number = this.#said.get(body.id)
    if (number === undefined) return
    this.#tell('message.sent', at, {
      id: body.id,
      number,
      type: body.type,
      author: body.author,
      reply_to: body.reply_to,
      final: body.final,
      conversation: this.#conversation(body.reply_to),
      metadata: body.metadata as JsonObject,
      ...shown((body.content ?? null) as Json),
    })
  }

  /** What waits still; an end that was taken in before changes nothing. */
  #open(id: string): Known | undefined {
    const message = this.#known.get(id)
    if (message?.agentId !== this.#agent.id || this.#worked.has(id) || this.#buried.has(id)) return undefined
    return message.state === 'queued' || message.state === 'delivered' ? message : undefined
  }

  #acknowledge(id: string): void {
    if (!this.#open(id)) return
    this.#worked.add(id)
    this.#tell('message.acknowledged', this.#now, { id })
  }

  async #bury({ message_id: id, reason }: Body<'failed'>): Promise<void> {
    if (!this.#open(id)) return
    await this.#tables.messages.update(id, { state: 'dead', reason })
    this.#buried.add(id)
    this.#tell('message.dead', this.#now, { id, reason })
  }

  /** Of those that are worked through already, nobody need hear that they had arrived. */
  async #deliver(accepted: readonly string[]): Promise<void> {
    const fresh = accepted.filter((id) => this.#open(id)?.state === 'queued')
    await this.#tables.messages.setState(fresh, 'delivered')
    for (const id of fresh) this.#tell('message.delivered', this.#now, { id })
  }

  async #request({ approval }: Body<'approval_requested'>): Promise<void> {
    const isNew = await this.#tables.approvals.insert({
      id: approval.id,
      agentId: this.#agent.id,
      workerId: null,
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
    if (isNew) this.#tell('approval.requested', approval.requested_at, approval as JsonObject)
  }

  async #close(body: Body<'approval_closed'>, at: number): Promise<void> {
    const { id, confirmed, by, via } = body
    const row = await this.#tables.approvals.get(id)
    if (row?.agentId !== this.#agent.id || row.state !== 'pending') return
    const state = confirmed ? 'confirmed' : 'rejected'
    await this.#tables.approvals.update(id, { state, answeredAt: at, answeredBy: by, via })
    const { tool, server, messageId } = row
    this.#tell('approval.answered', at, { id, confirmed, by, via, tool, server, message_id: messageId }, by)
  }

  #usage({ model, input_tokens, output_tokens, cost_usd }: Body<'usage'>, at: number): void {
    const before = this.#used.get(model) ?? { calls: 0, input_tokens: 0, output_tokens: 0, cost_usd: 0 }
    this.#used.set(model, {
      at,
      calls: before.calls + 1,
      input_tokens: before.input_tokens + input_tokens,
      output_tokens: before.output_tokens + output_tokens,
      cost_usd: before.cost_usd === null || cost_usd === null ? null : before.cost_usd + cost_usd,
    })
  }

  /** Of each model together: one event tells of all its calls in these rows. */
  async #use(): Promise<void> {
    for (const [model, { at, ...used }] of this.#used) {
      const { calls: modelCalls, input_tokens: inputTokens, output_tokens: outputTokens, cost_usd: costUsd } = used
      await this.#tables.usages.add({ agentId: this.#agent.id, modelCalls, inputTokens, outputTokens, costUsd })
      this.#tell('usage.recorded', at, { model, ...used })
    }
  }
}

interface Used {
  readonly at: number
  readonly calls: number
  readonly input_tokens: number
  readonly output_tokens: number
  readonly cost_usd: number | null
}

const heardBy = ({ message_id: id, conversation, content, metadata, sender }: Body<'heard'>): Posted => ({
  id,
  conversation,
  content,
  metadata: metadata as JsonObject,
  sender,
})

function shown(content: Json): JsonObject {
  if (JSON.stringify(content).length <= MOST_IN_EVENT) return { content }
  return { content: typeof content === 'string' ? content.slice(0, MOST_IN_EVENT) : null, truncated: true }
}
