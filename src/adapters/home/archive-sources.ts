import { constants } from 'node:fs'
import { type FileHandle, open, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { RegentError, systemCode } from '../../kernel/errors.ts'
import { isObject, tryParse } from '../../kernel/json.ts'
import { isArchivable } from './archive-manifest.ts'

/** One file of a backup: its path there, and its content or where that is. */
export interface Source {
  readonly path: string
  readonly from: string | Buffer
}

/** A runner wrote its journal anew while a backup was made. */
export class Replaced extends Error {}

const PIECE = 256 * 1024
/** Of a runner; rows it has handed over are left out when it is written anew. */
const JOURNAL = /^agents\/[^/]+\/journal\.jsonl$/
/** What is of no use to another process: locks, drafts, ways to reach a server. */
const passing = /\.(lock|new|part|sock)$|^link\.json$/
const printed = /^(output|error)\./

/** The agents' secrets, by their paths in a backup. */
export async function secretsOf(dir: string): Promise<Map<string, Buffer>> {
  const found = new Map<string, Buffer>()
  for (const name of await namesIn(join(dir, 'secrets'))) {
    const path = `secrets/${name}`
    if (!name.endsWith('.json') || !isArchivable(path)) continue
    const content = await readFile(join(dir, path)).catch(unless('ENOENT'))
    if (content) found.set(path, content)
  }
  return found
}

/** Which files the journals are now, by their paths in a backup. */
export async function journalsOf(dir: string): Promise<Map<string, number>> {
  const found = new Map<string, number>()
  for (const { path, from } of await filesOfAgents(dir, false)) {
    const stats = JOURNAL.test(path) && typeof from === 'string' ? await stat(from).catch(unless('ENOENT')) : undefined
    if (stats) found.set(path, stats.ino)
  }
  return found
}

/** What the agents' folders hold; with `logs` also what they printed. */
export async function filesOfAgents(dir: string, logs: boolean): Promise<Source[]> {
  const found: Source[] = []
  for (const agent of await namesIn(join(dir, 'agents'))) {
    const folder = join(dir, 'agents', agent)
    for (const path of await filesUnder(folder)) {
      if (path.startsWith('runs/') ? logs : !passing.test(path)) found.push({ path: `agents/${agent}/${path}`, from: join(folder, path) })
    }
  }
  if (logs) found.push(...(await printedByRuns(dir)))
  return found.filter(({ path }) => isArchivable(path))
}

/** A run that was not removed has its output in its run directory; in a backup it is where it would be afterwards. */
async function printedByRuns(dir: string): Promise<Source[]> {
  const found: Source[] = []
  for (const run of await namesIn(join(dir, 'runs'))) {
    const folder = join(dir, 'runs', run)
    const place = await placeOf(dir, run)
    for (const name of place === undefined ? [] : await namesIn(folder)) {
      if (printed.test(name)) found.push({ path: `${place}/${name}`, from: join(folder, name) })
    }
  }
  return found
}

/** A run that an older version started has no number, but has its place already. */
async function placeOf(dir: string, run: string): Promise<string | undefined> {
  const facts = tryParse((await readFile(join(dir, 'runs', run, 'run.json'), 'utf8').catch(unless('ENOENT', 'ENOTDIR'))) ?? '')
  if (!isObject(facts) || typeof facts.agentId !== 'string') return undefined
  const folder = `agents/${facts.agentId}/runs`
  if (typeof facts.number === 'number') return `${folder}/${String(facts.number).padStart(8, '0')}-${run}`
  const made = (await namesIn(join(dir, folder))).find((name) => /^\d+-/.test(name) && name.endsWith(`-${run}`))
  return made === undefined ? undefined : `${folder}/${made}`
}

/** The regular files below a folder, as paths from there. */
async function filesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true }).catch(unless('ENOENT', 'ENOTDIR'))
  return (entries ?? []).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
}

async function namesIn(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(unless('ENOENT', 'ENOTDIR'))) ?? []
}

export interface OpenedSource {
  readonly size: number
  readonly content: AsyncIterable<Buffer> | Iterable<Buffer>
}

/** Undefined for what has gone since it was listed. Throws Replaced for a journal that is another file than in `journals`. */
export async function openSource({ path, from }: Source, journals: ReadonlyMap<string, number>): Promise<OpenedSource | undefined> {
  if (typeof from !== 'string') return { size: from.length, content: [from] }
  const file = await open(from, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(unless('ENOENT', 'ELOOP'))
  if (!file) return undefined
  const stats = await file.stat()
  const before = journals.get(path)
  if (!stats.isFile() || (before !== undefined && before !== stats.ino)) {
    await file.close()
    if (stats.isFile()) throw new Replaced()
    return undefined
  }
  return { size: stats.size, content: piecesOf(file, stats.size, path) }
}

/** As many bytes as it had when it was opened: what is appended meanwhile belongs to the next backup. */
async function* piecesOf(file: FileHandle, size: number, path: string): AsyncGenerator<Buffer> {
  try {
    for (let at = 0; at < size; ) {
      const piece = Buffer.allocUnsafe(Math.min(PIECE, size - at))
      const { bytesRead } = await file.read(piece, 0, piece.length, at)
      if (bytesRead === 0) throw new RegentError('UNAVAILABLE', `${path} became shorter while it was copied`, { hint: 'Try again.' })
      at += bytesRead
      yield piece.subarray(0, bytesRead)
    }
  } finally {
    await file.close()
  }
}

function unless(...codes: readonly string[]): (error: unknown) => undefined {
  return (error) => {
    if (!codes.includes(systemCode(error) ?? '')) throw error
  }
}
