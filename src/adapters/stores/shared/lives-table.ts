import type { LifeRow, Lives } from '../../../ports/store.ts'
import { Codec } from './codec.ts'
import type { Database } from './schema.ts'

const codec = new Codec<LifeRow>({
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
    await this.#db.sql.insertInto('lives').values(codec.encode(row)).execute()
  }

  async get(agentId: string): Promise<LifeRow | undefined> {
    const row = await this.#db.sql.selectFrom('lives').selectAll().where('agent_id', '=', agentId).executeTakeFirst()
    return row && codec.decode(row)
  }

  async list(agentIds?: readonly string[]): Promise<LifeRow[]> {
    let query = this.#db.sql.selectFrom('lives').selectAll()
    if (agentIds !== undefined) query = query.where(this.#db.among('agent_id', agentIds))
    return (await query.execute()).map((row) => codec.decode(row))
  }

  async update(agentId: string, change: Partial<Omit<LifeRow, 'agentId'>>): Promise<void> {
    const columns = codec.change(change)
    if (columns) await this.#db.sql.updateTable('lives').set(columns).where('agent_id', '=', agentId).execute()
  }
}
