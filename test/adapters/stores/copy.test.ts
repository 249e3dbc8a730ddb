import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { openPostgresSource, postgresTarget } from '../../../src/adapters/stores/postgres/copy.ts'
import { openPostgresStore } from '../../../src/adapters/stores/postgres/postgres-store.ts'
import { type CopySource, type CopyTarget, copyStore } from '../../../src/adapters/stores/shared/copy.ts'
import { openSqliteSource, sqliteTarget } from '../../../src/adapters/stores/sqlite/copy.ts'
import { openSqliteStore } from '../../../src/adapters/stores/sqlite/sqlite-store.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import type { Store } from '../../../src/ports/store.ts'
import { temporaryFolder } from '../../helpers/folder.ts'
import { freshPostgres } from '../../helpers/postgres.ts'
import { agentRow, approvalRow, raceRow, turnRow, workerRow } from '../../helpers/rows.ts'
import { describeWith } from '../../helpers/services.ts'

/** More than fit in one page of a copy. */
const workers = Array.from({ length: 120 }, (_, at) =>
  workerRow({ id: `w${String(at).padStart(3, '0')}`, createdAt: at, prompt: `ünï ${at}`, costUsd: at / 8, claimed: at % 2 === 0 }),
)
const turns = workers.flatMap(({ id }) => [turnRow(id), turnRow(id, { turn: 2, startedAt: 5, inputTokens: 9 })])
const race = raceRow({ attempts: [{ worker: 'w001' }], data: { judge: 'w002' }, trusted: true })
const agent = agentRow()
const approvals = [approvalRow(null, { workerId: 'w003', requestedAt: 2 }), approvalRow(agent.id, { requestedAt: 1 })]

async function write(store: Store): Promise<void> {
  await store.transaction(async (tables) => {
    await tables.agents.insert(agent)
    for (const row of workers) await tables.workers.insert(row)
    for (const row of turns) await tables.workers.insertTurn(row)
    await tables.races.insert(race)
    for (const row of approvals) await tables.approvals.insert(row)
  })
  await store.close()
}

async function copied(from: CopySource, to: CopyTarget): Promise<void> {
  const { tables } = await copyStore(from, to, () => {}).finally(() => from.close())
  expect(tables).toMatchObject({ workers: 120, turns: 240, races: 1, approvals: 2 })
}

async function expectAll(store: Store): Promise<void> {
  onTestFinished(() => store.close())
  expect(await store.read.workers.list({ limit: 500 })).toEqual(workers.toReversed())
  const found = await Promise.all(workers.map(({ id }) => store.read.workers.turns(id)))
  expect(found.flat()).toEqual(turns)
  expect(await store.read.races.list({ limit: 10 })).toEqual([race])
  expect(await store.read.approvals.list({ limit: 10 })).toEqual(approvals)
}

const inFile = (file: string) => openSqliteStore({ file, logger: silentLogger, clock: systemClock })
const onServer = (url: string) => openPostgresStore({ url, node: 'local', logger: silentLogger, clock: systemClock })

describeWith('postgres', 'a copy of a store', () => {
  it('[part of I4-PG-04] holds workers, turns, races and approvals, there and back', async () => {
    const [file, back, url] = [join(temporaryFolder(), 'regent.db'), join(temporaryFolder(), 'regent.db'), freshPostgres()]
    await write(await inFile(file))
    await copied(openSqliteSource(file), postgresTarget(url, 'local'))
    await copied(await openPostgresSource(url, 'local'), sqliteTarget(back))
    await expectAll(await inFile(back))
    await expectAll(await onServer(url))
  })
})
