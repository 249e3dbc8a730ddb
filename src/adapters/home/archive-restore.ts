import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { copyFile, mkdir, mkdtemp, open, readFile, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { createGunzip } from 'node:zlib'
import { RegentError, reasonOf, systemCode } from '../../kernel/errors.ts'
import { isUuid } from '../../kernel/ids.ts'
import { isObject, tryParse } from '../../kernel/json.ts'
import {
  type ArchivedFile,
  DATABASE,
  isArchivable,
  MANIFEST,
  type Manifest,
  MOST_MANIFEST_BYTES,
  readManifest,
} from './archive-manifest.ts'
import { takeLock } from './lock.ts'
import { readTar, type TarEntry } from './tar.ts'
import { namesIn } from './traces.ts'

export interface RestoreOptions {
  readonly file: string
  /** The home to be; its parent is made where it is missing. */
  readonly dir: string
  /** A home that is there is kept aside instead of being a reason to refuse. */
  readonly force: boolean
  /** Epoch ms. */
  readonly now: number
  /** Throws for a database that this Regent cannot use. */
  readonly checkDatabase: (file: string) => void
}

export interface Restored {
  readonly manifest: Manifest
  /** Where the home is that was there before. */
  readonly aside: string | null
}

/**
 * Puts a backup in the place of a home. Everything is unpacked and checked beside it first; nothing is changed by a backup that is
 * damaged. Run directories of a home that was there stay where they are, with the folders and secrets of their agents, since what
 * runs goes on using them. Throws ILLEGAL_STATE while a Regent serves the home, ALREADY_EXISTS without `force`.
 */
export async function restoreHome(options: RestoreOptions): Promise<Restored> {
  const { file, dir } = options
  const isInUse = (await namesIn(dir)).length > 0
  const lock = isInUse ? takeLock(dir) : undefined
  let staging: string | undefined
  try {
    if (isInUse && !options.force)
      throw new RegentError('ALREADY_EXISTS', `${dir} is not empty`, { hint: 'Name another --home, or keep this one aside with --force.' })
    await mkdir(dirname(dir), { recursive: true, mode: 0o700 })
    staging = await mkdtemp(`${dir}.restoring-`)
    const manifest = await unpack(file, staging)
    options.checkDatabase(join(staging, DATABASE))
    const aside = await swap(dir, staging, isInUse ? asideOf(dir, options.now) : null)
    staging = undefined
    return { manifest, aside }
  } catch (error) {
    throw explain(file, error)
  } finally {
    if (staging !== undefined) await rm(staging, { recursive: true, force: true })
    lock?.release()
  }
}

async function unpack(file: string, to: string): Promise<Manifest> {
  const input = createReadStream(file)
  const content = input.pipe(createGunzip())
  // A file that cannot be read must end the unpacking, not the process.
  input.on('error', (error) => content.destroy(error))
  const found = new Map<string, ArchivedFile>()
  let manifest: Manifest | undefined
  for await (const entry of readTar(content)) {
    if (manifest !== undefined || found.has(entry.path) || !isArchivable(entry.path))
      throw new RegentError('INVALID', `${file} holds what no backup holds: ${JSON.stringify(entry.path)}`)
    if (entry.path === MANIFEST) manifest = readManifest(await textOf(entry), file)
    else found.set(entry.path, await unpackFile(entry, join(to, ...entry.path.split('/'))))
  }
  if (manifest === undefined) throw new RegentError('INVALID', `${file} has no manifest: it is cut off, or no backup`)
  compare(manifest, found, file)
  return manifest
}

async function unpackFile({ path, size, content }: TarEntry, to: string): Promise<ArchivedFile> {
  await mkdir(dirname(to), { recursive: true, mode: 0o700 })
  const hash = createHash('sha256')
  const file = await open(to, 'wx', 0o600)
  try {
    for await (const piece of content) {
      hash.update(piece)
      await file.writeFile(piece)
    }
    await file.sync()
  } finally {
    await file.close()
  }
  return { path, size, sha256: hash.digest('hex') }
}

async function textOf({ path, size, content }: TarEntry): Promise<string> {
  if (size > MOST_MANIFEST_BYTES) throw new RegentError('INVALID', `${path} is too large to be a manifest`)
  const pieces: Buffer[] = []
  for await (const piece of content) pieces.push(piece)
  return Buffer.concat(pieces).toString('utf8')
}

function compare({ files }: Manifest, found: ReadonlyMap<string, ArchivedFile>, file: string): void {
  const wrong = files.find(({ path, size, sha256 }) => found.get(path)?.sha256 !== sha256 || found.get(path)?.size !== size)
  if (wrong) throw new RegentError('INVALID', `${file} is damaged: ${wrong.path} is missing or not what was written`)
  if (files.length !== found.size) throw new RegentError('INVALID', `${file} holds files that its manifest does not name`)
  for (const path of [DATABASE, 'token', 'key']) {
    if (!found.has(path)) throw new RegentError('INVALID', `${file} is no backup of a home: it has no ${path}`)
  }
}

const asideOf = (dir: string, now: number): string => `${dir}.before-restore-${new Date(now).toISOString().replace(/[-:]|\.\d+/g, '')}`

/** What lives is moved over last, so that its paths are gone for no longer than it takes. */
async function swap(dir: string, staging: string, aside: string | null): Promise<string | null> {
  if (aside === null) {
    // It takes the place of an empty folder, and never of a home that came to be meanwhile.
    await rename(staging, dir)
    await flushFolder(dirname(dir))
    return null
  }
  if ((await namesIn(aside)).length > 0) throw new RegentError('ALREADY_EXISTS', `${aside} is there already`, { hint: 'Move it away.' })
  const running = await agentsWithRuns(dir)
  await rename(dir, aside)
  try {
    if ((await namesIn(aside)).includes('runs')) await rename(join(aside, 'runs'), join(staging, 'runs'))
    for (const agent of running) await moveAgent(agent, aside, staging)
    await rename(staging, dir)
    await flushFolder(dirname(dir))
  } catch (error) {
    throw new RegentError('UNAVAILABLE', `the restore was cut off: ${reasonOf(error)}`, {
      hint: `What was there is in ${aside} and ${staging}.`,
      cause: error,
    })
  }
  return aside
}

async function agentsWithRuns(dir: string): Promise<Set<string>> {
  const found = new Set<string>()
  for (const run of await namesIn(join(dir, 'runs'))) {
    const facts = tryParse(await readFile(join(dir, 'runs', run, 'run.json'), 'utf8').catch(() => ''))
    if (isObject(facts) && typeof facts.agentId === 'string' && isUuid(facts.agentId)) found.add(facts.agentId)
  }
  return found
}

/** A runner goes on with its journal, which is newer than the one of the backup. */
async function moveAgent(agent: string, from: string, to: string): Promise<void> {
  await mkdir(join(to, 'agents'), { recursive: true, mode: 0o700 })
  await mkdir(join(to, 'secrets'), { recursive: true, mode: 0o700 })
  if ((await namesIn(join(from, 'agents'))).includes(agent)) {
    await rm(join(to, 'agents', agent), { recursive: true, force: true })
    await rename(join(from, 'agents', agent), join(to, 'agents', agent))
  }
  const secrets = join('secrets', `${agent}.json`)
  await copyFile(join(from, secrets), join(to, secrets)).catch((error: unknown) => {
    if (systemCode(error) !== 'ENOENT') throw error
  })
}

async function flushFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  await folder.sync().finally(() => folder.close())
}

function explain(file: string, error: unknown): unknown {
  if (error instanceof RegentError) return error
  const code = systemCode(error)
  if (code === 'ENOENT') return new RegentError('NOT_FOUND', `there is no file ${file}`, { cause: error })
  if (code?.startsWith('Z_'))
    return new RegentError('INVALID', `${basename(file)} is damaged, or no backup: ${reasonOf(error)}`, { cause: error })
  if (code === 'ENOSPC' || code === 'EDQUOT') return new RegentError('NO_SPACE', 'no space is left to unpack the backup', { cause: error })
  if (code === 'ENOTEMPTY' || code === 'EEXIST')
    return new RegentError('ALREADY_EXISTS', 'something was put into the home while the backup was unpacked', {
      hint: 'Is a Regent served there?',
      cause: error,
    })
  return new RegentError('UNAVAILABLE', `the backup could not be restored: ${reasonOf(error)}`, { cause: error })
}
