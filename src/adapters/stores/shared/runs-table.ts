import type { RunRow, Runs } from '../../../ports/store.ts'
import { Codec } from './codec.ts'
import type { Database } from './schema.ts'

const codec = new Codec<RunRow>({
  id: 'plain',
  agentId: 'plain',
  node: 'plain',
  epoch: 'plain',
  start: 'plain',
  revision: 'plain',
  handle: 'json',
  pid: 'plain',
  startedAt: 'plain',
  endedAt: 'plain',
  exitCode: 'plain',
  exitSignal: 'plain',
  exitReason: 'plain',
})

export class RunsTable implements Runs {
  readonly #db: Database

  constructor(db: Database) {
    this.#db = db
  }

  async insert(row: RunRow): Promise<void> {
    await this.#db.sql.insertInto('runs').values(codec.encode(row)).execute()
  }

  async get(id: string): Promise<RunRow | undefined> {
    const row = await this.#db.sql.selectFrom('runs').selectAll().where('id', '=', id).executeTakeFirst()
    return row && codec.decode(row)
  }

  async list(ids: readonly string[]): Promise<RunRow[]> {
    const rows = await this.#db.sql.selectFrom('runs').selectAll().where(this.#db.among('id', ids)).execute()
    return rows.map((row) => codec.decode(row))
  }

  async ofAgent(agentId: string, limit: number): Promise<RunRow[]> {
    const query = this.#db.sql.selectFrom('runs').selectAll().where('agent_id', '=', agentId)
    const rows = await query.orderBy('started_at', 'desc').orderBy('id', 'desc').limit(limit).execute()
    return rows.map((row) => codec.decode(row))
  }

  async open(): Promise<RunRow[]> {
    const query = this.#db.sql.selectFrom('runs').selectAll().where('ended_at', 'is', null)
    return (await query.orderBy('started_at').orderBy('id').execute()).map((row) => codec.decode(row))
  }

  async update(id: string, change: Partial<Omit<RunRow, 'id' | 'agentId'>>): Promise<void> {
    const columns = codec.change(change)
    if (columns) await this.#db.sql.updateTable('runs').set(columns).where('id', '=', id).execute()
  }

  async prune(at: number): Promise<number> {
    const last = this.#db.sql.selectFrom('lives').select('run_id').where('run_id', 'is not', null)
    const done = await this.#db.sql.deleteFrom('runs').where('ended_at', '<', at).where('id', 'not in', last).executeTakeFirst()
    return Number(done.numDeletedRows)
  }
}
