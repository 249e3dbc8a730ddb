import { sql as text } from 'kysely'
import type { EventFilter, EventRange, EventRow, Events, NewEvent } from '../../../ports/store.ts'
import { Codec, type Forms } from './codec.ts'
import type { Database } from './schema.ts'
import { inSteps, NumberedRows, rowsOf, send } from './statement.ts'

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
    const [number = 0] = await this.#append([event])
    return number
  }

  async appendAll(events: readonly NewEvent[]): Promise<void> {
    for (const some of inSteps(events)) await this.#append(some)
  }

  async #append(events: readonly NewEvent[]): Promise<readonly number[]> {
    const rows = new NumberedRows(this.#db, 'events', written, events)
    const { numbers, parameters } = rows
    await send(this.#db, `events.append ${events.length}`, parameters, (sql) => sql.insertInto('events').values(rows.columns()))
    for (const [at, number] of numbers.entries()) this.#db.appended?.push({ number, ...(events[at] as NewEvent) })
    return numbers
  }

  async list(filter: EventFilter): Promise<EventRow[]> {
    const { after, limit, ...narrower } = filter
    if (Object.keys(narrower).length === 0) return this.#since(after, limit)
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

  /** What follows every commit. */
  async #since(after: number, limit: number): Promise<EventRow[]> {
    const rows = await rowsOf(this.#db, 'events.since', [after, limit], (sql) =>
      sql.selectFrom('events').selectAll().where('number', '>', after).orderBy('number').limit(limit),
    )
    return rows.map((row) => read.decode(row))
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

  async measure({ after, upTo, types }: EventRange): Promise<{ readonly events: number; readonly bytes: number }> {
    let query = this.#db.sql
      .selectFrom('events')
      .select((all) => [all.fn.countAll<number | string>().as('events'), text<number | string>`coalesce(sum(length(data)), 0)`.as('bytes')])
      .where('number', '>', after)
    if (upTo !== undefined) query = query.where('number', '<=', upTo)
    if (types !== undefined) query = query.where(this.#db.among('type', types))
    const row = await query.executeTakeFirst()
    return { events: Number(row?.events ?? 0), bytes: Number(row?.bytes ?? 0) }
  }

  async thin({ after, upTo, types }: Required<EventRange>): Promise<number> {
    const query = this.#db.sql.deleteFrom('events').where('number', '>', after).where('number', '<=', upTo)
    return Number((await query.where(this.#db.among('type', types)).executeTakeFirst()).numDeletedRows)
  }
}
