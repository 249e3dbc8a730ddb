import { sql } from 'kysely'
import type { UsageRow, Usages } from '../../../ports/store.ts'
import { Codec } from './codec.ts'
import type { Database } from './schema.ts'

export const usageCodec = new Codec<UsageRow>({
  agentId: 'plain',
  modelCalls: 'plain',
  inputTokens: 'plain',
  outputTokens: 'plain',
  costUsd: 'plain',
})

export class UsagesTable implements Usages {
  readonly #db: Database

  constructor(db: Database) {
    this.#db = db
  }

  /** Agents that never used a model have no row. */
  async list(agentIds: readonly string[]): Promise<UsageRow[]> {
    const rows = await this.#db.sql.selectFrom('usages').selectAll().where(this.#db.among('agent_id', agentIds)).execute()
    return rows.map((row) => usageCodec.decode(row))
  }

  /** Adds to what is there; a cost that is null makes the sum null for good. */
  async add(row: UsageRow): Promise<void> {
    await this.#db.sql
      .insertInto('usages')
      .values(usageCodec.encode(row))
      .onConflict((conflict) =>
        conflict.column('agent_id').doUpdateSet({
          model_calls: sql<number>`usages.model_calls + excluded.model_calls`,
          input_tokens: sql<number>`usages.input_tokens + excluded.input_tokens`,
          output_tokens: sql<number>`usages.output_tokens + excluded.output_tokens`,
          cost_usd: sql<number>`usages.cost_usd + excluded.cost_usd`,
        }),
      )
      .execute()
  }
}
