import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, onTestFinished } from 'vitest'
import { migrations as ofPostgres } from '../../../src/adapters/stores/postgres/migrations.ts'
import { openPostgresStore } from '../../../src/adapters/stores/postgres/postgres-store.ts'
import { migrations as ofSqlite } from '../../../src/adapters/stores/sqlite/migrations.ts'
import { openSqliteStore } from '../../../src/adapters/stores/sqlite/sqlite-store.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import type { ApprovalRow, Store } from '../../../src/ports/store.ts'
import { temporaryFolder } from '../../helpers/folder.ts'
import { freshPostgres, psqlIn } from '../../helpers/postgres.ts'
import { agentRow, approvalRow, workerRow } from '../../helpers/rows.ts'
import { describeWith } from '../../helpers/services.ts'

/** Two agents, and approvals of both as a Regent that knew no workers wrote them. */
const agents = [agentRow(), agentRow()]
const [first, second] = agents.map(({ id }) => id)
const kept = [
  approvalRow(first ?? '', { requestedAt: 1, arguments: { text: 'it\'s "ü"' } }),
  approvalRow(second ?? '', { requestedAt: 2, state: 'confirmed', answeredAt: 3, answeredBy: 'ann', via: 'http', messageId: 'm' }),
]
const columns = 'id agent_id message_id subagent server tool arguments state default requested_at expires_at answered_at answered_by via'
const names = columns.split(' ').map((name) => `"${name}"`)
const valuesOf = (row: ApprovalRow) => [
  ...[row.id, row.agentId, row.messageId, row.subagent, row.server, row.tool, JSON.stringify(row.arguments), row.state],
  ...[row.default, row.requestedAt, row.expiresAt, row.answeredAt, row.answeredBy, row.via],
]

async function given(store: Store): Promise<void> {
  await store.transaction(async (tables) => {
    for (const agent of agents) await tables.agents.insert(agent)
  })
  await store.close()
}

/** What an upgraded store must still do with approvals. */
async function works(store: Store): Promise<void> {
  onTestFinished(() => store.close())
  expect(await store.read.approvals.list({ limit: 10 })).toEqual(kept.toReversed())
  expect(await store.read.approvals.list({ limit: 10, ofWorkers: true })).toEqual([])
  const worker = workerRow()
  const asked = approvalRow(null, { workerId: worker.id, requestedAt: 9 })
  await store.transaction(async (tables) => {
    await tables.workers.insert(worker)
    await tables.approvals.insert(asked)
    await tables.agents.delete(first ?? '')
  })
  expect(await store.read.approvals.list({ limit: 10 })).toEqual([asked, kept[1]])
}

describe('a database of a Regent before workers', () => {
  it('keeps its approvals, in SQLite', async () => {
    const file = join(temporaryFolder(), 'regent.db')
    const options = { file, logger: silentLogger, clock: systemClock }
    await given(await openSqliteStore({ ...options, migrations: ofSqlite.slice(0, 1) }))
    const raw = new DatabaseSync(file)
    for (const row of kept) raw.prepare(`insert into approvals (${names}) values (${names.map(() => '?').join()})`).run(...valuesOf(row))
    raw.close()
    await works(await openSqliteStore(options))
    const looked = new DatabaseSync(file, { readOnly: true })
    expect(looked.prepare('pragma foreign_key_check').all()).toEqual([])
    expect(looked.prepare('pragma integrity_check').all()).toEqual([{ integrity_check: 'ok' }])
    looked.close()
  })
})

describeWith('postgres', 'a PostgreSQL schema of a Regent before workers', () => {
  it('keeps its approvals', async () => {
    const url = freshPostgres()
    const options = { url, node: 'local', logger: silentLogger, clock: systemClock }
    await given(await openPostgresStore({ ...options, migrations: ofPostgres.slice(0, 1) }))
    await psqlIn(url, async (query) => {
      for (const row of kept)
        await query(`insert into approvals (${names}) values (${names.map((_, at) => `$${at + 1}`).join()})`, valuesOf(row))
    })
    await works(await openPostgresStore(options))
  })
})
