import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { answer, takeJob } from '../lib/job.ts'

// Rows into a table of SQLite's, each a transaction that is on the disk when the call returns: what one durable write costs here.

const { folder, rows } = await takeJob<{ folder: string; rows: number }>()
const database = new DatabaseSync(join(folder, 'commits.db'))
database.exec('pragma journal_mode = wal')
database.exec('pragma synchronous = full')
database.exec('create table if not exists rows (number integer primary key, text text)')
const insert = database.prepare('insert into rows (text) values (?)')
const text = 'x'.repeat(500)
const times = new Float64Array(rows)
const from = performance.now()
for (let at = 0; at < rows; at++) {
  const begun = performance.now()
  insert.run(text)
  times[at] = performance.now() - begun
}
answer({ ms: performance.now() - from, times })
database.close()
process.disconnect()
