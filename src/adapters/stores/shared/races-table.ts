import { sql } from 'kysely'
import type { RaceRow, Races } from '../../../ports/worker-store.ts'
import { Codec } from './codec.ts'
import type { Database } from './schema.ts'
import { update } from './statement.ts'

const codec = new Codec<RaceRow>({
  id: 'plain',
  owner: 'plain',
  namespace: 'plain',
  state: 'plain',
  reason: 'plain',
  prompt: 'plain',
  judge: 'json',
  attempts: 'json',
  winner: 'plain',
  trusted: 'flag',
  data: 'json',
  createdAt: 'plain',
  endedAt: 'plain',
})

/** Sorts after every text that begins with what stands before it. */
const LAST = '\u{10FFFF}'

/** In the words of the index of open ones: values that are bound would not be known to be those that it holds. */
const open = sql<boolean>`state in ('running', 'judging')`

export class RacesTable implements Races {
  readonly #db: Database

  constructor(db: Database) {
    this.#db = db
  }

  async insert(row: RaceRow): Promise<void> {
    await this.#db.sql.insertInto('races').values(codec.encode(row)).execute()
  }

  async get(id: string): Promise<RaceRow | undefined> {
    const row = await this.#db.sql.selectFrom('races').selectAll().where('id', '=', id).executeTakeFirst()
    return row && codec.decode(row)
  }

  async list({ owner, namespace, states, idPrefix, after, limit }: Parameters<Races['list']>[0]): Promise<RaceRow[]> {
    let query = this.#db.sql.selectFrom('races').selectAll().orderBy('created_at', 'desc').orderBy('id', 'desc').limit(limit)
    if (owner !== undefined) query = query.where('owner', '=', owner)
    if (namespace !== undefined) query = query.where('namespace', '=', namespace)
    if (states !== undefined) query = query.where(this.#db.among('state', states))
    if (idPrefix !== undefined) query = query.where('id', '>=', idPrefix).where('id', '<', idPrefix + LAST)
    if (after !== undefined) query = query.where(sql<boolean>`(created_at, id) < (${after.createdAt}, ${after.id})`)
    return (await query.execute()).map((row) => codec.decode(row))
  }

  async open(): Promise<RaceRow[]> {
    const query = this.#db.sql.selectFrom('races').selectAll().where(open)
    return (await query.orderBy('created_at').orderBy('id').execute()).map((row) => codec.decode(row))
  }

  async update(id: string, change: Partial<Omit<RaceRow, 'id'>>): Promise<void> {
    await update(this.#db, 'races', codec.change(change), id, (sql, columns) => sql.updateTable('races').set(columns).where('id', '=', id))
  }
}
