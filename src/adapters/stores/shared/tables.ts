import type { Tables } from '../../../ports/store.ts'
import { AgentsTable } from './agents-table.ts'
import { ApprovalsTable } from './approvals-table.ts'
import { CommandsTable } from './commands-table.ts'
import { CursorsTable } from './cursors-table.ts'
import { EventsTable } from './events-table.ts'
import { LivesTable } from './lives-table.ts'
import { MessagesTable } from './messages-table.ts'
import { RacesTable } from './races-table.ts'
import { RecordsTable } from './records-table.ts'
import { RunsTable } from './runs-table.ts'
import type { Database } from './schema.ts'
import { TokensTable } from './tokens-table.ts'
import { UsagesTable } from './usages-table.ts'
import { WorkersTable } from './workers-table.ts'

export function tablesOf(db: Database): Tables {
  return {
    agents: new AgentsTable(db),
    lives: new LivesTable(db),
    runs: new RunsTable(db),
    records: new RecordsTable(db),
    events: new EventsTable(db),
    messages: new MessagesTable(db),
    approvals: new ApprovalsTable(db),
    tokens: new TokensTable(db),
    commands: new CommandsTable(db),
    cursors: new CursorsTable(db),
    usages: new UsagesTable(db),
    workers: new WorkersTable(db),
    races: new RacesTable(db),
  }
}
