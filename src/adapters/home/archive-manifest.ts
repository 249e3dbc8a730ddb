import { RegentError } from '../../kernel/errors.ts'
import { isObject, tryParse } from '../../kernel/json.ts'

/** What a backup says of itself: its last file, so that one that was cut off has none. */
export interface Manifest {
  readonly format: number
  /** Of the Regent that wrote it. */
  readonly regent: string
  /** Schema version of the database. */
  readonly schema: number
  /** Epoch ms. */
  readonly at: number
  readonly files: readonly ArchivedFile[]
}

export interface ArchivedFile {
  readonly path: string
  readonly size: number
  /** Hex. */
  readonly sha256: string
}

export const FORMAT = 1
export const MANIFEST = 'manifest.json'
export const DATABASE = 'regent.db'
/** Far more than the manifest of ten thousand agents. */
export const MOST_MANIFEST_BYTES = 64 * 1024 * 1024

const segment = /^(?!\.)[A-Za-z0-9._-]{1,200}$/
const single = new Set([DATABASE, 'token', 'key', MANIFEST])

/** Whether a backup may hold this path: nothing that could leave the home, or that a Regent makes anew by itself. */
export function isArchivable(path: string): boolean {
  if (single.has(path)) return true
  const [folder = '', ...rest] = path.split('/')
  if (rest.length === 0 || !rest.every((part) => segment.test(part))) return false
  return folder === 'agents' ? rest.length > 1 : folder === 'secrets' && rest.length === 1
}

/** Throws INVALID for what is not a manifest, or one of a later format. */
export function readManifest(text: string, file: string): Manifest {
  const value = tryParse(text)
  if (!isObject(value) || typeof value.format !== 'number' || !Array.isArray(value.files)) throw broken(file)
  if (value.format > FORMAT)
    throw new RegentError('INVALID', `${file} is a backup of format ${value.format}, and this Regent knows ${FORMAT}`, {
      hint: `Restore it with the Regent that wrote it: ${String(value.regent)}.`,
    })
  const files = value.files.map((one: unknown): ArchivedFile => {
    if (!isObject(one) || typeof one.path !== 'string' || typeof one.size !== 'number' || typeof one.sha256 !== 'string') throw broken(file)
    return { path: one.path, size: one.size, sha256: one.sha256 }
  })
  return { format: value.format, regent: String(value.regent), schema: Number(value.schema), at: Number(value.at), files }
}

const broken = (file: string): RegentError => new RegentError('INVALID', `${file}: its manifest cannot be read`)
