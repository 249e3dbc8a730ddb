import type { ApprovalRow, Approvals } from '../../../ports/store.ts'
import { Codec } from './codec.ts'
import type { Database } from './schema.ts'

const codec = new Codec<ApprovalRow>({
  id: 'plain',
  agentId: 'plain',
  workerId: 'plain',
  messageId: 'plain',
  subagent: 'plain',
  server: 'plain',
  tool: 'plain',
  arguments: 'json',
  state: 'plain',
  default: 'plain',
  requestedAt: 'plain',
  expiresAt: 'plain',
  answeredAt: 'plain',
  answeredBy: 'plain',
  via: 'plain',
})

export class ApprovalsTable implements Approvals {
  readonly #db: Database

  constructor(db: Database) {
    this.#db = db
  }

  async insert(row: ApprovalRow): Promise<boolean> {
    const done = await this.#db.sql
      .insertInto('approvals')
      .values(codec.encode(row))
      .onConflict((conflict) => conflict.column('id').doNothing())
      .executeTakeFirst()
    return (done.numInsertedOrUpdatedRows ?? 0n) > 0n
  }

  async get(id: string): Promise<ApprovalRow | undefined> {
    const row = await this.#db.sql.selectFrom('approvals').selectAll().where('id', '=', id).executeTakeFirst()
    return row && codec.decode(row)
  }

  /** The newest `limit`, newest first. */
  async list(filter: Parameters<Approvals['list']>[0]): Promise<ApprovalRow[]> {
    let query = this.#db.sql.selectFrom('approvals').selectAll().orderBy('requested_at', 'desc').orderBy('id', 'desc').limit(filter.limit)
    const { agentIds, workerIds } = filter
    if (agentIds !== undefined || workerIds !== undefined)
      query = query.where((all) =>
        all.or([
          ...(agentIds === undefined ? [] : [this.#db.among('agent_id', agentIds)]),
          ...(workerIds === undefined ? [] : [this.#db.among('worker_id', workerIds)]),
        ]),
      )
    if (filter.ofWorkers) query = query.where('worker_id', 'is not', null)
    if (filter.state !== undefined) query = query.where('state', '=', filter.state)
    return (await query.execute()).map((row) => codec.decode(row))
  }

  async update(id: string, change: Partial<Omit<ApprovalRow, 'id'>>): Promise<void> {
    const columns = codec.change(change)
    if (columns) await this.#db.sql.updateTable('approvals').set(columns).where('id', '=', id).execute()
  }
}
