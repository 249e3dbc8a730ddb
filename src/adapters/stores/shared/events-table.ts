import type { EventFilter, EventRow, Events, NewEvent } from '../../../ports/store.ts'
import { Codec, type Forms } from './codec.ts'
import type { Database } from './schema.ts'

const forms: Forms<NewEvent> = {
  at: 'plain',
  type: 'plain',
  agentId: 'plain',
  agent: 'plain',
  owner: 'plain',
  actor: 'plain',
  data: 'json',
}
const written = new Codec<NewEvent>(forms)
const read = new Codec<EventRow>({ number: 'plain', ...forms })

export class EventsTable implements Events {
  readonly #db: Database

  constructor(db: Database) {
    this.#db = db
  }

  async append(event: NewEvent): Promise<number> {
    const query = this.#db.sql.insertInto('events').values(written.encode(event)).returning('number')
    return (await query.executeTakeFirstOrThrow()).number
  }

  async list(filter: EventFilter): Promise<EventRow[]> {
    let query = this.#db.sql.selectFrom('events').selectAll().where('number', '>', filter.after)
    if (filter.owner !== undefined) query = query.where('owner', '=', filter.owner)
    if (filter.agentId !== undefined) query = query.where('agent_id', '=', filter.agentId)
    if (filter.types !== undefined) query = query.where(this.#db.among('type', filter.types))
    if (filter.before !== undefined) query = query.where('number', '<', filter.before)
    const rows = await query
      .orderBy('number', filter.from === 'newest' ? 'desc' : 'asc')
      .limit(filter.limit)
      .execute()
    return (filter.from === 'newest' ? rows.reverse() : rows).map((row) => read.decode(row))
  }

  async window(): Promise<{ readonly oldest: number; readonly newest: number }> {
    // Two steps along the primary key, in one statement; min and max side by side would scan the table.
    const end = (order: 'asc' | 'desc') => this.#db.sql.selectFrom('events').select('number').orderBy('number', order).limit(1)
    const row = await this.#db.sql.selectNoFrom([end('asc').as('oldest'), end('desc').as('newest')]).executeTakeFirst()
    return { oldest: row?.oldest ?? 0, newest: row?.newest ?? 0 }
  }

  async prune(keep: number): Promise<number> {
    const last = this.#db.sql.selectFrom('events').select('number').orderBy('number', 'desc').limit(1).offset(keep)
    const done = await this.#db.sql.deleteFrom('events').where('number', '<=', last).executeTakeFirst()
    return Number(done.numDeletedRows)
  }
}
