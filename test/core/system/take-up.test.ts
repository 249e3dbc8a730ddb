import { randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import { takeUpRuns } from '../../../src/core/system/take-up.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import type { Store } from '../../../src/ports/store.ts'
import type { WorkerRow } from '../../../src/ports/worker-store.ts'
import { specOf } from '../../helpers/process-runtime.ts'
import { workerRow } from '../../helpers/rows.ts'
import { Supervised } from '../../helpers/supervised.ts'

const insert = (store: Store, row: WorkerRow) => store.transaction((tables) => tables.workers.insert(row))

/** A worker's run as the runtime finds it, whatever the store knows of it. */
async function running(world: Supervised, row: WorkerRow) {
  const record = { worker: row.id, turn: row.turn, agent: row.agent, owner: row.owner }
  await world.runtime.start(specOf(['claude'], { runId: row.runId ?? '', agentId: row.id, record }))
  return world.runtime.last
}

it('leaves the runs of known workers to Regent, alive or ended, and takes their files for nobody else’s', async () => {
  const world = await Supervised.open()
  const rows = [workerRow({ state: 'running', runId: randomUUID() }), workerRow({ state: 'running', runId: randomUUID() })]
  for (const row of rows) await insert(world.store, row)
  for (const row of rows) await running(world, row)
  world.runtime.last.end({ kind: 'exited', code: 0, at: 1 })
  const { agents, left, known } = await takeUpRuns({ ...world, clock: systemClock })
  expect({ agents, left }).toEqual({ agents: [], left: [] })
  expect([...known].sort()).toEqual(rows.map(({ id }) => id).sort())
})

it('names the live run of a worker whose database was lost, by worker, owner and pid, and no ended one', async () => {
  const world = await Supervised.open()
  const [lost, ended] = [workerRow({ runId: randomUUID(), turn: 2 }), workerRow({ runId: randomUUID() })]
  const { pid } = await running(world, lost)
  const over = await running(world, ended)
  over.end({ kind: 'exited', code: 0, at: 1 })
  const { agents, left, known } = await takeUpRuns({ ...world, clock: systemClock })
  expect({ agents, known }).toEqual({ agents: [], known: [] })
  const reason = `it is turn 2 of worker ${lost.id} (claude, of ann), which the database does not know`
  expect(left).toEqual([{ run: lost.runId, pid, reason }])
  expect(world.runtime.runs.map(({ stops }) => stops)).toEqual([0, 0])
})

it('names the run of a worker that an older database knows with another one', async () => {
  const world = await Supervised.open()
  const row = workerRow({ state: 'completed', runId: 'an older one' })
  await insert(world.store, row)
  const { pid } = await running(world, { ...row, runId: randomUUID(), turn: 2 })
  const { left } = await takeUpRuns({ ...world, clock: systemClock })
  expect(left).toMatchObject([{ pid, reason: `it is turn 2 of worker ${row.id} (claude, of ann), which has another run` }])
})
