import { join } from 'node:path'
import { Kysely, SqliteDialect, sql } from 'kysely'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Schema } from '../../../src/adapters/stores/shared/schema.ts'
import { tablesOf } from '../../../src/adapters/stores/shared/tables.ts'
import { openNodeSqlite, pragma } from '../../../src/adapters/stores/sqlite/node-sqlite.ts'
import { openSqliteStore } from '../../../src/adapters/stores/sqlite/sqlite-store.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import type { Tables } from '../../../src/ports/store.ts'
import { temporaryFolder } from '../../helpers/folder.ts'

async function database() {
  const file = join(temporaryFolder(), 'regent.db')
  await (await openSqliteStore({ file, logger: silentLogger, clock: systemClock })).close()
  const database = openNodeSqlite({ file, readOnly: false })
  onTestFinished(() => database.close())
  return database
}

/** What is asked often, by each look at an agent, each message and each event. */
const often: Record<string, (tables: Tables) => Promise<unknown>> = {
  'agents.get': ({ agents }) => agents.get('a'),
  'agents.find': ({ agents }) => agents.find('ann', 'a'),
  'agents.list of an owner': ({ agents }) => agents.list({ owner: 'ann', limit: 10 }),
  'agents.list by prefix': ({ agents }) => agents.list({ idPrefix: 'abcd' }),
  'agents.count of an owner': ({ agents }) => agents.count('ann'),
  'lives.get': ({ lives }) => lives.get('a'),
  'lives.list of some': ({ lives }) => lives.list(['a', 'b']),
  'runs.get': ({ runs }) => runs.get('r'),
  'runs.ofAgent': ({ runs }) => runs.ofAgent('a', 10),
  'records.get': ({ records }) => records.get('a'),
  'records.standings': ({ records }) => records.standings(['a', 'b']),
  'runs.open': ({ runs }) => runs.open(),
  'events.list': ({ events }) => events.list({ after: 5, limit: 10 }),
  'events.list of an owner': ({ events }) => events.list({ after: 5, limit: 10, owner: 'ann' }),
  'events.list of an agent': ({ events }) => events.list({ after: 5, limit: 10, agentId: 'a' }),
  'events.measure': ({ events }) => events.measure({ after: 5, upTo: 10, types: ['usage.recorded'] }),
  'events.thin': ({ events }) => events.thin({ after: 5, upTo: 10, types: ['usage.recorded'] }),
  'messages.get': ({ messages }) => messages.get('m'),
  'messages.list': ({ messages }) => messages.list({ agentId: 'a', limit: 10, from: 'newest' }),
  'messages.list of a conversation': ({ messages }) => messages.list({ agentId: 'a', conversation: 'c', limit: 10, from: 'oldest' }),
  'messages.waiting': ({ messages }) => messages.waiting('a', 5, 10),
  'messages.countWaiting of some': ({ messages }) => messages.countWaiting(['a', 'b']),
  'messages.dead': ({ messages }) => messages.dead(['a'], 10),
  'messages.finalReply': ({ messages }) => messages.finalReply('m'),
  'approvals.get': ({ approvals }) => approvals.get('p'),
  'approvals.list of a state': ({ approvals }) => approvals.list({ state: 'pending', limit: 10 }),
  'approvals.list of workers': ({ approvals }) => approvals.list({ workerIds: ['w'], state: 'pending', limit: 10 }),
  'workers.get': ({ workers }) => workers.get('w'),
  'workers.list of an owner': ({ workers }) => workers.list({ owner: 'ann', limit: 10 }),
  'workers.list of a race': ({ workers }) => workers.list({ raceId: 'r', limit: 10 }),
  'workers.list by prefix': ({ workers }) => workers.list({ idPrefix: 'abcd', limit: 10 }),
  'workers.open': ({ workers }) => workers.open(),
  'workers.unclaimed': ({ workers }) => workers.unclaimed('ann', 'default'),
  'workers.old': ({ workers }) => workers.old(5, 10),
  'workers.turns': ({ workers }) => workers.turns('w'),
  'workers.spent': ({ workers }) => workers.spent('ann', 5),
  'races.get': ({ races }) => races.get('r'),
  'races.list of an owner': ({ races }) => races.list({ owner: 'ann', limit: 10 }),
  'races.open': ({ races }) => races.open(),
  'tokens.findByHash': ({ tokens }) => tokens.findByHash('h'),
  'commands.get': ({ commands }) => commands.get('ann', 'k'),
  'commands.prune': ({ commands }) => commands.prune(5),
  'cursors.get': ({ cursors }) => cursors.get('c'),
  'usages.list': ({ usages }) => usages.list(['a', 'b']),
}

describe('what is asked often', () => {
  it('is found by an index and comes sorted out of it', async () => {
    const opened = await database()
    let asked: { text: string; values: readonly unknown[] } = { text: '', values: [] }
    const db = new Kysely<Schema>({
      dialect: new SqliteDialect({ database: opened }),
      log: ({ query }) => {
        asked = { text: query.sql, values: query.parameters }
      },
    })
    const among = (column: string, values: readonly string[]) =>
      sql<boolean>`${sql.ref(column)} in (select value from json_each(${JSON.stringify(values)}))`
    const tables = tablesOf({ sql: db, among, listed: (values) => JSON.stringify(values), compiled: new Map() })
    const slow: string[] = []
    for (const [name, ask] of Object.entries(often)) {
      await ask(tables)
      const plan = opened.prepare(`explain query plan ${asked.text}`).all(asked.values) as { detail: string }[]
      // Few rows share a prefix, a race, or a crew that has yet to claim them: those are sorted.
      const scan = /by prefix|of a race|unclaimed/.test(name) ? /^SCAN/ : /^SCAN|TEMP B-TREE/
      // A partial index is read from end to end because it holds nothing else.
      const steps = plan
        .map(({ detail }) => detail)
        .filter((detail) => !/json_each|USING (COVERING )?INDEX (runs|workers|races)_open/.test(detail))
      if (steps.some((detail) => scan.test(detail))) slow.push(`${name}: ${steps.join('; ')}`)
    }
    expect(slow).toEqual([])
  })
})

describe('the writing connection', () => {
  it('makes each commit durable, and keeps rows whole', async () => {
    const { raw } = await database()
    const settings = ['journal_mode', 'synchronous', 'foreign_keys'].map((name) => pragma(raw, name))
    expect(settings).toEqual(['wal', 2, 1])
  })
})
