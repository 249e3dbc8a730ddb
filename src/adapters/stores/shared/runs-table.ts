import type { RunRow, Runs } from '../../../ports/store.ts'
import { Codec } from './codec.ts'
import type { Database } from './schema.ts'
import { rowOf, send, update } from './statement.ts'

export const runCodec = new Codec<RunRow>({
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
    const values = runCodec.encode(row)
    await send(this.#db, 'runs.insert', Object.values(values), (sql) => sql.insertInto('runs').values(values))
  }

  async get(id: string): Promise<RunRow | undefined> {
    const row = await rowOf(this.#db, 'runs.get', [id], (sql) => sql.selectFrom('runs').selectAll().where('id', '=', id))
    return row && runCodec.decode(row)
  }

  async ofAgent(agentId: string, limit: number): Promise<RunRow[]> {
    const query = this.#db.sql.selectFrom('runs').selectAll().where('agent_id', '=', agentId)
    const rows = await query.orderBy('started_at', 'desc').orderBy('id', 'desc').limit(limit).execute()
    return rows.map((row) => runCodec.decode(row))
  }

  async open(): Promise<RunRow[]> {
    const query = this.#db.sql.selectFrom('runs').selectAll().where('ended_at', 'is', null)
    return (await query.orderBy('started_at').orderBy('id').execute()).map((row) => runCodec.decode(row))
  }

  async update(id: string, change: Partial<Omit<RunRow, 'id' | 'agentId'>>): Promise<void> {
    await update(this.#db, 'runs', runCodec.change(change), id, (sql, columns) => sql.updateTable('runs').set(columns).where('id', '=', id))
  }

  async prune(at: number): Promise<number> {
    const last = this.#db.sql.selectFrom('lives').select('run_id').where('run_id', 'is not', null)
    const done = await this.#db.sql.deleteFrom('runs').where('ended_at', '<', at).where('id', 'not in', last).executeTakeFirst()
    return Number(done.numDeletedRows)
  }
}
