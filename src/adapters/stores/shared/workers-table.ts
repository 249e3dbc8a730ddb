import { sql } from 'kysely'
import type { Spent, TurnRow, WorkerFilter, WorkerRow, Workers } from '../../../ports/worker-store.ts'
import { Codec } from './codec.ts'
import type { Database } from './schema.ts'
import { rowOf, send, update } from './statement.ts'

const codec = new Codec<WorkerRow>({
  id: 'plain',
  owner: 'plain',
  namespace: 'plain',
  label: 'plain',
  agent: 'plain',
  spec: 'json',
  secretsId: 'plain',
  budget: 'json',
  timeout: 'plain',
  priority: 'plain',
  state: 'plain',
  reason: 'plain',
  wanted: 'plain',
  claimed: 'flag',
  turn: 'plain',
  prompt: 'plain',
  cwd: 'plain',
  branch: 'plain',
  sessionId: 'plain',
  begun: 'flag',
  trusted: 'flag',
  runId: 'plain',
  handle: 'json',
  pid: 'plain',
  lines: 'plain',
  attempts: 'plain',
  retryAt: 'plain',
  exitCode: 'plain',
  result: 'plain',
  failureKind: 'plain',
  failure: 'plain',
  errorHint: 'plain',
  outputFile: 'plain',
  inputTokens: 'plain',
  outputTokens: 'plain',
  costUsd: 'plain',
  ranFor: 'plain',
  raceId: 'plain',
  createdAt: 'plain',
  queuedAt: 'plain',
  startedAt: 'plain',
  endedAt: 'plain',
})

const turnCodec = new Codec<TurnRow>({
  workerId: 'plain',
  turn: 'plain',
  owner: 'plain',
  prompt: 'plain',
  runId: 'plain',
  state: 'plain',
  startedAt: 'plain',
  endedAt: 'plain',
  inputTokens: 'plain',
  outputTokens: 'plain',
  costUsd: 'plain',
  ranFor: 'plain',
})

/** Sorts after every text that begins with what stands before it. */
const LAST = '\u{10FFFF}'
/** In the words of the index of open ones: values that are bound would not be known to be those that it holds. */
const open = sql<boolean>`state in ('queued', 'running', 'limited')`

export class WorkersTable implements Workers {
  readonly #db: Database

  constructor(db: Database) {
    this.#db = db
  }

  async insert(row: WorkerRow): Promise<void> {
    const values = codec.encode(row)
    await send(this.#db, 'workers.insert', Object.values(values), (sql) => sql.insertInto('workers').values(values))
  }

  async get(id: string): Promise<WorkerRow | undefined> {
    const row = await rowOf(this.#db, 'workers.get', [id], (sql) => sql.selectFrom('workers').selectAll().where('id', '=', id))
    return row && codec.decode(row)
  }

  async list(filter: WorkerFilter): Promise<WorkerRow[]> {
    let query = this.#db.sql.selectFrom('workers').selectAll().orderBy('created_at', 'desc').orderBy('id', 'desc').limit(filter.limit)
    const { owner, namespace, states, claimed, raceId, idPrefix, after } = filter
    if (owner !== undefined) query = query.where('owner', '=', owner)
    if (namespace !== undefined) query = query.where('namespace', '=', namespace)
    if (states !== undefined) query = query.where(this.#db.among('state', states))
    if (claimed !== undefined) query = query.where('claimed', '=', claimed ? 1 : 0)
    if (raceId !== undefined) query = query.where('race_id', '=', raceId)
    if (idPrefix !== undefined) query = query.where('id', '>=', idPrefix).where('id', '<', idPrefix + LAST)
    if (after !== undefined) query = query.where(sql<boolean>`(created_at, id) < (${after.createdAt}, ${after.id})`)
    return (await query.execute()).map((row) => codec.decode(row))
  }

  async open(): Promise<WorkerRow[]> {
    const query = this.#db.sql.selectFrom('workers').selectAll().where(open)
    return (await query.orderBy('queued_at').orderBy('id').execute()).map((row) => codec.decode(row))
  }

  async unclaimed(owner: string, namespace: string): Promise<WorkerRow[]> {
    const query = this.#db.sql.selectFrom('workers').selectAll().where('owner', '=', owner).where('namespace', '=', namespace)
    const rows = await query.where('claimed', '=', 0).orderBy(sql`coalesce(ended_at, 9007199254740991)`).orderBy('id').execute()
    return rows.map((row) => codec.decode(row))
  }

  async update(id: string, change: Partial<Omit<WorkerRow, 'id'>>): Promise<void> {
    await update(this.#db, 'workers', codec.change(change), id, (sql, columns) =>
      sql.updateTable('workers').set(columns).where('id', '=', id),
    )
  }

  async delete(id: string): Promise<void> {
    await this.#db.sql.deleteFrom('workers').where('id', '=', id).execute()
    await this.#db.sql.updateTable('turns').set({ prompt: '', run_id: null }).where('worker_id', '=', id).execute()
  }

  async pruneTurns(at: number): Promise<void> {
    const kept = this.#db.sql.selectFrom('workers').select('id')
    await this.#db.sql.deleteFrom('turns').where('ended_at', '<', at).where('worker_id', 'not in', kept).execute()
  }

  async usesSecrets(secretsId: string): Promise<boolean> {
    const query = this.#db.sql.selectFrom('workers').select('id').where('secrets_id', '=', secretsId).limit(1)
    return (await query.executeTakeFirst()) !== undefined
  }

  async old(at: number, limit: number): Promise<string[]> {
    const query = this.#db.sql.selectFrom('workers').select('id').where('claimed', '=', 1).where('ended_at', '<', at)
    return (await query.where(sql<boolean>`not (${open})`).orderBy('ended_at').orderBy('id').limit(limit).execute()).map(({ id }) => id)
  }

  async insertTurn(row: TurnRow): Promise<void> {
    const values = turnCodec.encode(row)
    await send(this.#db, 'turns.insert', Object.values(values), (sql) => sql.insertInto('turns').values(values))
  }

  async updateTurn(workerId: string, turn: number, change: Partial<Omit<TurnRow, 'workerId' | 'turn'>>): Promise<void> {
    const columns = turnCodec.change(change)
    if (columns) await this.#db.sql.updateTable('turns').set(columns).where('worker_id', '=', workerId).where('turn', '=', turn).execute()
  }

  async turns(workerId: string): Promise<TurnRow[]> {
    const rows = await this.#db.sql.selectFrom('turns').selectAll().where('worker_id', '=', workerId).orderBy('turn').execute()
    return rows.map((row) => turnCodec.decode(row))
  }

  async spent(owner: string, since: number): Promise<Spent> {
    const row = await this.#db.sql
      .selectFrom('turns')
      .select((all) => [
        all.fn.coalesce(all.fn.sum<number | string>('cost_usd'), sql<number>`0`).as('usd'),
        sql<number | string>`coalesce(sum(input_tokens + output_tokens), 0)`.as('tokens'),
        all.fn.coalesce(all.fn.sum<number | string>('ran_for'), sql<number>`0`).as('ran_for'),
      ])
      .where('owner', '=', owner)
      .where('started_at', '>=', since)
      .executeTakeFirst()
    return { usd: Number(row?.usd ?? 0), tokens: Number(row?.tokens ?? 0), ranFor: Number(row?.ran_for ?? 0) }
  }
}
