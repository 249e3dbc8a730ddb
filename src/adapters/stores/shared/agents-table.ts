import { sql } from 'kysely'
import type { AgentFilter, AgentRow, Agents } from '../../../ports/store.ts'
import { Codec } from './codec.ts'
import type { Database } from './schema.ts'

const codec = new Codec<AgentRow>({
  id: 'plain',
  owner: 'plain',
  name: 'plain',
  kind: 'plain',
  runtime: 'plain',
  node: 'plain',
  epoch: 'plain',
  revision: 'plain',
  definition: 'json',
  policy: 'json',
  limits: 'json',
  file: 'plain',
  deleting: 'flag',
  createdAt: 'plain',
  updatedAt: 'plain',
})

/** Sorts after every text that begins with what stands before it. */
const LAST = '\u{10FFFF}'

export class AgentsTable implements Agents {
  readonly #db: Database

  constructor(db: Database) {
    this.#db = db
  }

  async insert(row: AgentRow): Promise<boolean> {
    const done = await this.#db.sql
      .insertInto('agents')
      .values(codec.encode(row))
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst()
    return (done.numInsertedOrUpdatedRows ?? 0n) > 0n
  }

  async get(id: string): Promise<AgentRow | undefined> {
    const row = await this.#db.sql.selectFrom('agents').selectAll().where('id', '=', id).executeTakeFirst()
    return row && codec.decode(row)
  }

  async find(owner: string, name: string): Promise<AgentRow | undefined> {
    const query = this.#db.sql.selectFrom('agents').selectAll().where('owner', '=', owner).where('name', '=', name)
    const row = await query.executeTakeFirst()
    return row && codec.decode(row)
  }

  async list(filter: AgentFilter): Promise<AgentRow[]> {
    let query = this.#db.sql.selectFrom('agents').selectAll().orderBy('owner').orderBy('name')
    if (filter.owner !== undefined) query = query.where('owner', '=', filter.owner)
    if (filter.name !== undefined) query = query.where('name', '=', filter.name)
    if (filter.kind !== undefined) query = query.where('kind', '=', filter.kind)
    if (filter.idPrefix !== undefined) query = query.where('id', '>=', filter.idPrefix).where('id', '<', filter.idPrefix + LAST)
    if (filter.after !== undefined) query = query.where(sql<boolean>`(owner, name) > (${filter.after.owner}, ${filter.after.name})`)
    if (filter.limit !== undefined) query = query.limit(filter.limit)
    return (await query.execute()).map((row) => codec.decode(row))
  }

  async count(owner?: string): Promise<number> {
    let query = this.#db.sql.selectFrom('agents').select((all) => all.fn.countAll<number | string>().as('agents'))
    if (owner !== undefined) query = query.where('owner', '=', owner)
    return Number((await query.executeTakeFirst())?.agents ?? 0)
  }

  async update(id: string, change: Partial<Omit<AgentRow, 'id'>>): Promise<void> {
    const columns = codec.change(change)
    if (columns) await this.#db.sql.updateTable('agents').set(columns).where('id', '=', id).execute()
  }

  async delete(id: string): Promise<void> {
    await this.#db.sql.deleteFrom('agents').where('id', '=', id).execute()
  }
}
