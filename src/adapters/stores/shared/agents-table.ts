import { sql } from 'kysely'
import type { AgentFilter, AgentRow, Agents } from '../../../ports/store.ts'
import { Codec } from './codec.ts'
import type { Database } from './schema.ts'
import { execute, rowOf, update } from './statement.ts'

export const agentCodec = new Codec<AgentRow>({
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
    const values = agentCodec.encode(row)
    const done = await execute(this.#db, 'agents.insert', Object.values(values), (sql) =>
      sql
        .insertInto('agents')
        .values(values)
        .onConflict((conflict) => conflict.doNothing()),
    )
    return (done.numAffectedRows ?? 0n) > 0n
  }

  async get(id: string): Promise<AgentRow | undefined> {
    const row = await rowOf(this.#db, 'agents.get', [id], (sql) => sql.selectFrom('agents').selectAll().where('id', '=', id))
    return row && agentCodec.decode(row)
  }

  async find(owner: string, name: string): Promise<AgentRow | undefined> {
    const row = await rowOf(this.#db, 'agents.find', [owner, name], (sql) =>
      sql.selectFrom('agents').selectAll().where('owner', '=', owner).where('name', '=', name),
    )
    return row && agentCodec.decode(row)
  }

  async list(filter: AgentFilter): Promise<AgentRow[]> {
    let query = this.#db.sql.selectFrom('agents').selectAll().orderBy('owner').orderBy('name')
    if (filter.owner !== undefined) query = query.where('owner', '=', filter.owner)
    if (filter.name !== undefined) query = query.where('name', '=', filter.name)
    if (filter.kind !== undefined) query = query.where('kind', '=', filter.kind)
    if (filter.idPrefix !== undefined) query = query.where('id', '>=', filter.idPrefix).where('id', '<', filter.idPrefix + LAST)
    if (filter.after !== undefined) query = query.where(sql<boolean>`(owner, name) > (${filter.after.owner}, ${filter.after.name})`)
    if (filter.limit !== undefined) query = query.limit(filter.limit)
    return (await query.execute()).map((row) => agentCodec.decode(row))
  }

  async count(owner?: string): Promise<number> {
    let query = this.#db.sql.selectFrom('agents').select((all) => all.fn.countAll<number | string>().as('agents'))
    if (owner !== undefined) query = query.where('owner', '=', owner)
    return Number((await query.executeTakeFirst())?.agents ?? 0)
  }

  async update(id: string, change: Partial<Omit<AgentRow, 'id'>>): Promise<void> {
    await update(this.#db, 'agents', agentCodec.change(change), id, (sql, columns) =>
      sql.updateTable('agents').set(columns).where('id', '=', id),
    )
  }

  async delete(id: string): Promise<void> {
    await this.#db.sql.deleteFrom('agents').where('id', '=', id).execute()
  }
}
