import type { AliasedExpression } from 'kysely'
import type { AgentRecord, AgentStanding, Records, RunRow } from '../../../ports/store.ts'
import { agentCodec } from './agents-table.ts'
import { lifeCodec } from './lives-table.ts'
import { isWaiting } from './messages-table.ts'
import { runCodec } from './runs-table.ts'
import type { Database } from './schema.ts'
import { rowOf, rowsOf } from './statement.ts'
import { usageCodec } from './usages-table.ts'

const agent = agentCodec.within('agents')
const life = lifeCodec.within('lives')
const run = runCodec.within('runs')
const usage = usageCodec.within('usages')

type Joined = { readonly [column: string]: unknown }
type Selected = AliasedExpression<unknown, string>

/** Rows of several tables by one statement, for what is asked most often. */
export class RecordsTable implements Records {
  readonly #db: Database

  constructor(db: Database) {
    this.#db = db
  }

  async get(agentId: string): Promise<AgentRecord | undefined> {
    const selected: readonly Selected[] = [...agent.columns, ...life.columns, ...run.columns]
    const row: Joined | undefined = await rowOf(this.#db, 'records.get', [agentId], (sql) =>
      sql
        .selectFrom('agents')
        .innerJoin('lives', 'lives.agent_id', 'agents.id')
        .leftJoin('runs', 'runs.id', 'lives.run_id')
        .select(selected)
        .where('agents.id', '=', agentId),
    )
    return row && { agent: agent.decode(row), life: life.decode(row), run: runIn(row) }
  }

  async standings(agentIds: readonly string[]): Promise<AgentStanding[]> {
    const ids = this.#db.listed(agentIds)
    const selected: readonly Selected[] = [...life.columns, ...run.columns, ...usage.columns]
    const rows: Joined[] = await rowsOf(this.#db, 'records.standings', [ids], (sql) =>
      sql
        .selectFrom('lives')
        .leftJoin('runs', 'runs.id', 'lives.run_id')
        .leftJoin('usages', 'usages.agent_id', 'lives.agent_id')
        .select(selected)
        .select((of) =>
          of
            .selectFrom('messages')
            .select((all) => all.fn.countAll().as('waiting'))
            .whereRef('messages.agent_id', '=', 'lives.agent_id')
            .where(isWaiting)
            .as('waiting'),
        )
        .where(this.#db.among('lives.agent_id', agentIds)),
    )
    return rows.map((row) => ({
      life: life.decode(row),
      run: runIn(row),
      usage: row[usage.nameOf('agentId')] === null ? undefined : usage.decode(row),
      waiting: Number(row.waiting),
    }))
  }
}

function runIn(row: Joined): RunRow | undefined {
  return row[run.nameOf('id')] === null ? undefined : run.decode(row)
}
