import type { CompiledQuery, Expression, Generated, Kysely, SqlBool } from 'kysely'
import type {
  AgentRow,
  ApprovalRow,
  CommandRow,
  EventRow,
  LifeRow,
  NewEvent,
  NewMessage,
  RunRow,
  TokenRow,
  UsageRow,
} from '../../../ports/store.ts'
import type { RaceRow, TurnRow, WorkerRow } from '../../../ports/worker-store.ts'
import type { Columns } from './codec.ts'

/** The tables as kysely sees them; each dialect's migrations create them. */
export interface Schema {
  agents: Columns<AgentRow>
  lives: Columns<LifeRow>
  runs: Columns<RunRow>
  events: Columns<NewEvent> & { number: Generated<number> }
  messages: Columns<NewMessage> & { number: Generated<number> }
  approvals: Columns<ApprovalRow>
  tokens: Columns<TokenRow>
  commands: Columns<CommandRow>
  cursors: { name: string; value: number }
  usages: Columns<UsageRow>
  workers: Columns<WorkerRow>
  turns: Columns<TurnRow>
  races: Columns<RaceRow>
}

/** A connection or an open transaction, and what its SQL dialect says in its own way. */
export interface Database {
  readonly sql: Kysely<Schema>
  /** `column` is one of `values`, however many there are, in one statement text. */
  readonly among: (column: string, values: readonly string[]) => Expression<SqlBool>
  /** The one parameter that `among` puts in its text for these values. */
  readonly listed: (values: readonly string[]) => unknown
  /** The texts that were compiled so far, by name: as many as the code has statements. Shared by the transactions of a store. */
  readonly compiled: Map<string, CompiledQuery>
  /** Sends a statement whose result nobody needs and waits for nothing: if it fails, the transaction fails later. */
  readonly later?: (query: CompiledQuery) => void
  /** The next number of a table, within a transaction. */
  readonly next?: (table: 'events' | 'messages') => number
  /** Takes note of the events that this transaction appends. */
  readonly appended?: EventRow[]
}
