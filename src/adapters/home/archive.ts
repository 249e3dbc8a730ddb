import { createHash } from 'node:crypto'
import { closeSync, createWriteStream, openSync } from 'node:fs'
import { link, open, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { backup as copyPages, DatabaseSync } from 'node:sqlite'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { constants, createGzip } from 'node:zlib'
import type { Clock } from '../../kernel/clock.ts'
import { RegentError, reasonOf, systemCode } from '../../kernel/errors.ts'
import type { Archive, BackupOptions } from '../../ports/archive.ts'
import { type ArchivedFile, DATABASE, FORMAT, MANIFEST, type Manifest } from './archive-manifest.ts'
import { filesOfAgents, journalsOf, openSource, Replaced, type Source, secretsOf } from './archive-sources.ts'
import { tarEnd, tarHeader, tarPadding } from './tar.ts'

export interface ArchiveOptions {
  /** The home; held by this process. */
  readonly dir: string
  /** The database's file. */
  readonly database: string
  /** Of this Regent. */
  readonly version: string
  readonly clock: Clock
}

/** How often a backup is begun anew because a runner wrote its journal anew meanwhile. */
const TRIES = 3

/** Backups of a home: a gzipped tar with the database, the secrets, key, token and the runners' journals, and a manifest at its end. */
export function createArchive(options: ArchiveOptions): Archive {
  let turn: Promise<unknown> = Promise.resolve()
  return {
    backup(file, wanted) {
      const done = turn.then(() => write(options, file, wanted))
      turn = done.catch(() => {})
      return done
    },
  }
}

/** Whole or not at all, in the place of nothing. */
async function write(options: ArchiveOptions, file: string, wanted: BackupOptions): Promise<number> {
  if (await isThere(file)) throw taken(file)
  const draft = `${file}.${process.pid}.part`
  try {
    await rm(draft, { force: true })
    for (let tries = 1; !(await attempt(options, draft, wanted)); tries++) {
      await rm(draft, { force: true })
      if (tries === TRIES) throw new RegentError('UNAVAILABLE', 'the agents change faster than they can be copied', { hint: 'Try again.' })
    }
    const { size } = await stat(draft)
    await moveToNew(draft, file)
    return size
  } catch (error) {
    throw explain(file, error)
  } finally {
    await rm(draft, { force: true })
  }
}

/** False when a journal was replaced under it: what the new one left out may be missing from the database's copy. */
async function attempt(options: ArchiveOptions, draft: string, { logs }: BackupOptions): Promise<boolean> {
  const { dir } = options
  const copy = join(dir, 'backup.db.part')
  // A secret is there before the row that refers to it, and may go right after it.
  const secrets = await secretsOf(dir)
  const journals = await journalsOf(dir)
  try {
    const schema = await copyDatabase(options.database, copy)
    for (const [path, from] of await secretsOf(dir)) secrets.set(path, from)
    const sources: Source[] = [
      { path: DATABASE, from: copy },
      ...['token', 'key'].map((path) => ({ path, from: join(dir, path) })),
      ...[...secrets].map(([path, from]) => ({ path, from })),
      ...(await filesOfAgents(dir, logs)),
    ]
    const about = { format: FORMAT, regent: options.version, schema, at: options.clock.now() }
    // What is in a home shrinks to a tenth at any level; the fastest one leaves the machine to the agents.
    const gzip = createGzip({ level: constants.Z_BEST_SPEED })
    const draftFile = createWriteStream(draft, { flags: 'wx', mode: 0o600, flush: true })
    await pipeline(Readable.from(tarOf(sources, journals, about), { objectMode: true }), gzip, draftFile)
    return true
  } catch (error) {
    if (error instanceof Replaced) return false
    throw error
  } finally {
    await discard(copy)
  }
}

async function* tarOf(
  sources: readonly Source[],
  journals: ReadonlyMap<string, number>,
  about: Omit<Manifest, 'files'>,
): AsyncGenerator<Buffer> {
  const files: ArchivedFile[] = []
  const mtime = Math.floor(about.at / 1000)
  for (const source of sources) {
    const opened = await openSource(source, journals)
    if (opened === undefined) continue
    const { size } = opened
    const hash = createHash('sha256')
    yield tarHeader({ path: source.path, mode: 0o600, size, mtime })
    for await (const piece of opened.content) {
      hash.update(piece)
      yield piece
    }
    yield tarPadding(size)
    files.push({ path: source.path, size, sha256: hash.digest('hex') })
  }
  const manifest = Buffer.from(JSON.stringify({ ...about, files } satisfies Manifest))
  yield tarHeader({ path: MANIFEST, mode: 0o600, size: manifest.length, mtime })
  yield manifest
  yield tarPadding(manifest.length)
  yield tarEnd()
}

/**
 * One moment of a database that others write to; answers its schema version. The read transaction keeps that moment, so that the
 * copy need not begin anew with each write.
 */
async function copyDatabase(file: string, to: string): Promise<number> {
  await discard(to)
  const source = new DatabaseSync(file, { readOnly: true, timeout: 5000 })
  try {
    source.exec('begin')
    const { user_version: schema } = source.prepare('pragma user_version').get() as { user_version: number }
    source.prepare('select count(*) from sqlite_schema').get()
    closeSync(openSync(to, 'wx', 0o600))
    await copyPages(source, to, { rate: 1000 })
    source.exec('commit')
    return schema
  } finally {
    source.close()
  }
}

async function discard(database: string): Promise<void> {
  for (const end of ['', '-journal', '-wal', '-shm']) await rm(database + end, { force: true })
}

/** Refuses to take the place of another file, as `rename` would not. */
async function moveToNew(draft: string, file: string): Promise<void> {
  try {
    await link(draft, file)
  } catch (error) {
    const code = systemCode(error)
    if (code === 'EEXIST') throw taken(file)
    // Not every file system has hard links.
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EOPNOTSUPP') throw error
    if (await isThere(file)) throw taken(file)
    await rename(draft, file)
  }
  const folder = await open(dirname(file), 'r')
  await folder.sync().finally(() => folder.close())
}

async function isThere(file: string): Promise<boolean> {
  try {
    await stat(file)
    return true
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false
    throw error
  }
}

const taken = (file: string): RegentError =>
  new RegentError('ALREADY_EXISTS', `${file} is there already`, { hint: 'Name another file: a backup never takes the place of one.' })

function explain(file: string, error: unknown): unknown {
  if (error instanceof RegentError) return error
  const code = systemCode(error)
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new RegentError('NO_SPACE', `no space is left for the backup ${file}`, { hint: 'Name a file on another disk.', cause: error })
  if (code === 'ENOENT' || code === 'ENOTDIR')
    return new RegentError('INVALID', `there is no folder ${dirname(file)}`, {
      hint: 'Make it first.',
      fields: [{ path: 'file', message: 'its folder is not there' }],
      cause: error,
    })
  return new RegentError('UNAVAILABLE', `the backup ${file} could not be written: ${reasonOf(error)}`, { cause: error })
}
