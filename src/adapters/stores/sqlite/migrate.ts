import { chmodSync, closeSync, fsyncSync, openSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Clock } from '../../../kernel/clock.ts'
import { reasonOf } from '../../../kernel/errors.ts'
import type { Logger } from '../../../kernel/logger.ts'
import { storeError } from './errors.ts'
import { APPLICATION_ID } from './inspect.ts'
import type { Migration } from './migrations.ts'
import { type NodeSqlite, openNodeSqlite } from './node-sqlite.ts'

const KEPT_BACKUPS = 3

interface Upgrade {
  readonly file: string
  readonly migrations: readonly Migration[]
  readonly clock: Clock
  readonly logger: Logger
}

/** Makes a new database beside its place and moves it there whole, so that a crash leaves none or a sound one. */
export function create({ file, migrations }: Upgrade): void {
  const draft = `${file}.new`
  try {
    discard(draft)
    closeSync(openSync(draft, 'wx', 0o600))
    const connection = openNodeSqlite({ file: draft, readOnly: false })
    try {
      for (const [index, migration] of migrations.entries()) apply(connection, migration, index + 1)
    } finally {
      connection.close()
    }
    flush(draft)
    renameSync(draft, file)
    flush(dirname(file))
  } catch (error) {
    discard(draft)
    throw storeError(error, file)
  }
}

/** Brings an existing database from `version` to the newest, each step in one transaction after a backup. */
export function upgrade(connection: NodeSqlite, version: number, { file, migrations, clock, logger }: Upgrade): void {
  const before = backups(file)
  const made: string[] = []
  for (const [index, migration] of migrations.entries()) {
    const to = index + 1
    if (to <= version) continue
    made.push(backup(connection, file, to - 1, clock))
    apply(connection, migration, to)
    logger.info({ from: to - 1, to, backup: made.at(-1) }, `the database was migrated: ${migration.name}`)
  }
  // The first backup of this run is the one that an older Regent can read: it stays, whatever came after.
  const [oldest, ...newer] = made
  const kept = [...before, ...newer].slice(-(KEPT_BACKUPS - 1))
  for (const path of [...before, ...newer]) {
    if (oldest !== undefined && !kept.includes(path)) remove(path, logger)
  }
}

/** Oldest first. */
function backups(file: string): string[] {
  const folder = dirname(file)
  const pattern = /\.backup-v(\d+)-(\d{8}T\d{9}Z)$/
  return readdirSync(folder)
    .filter((name) => name.startsWith(`${basename(file)}.backup-v`) && pattern.test(name))
    .sort((a, b) => order(a, pattern) - order(b, pattern))
    .map((name) => join(folder, name))
}

function order(name: string, pattern: RegExp): number {
  const [, version, stamp] = pattern.exec(name) ?? []
  return Number((stamp ?? '').replace(/\D/g, '')) * 1e3 + Number(version)
}

/** A whole copy, readable by its owner alone. */
function backup(connection: NodeSqlite, file: string, version: number, clock: Clock): string {
  const stamp = new Date(clock.now()).toISOString().replace(/[-:.]/g, '')
  const path = `${file}.backup-v${version}-${stamp}`
  const draft = `${path}.part`
  try {
    discard(draft)
    closeSync(openSync(draft, 'wx', 0o600))
    connection.raw.prepare('vacuum into ?').run(draft)
    chmodSync(draft, 0o600)
    flush(draft)
    renameSync(draft, path)
    flush(dirname(file))
    return path
  } catch (error) {
    discard(draft)
    throw storeError(error, file)
  }
}

function apply(connection: NodeSqlite, migration: Migration, version: number): void {
  const { raw } = connection
  connection.prepare('begin').run([])
  try {
    raw.exec(migration.sql)
    raw.exec(`pragma application_id = ${APPLICATION_ID}; pragma user_version = ${version}`)
    connection.prepare('commit').run([])
  } catch (error) {
    connection.prepare('rollback').run([])
    throw error
  }
}

function discard(path: string): void {
  for (const end of ['', '-wal', '-shm', '-journal']) rmSync(path + end, { force: true })
}

function remove(path: string, logger: Logger): void {
  try {
    rmSync(path, { force: true })
  } catch (error) {
    logger.warn({ path, reason: reasonOf(error) }, 'an old backup could not be removed')
  }
}

/** Makes the file, or a folder's list of names, durable. */
function flush(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
