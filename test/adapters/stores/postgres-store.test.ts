import { expect, it, onTestFinished } from 'vitest'
import { openPostgresStore } from '../../../src/adapters/stores/postgres/postgres-store.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import { storeConformance } from '../../conformance/store.ts'
import { freshPostgres, psql } from '../../helpers/postgres.ts'
import { agentRow } from '../../helpers/rows.ts'
import { describeWith } from '../../helpers/services.ts'

describeWith('postgres', 'on a real server', () => {
  storeConformance('PostgreSQL', async () => {
    const store = await openPostgresStore({ url: freshPostgres(), node: 'local', logger: silentLogger, clock: systemClock })
    onTestFinished(() => store.close())
    return store
  })

  it('[I4-PG-01] keeps what it was given in its schema alone, over connections', async () => {
    const url = freshPostgres()
    const open = () => openPostgresStore({ url, node: 'local', logger: silentLogger, clock: systemClock })
    const first = await open()
    const agent = agentRow()
    await first.transaction((tables) => tables.agents.insert(agent))
    await first.close()
    expect(await psql(url, 'select id, owner, name from agents')).toEqual([{ id: agent.id, owner: agent.owner, name: agent.name }])
    const store = await open()
    onTestFinished(() => store.close())
    expect(store.kind).toBe('postgres')
    expect(await store.read.agents.list({})).toEqual([agent])
  })
})
