import type { LifeRow, Lives } from '../../../ports/store.ts'
import { Codec } from './codec.ts'
import type { Database } from './schema.ts'
import { rowOf, send, update } from './statement.ts'

export const lifeCodec = new Codec<LifeRow>({
  agentId: 'plain',
  desired: 'plain',
  start: 'plain',
  state: 'plain',
  reason: 'plain',
  since: 'plain',
  runId: 'plain',
  restarts: 'plain',
  deaths: 'plain',
  earlyDeaths: 'plain',
  retryAt: 'plain',
  exitCode: 'plain',
  exitSignal: 'plain',
})

export class LivesTable implements Lives {
  readonly #db: Database

  constructor(db: Database) {
    this.#db = db
  }

  async insert(row: LifeRow): Promise<void> {
    const values = lifeCodec.encode(row)
    await send(this.#db, 'lives.insert', Object.values(values), (sql) => sql.insertInto('lives').values(values))
  }

  async get(agentId: string): Promise<LifeRow | undefined> {
    const row = await rowOf(this.#db, 'lives.get', [agentId], (sql) => sql.selectFrom('lives').selectAll().where('agent_id', '=', agentId))
    return row && lifeCodec.decode(row)
  }

  async list(agentIds?: readonly string[]): Promise<LifeRow[]> {
    let query = this.#db.sql.selectFrom('lives').selectAll()
    if (agentIds !== undefined) query = query.where(this.#db.among('agent_id', agentIds))
    return (await query.execute()).map((row) => lifeCodec.decode(row))
  }

  async update(agentId: string, change: Partial<Omit<LifeRow, 'agentId'>>): Promise<void> {
    await update(this.#db, 'lives', lifeCodec.change(change), agentId, (sql, columns) =>
      sql.updateTable('lives').set(columns).where('agent_id', '=', agentId),
    )
  }
}
