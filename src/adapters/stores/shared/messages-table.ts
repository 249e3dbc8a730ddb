import { type RawBuilder, sql } from 'kysely'
import type { InboxState } from '../../../contract/messages.ts'
import type { MessageFilter, MessagePlace, MessageRow, Messages, NewMessage, WaitingMessage } from '../../../ports/store.ts'
import { Codec, type Forms } from './codec.ts'
import type { Database } from './schema.ts'
import { execute, inSteps, NumberedRows, rowOf, rowsOf, update } from './statement.ts'

const forms: Forms<NewMessage> = {
  id: 'plain',
  agentId: 'plain',
  conversation: 'plain',
  direction: 'plain',
  type: 'plain',
  content: 'json',
  metadata: 'json',
  sender: 'plain',
  replyTo: 'plain',
  final: 'flag',
  state: 'plain',
  tries: 'plain',
  reason: 'plain',
  at: 'plain',
}
const written = new Codec<NewMessage>(forms)
const read = new Codec<MessageRow>({ number: 'plain', ...forms })
const waiting = new Codec<WaitingMessage>({
  number: 'plain',
  id: 'plain',
  conversation: 'plain',
  content: 'json',
  metadata: 'json',
  sender: 'plain',
  state: 'plain',
})

// Written out, not bound: only so are the partial indexes of the migrations found.
export const isWaiting: RawBuilder<boolean> = sql`direction = 'in' and state in ('queued', 'delivered')`
const isDead: RawBuilder<boolean> = sql`state = 'dead'`
const isFinal: RawBuilder<boolean> = sql`final = 1`

export class MessagesTable implements Messages {
  readonly #db: Database

  constructor(db: Database) {
    this.#db = db
  }

  async insert(message: NewMessage): Promise<number | undefined> {
    return (await this.insertAll([message])).get(message.id)
  }

  async insertAll(messages: readonly NewMessage[]): Promise<ReadonlyMap<string, number>> {
    const numbers = new Map<string, number>()
    for (const some of inSteps(messages)) {
      const rows = new NumberedRows(this.#db, 'messages', written, some)
      const { numAffectedRows } = await execute(this.#db, `messages.insert ${some.length}`, rows.parameters, (sql) =>
        sql
          .insertInto('messages')
          .values(rows.columns())
          .onConflict((conflict) => conflict.column('id').doNothing()),
      )
      for (const [at, { id }] of some.entries()) numbers.set(id, rows.numbers[at] ?? 0)
      if (Number(numAffectedRows) < some.length) await this.#leaveOutTaken(some, numbers)
    }
    return numbers
  }

  /** Only those were inserted that stand under the numbers that they were given. */
  async #leaveOutTaken(messages: readonly NewMessage[], numbers: Map<string, number>): Promise<void> {
    for (const { id, number } of await this.placesOf(messages.map((message) => message.id)))
      if (numbers.get(id) !== number) numbers.delete(id)
  }

  async placesOf(ids: readonly string[]): Promise<MessagePlace[]> {
    if (ids.length === 0) return []
    const rows = await rowsOf(this.#db, 'messages.placesOf', [this.#db.listed(ids)], (sql) =>
      sql.selectFrom('messages').select(['number', 'id', 'agent_id', 'conversation', 'state']).where(this.#db.among('id', ids)),
    )
    return rows.map(({ number, id, agent_id: agentId, conversation, state }) => ({ number, id, agentId, conversation, state }))
  }

  async get(id: string): Promise<MessageRow | undefined> {
    const row = await rowOf(this.#db, 'messages.get', [id], (sql) => sql.selectFrom('messages').selectAll().where('id', '=', id))
    return row && read.decode(row)
  }

  async list(filter: MessageFilter): Promise<MessageRow[]> {
    const newest = filter.from === 'newest'
    let query = this.#db.sql.selectFrom('messages').selectAll().where('agent_id', '=', filter.agentId)
    if (filter.conversation !== undefined) query = query.where('conversation', '=', filter.conversation)
    if (filter.after !== undefined) query = query.where('number', '>', filter.after)
    if (filter.before !== undefined) query = query.where('number', '<', filter.before)
    const rows = await query
      .orderBy('number', newest ? 'desc' : 'asc')
      .limit(filter.limit)
      .execute()
    return ascending(rows, newest)
  }

  async waiting(agentId: string, after: number, limit: number): Promise<WaitingMessage[]> {
    const rows = await rowsOf(this.#db, 'messages.waiting', [agentId, after, limit], (sql) => {
      const query = sql.selectFrom('messages').select(waiting.columns).where('agent_id', '=', agentId).where('number', '>', after)
      return query.where(isWaiting).orderBy('number').limit(limit)
    })
    return rows.map((row) => waiting.decode(row))
  }

  async countWaiting(agentIds?: readonly string[]): Promise<ReadonlyMap<string, number>> {
    let query = this.#db.sql
      .selectFrom('messages')
      .select((all) => ['agent_id', all.fn.countAll<number | string>().as('waiting')])
      .where(isWaiting)
      .groupBy('agent_id')
    if (agentIds !== undefined) query = query.where(this.#db.among('agent_id', agentIds))
    return new Map((await query.execute()).map((row) => [row.agent_id, Number(row.waiting)]))
  }

  async dead(agentIds: readonly string[] | undefined, limit: number): Promise<MessageRow[]> {
    let query = this.#db.sql.selectFrom('messages').selectAll().where(isDead)
    const [only] = agentIds ?? []
    // Of one agent they come sorted out of the index.
    if (agentIds?.length === 1 && only !== undefined) query = query.where('agent_id', '=', only)
    else if (agentIds !== undefined) query = query.where(this.#db.among('agent_id', agentIds))
    return ascending(await query.orderBy('number', 'desc').limit(limit).execute(), true)
  }

  async finalReply(messageId: string): Promise<MessageRow | undefined> {
    const query = this.#db.sql.selectFrom('messages').selectAll().where('reply_to', '=', messageId).where(isFinal)
    const row = await query.orderBy('number').executeTakeFirst()
    return row && read.decode(row)
  }

  async update(id: string, change: Partial<Pick<MessageRow, 'state' | 'tries' | 'reason'>>): Promise<void> {
    await update(this.#db, 'messages', written.change(change), id, (sql, columns) =>
      sql.updateTable('messages').set(columns).where('id', '=', id),
    )
  }

  async setState(ids: readonly string[], state: InboxState): Promise<void> {
    if (ids.length === 0) return
    await execute(this.#db, 'messages.setState', [state, this.#db.listed(ids)], (sql) =>
      sql.updateTable('messages').set({ state }).where(this.#db.among('id', ids)),
    )
  }
}

function ascending(rows: object[], reversed: boolean): MessageRow[] {
  const decoded = rows.map((row) => read.decode(row))
  return reversed ? decoded.reverse() : decoded
}
