import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { RegentError, reasonOf, systemCode } from '../../../kernel/errors.ts'
import type { ServiceKind } from './service.ts'

const MARK = 'Written by `regent startup`'

/** Writes the file, whole or not at all. Throws ALREADY_EXISTS for one that somebody else wrote, or that serves another home. */
export async function install({ file, text }: ServiceKind, home: string): Promise<'written' | 'unchanged'> {
  const before = await read(file)
  if (before === text) return 'unchanged'
  if (before !== undefined && !before.includes(MARK))
    throw new RegentError('ALREADY_EXISTS', `${file} is there, and was not written by regent startup`, {
      hint: 'move it away, or use --print',
    })
  if (before !== undefined && homeIn(before) !== homeIn(text))
    throw new RegentError('ALREADY_EXISTS', `${file} starts a Regent of another home than ${home}`, {
      hint: 'take it away with `regent startup --remove`, or write one of another name with --print',
    })
  const draft = `${file}.${process.pid}.new`
  try {
    await mkdir(dirname(file), { recursive: true })
    await writeFile(draft, text, { mode: 0o644, flush: true })
    await rename(draft, file)
    return 'written'
  } catch (error) {
    await rm(draft, { force: true }).catch(() => {})
    throw explain(file, error)
  }
}

/** False where there is none. */
export async function uninstall({ file }: ServiceKind): Promise<boolean> {
  const before = await read(file)
  if (before === undefined) return false
  if (!before.includes(MARK))
    throw new RegentError('FORBIDDEN', `${file} was not written by regent startup`, { hint: 'remove it yourself' })
  try {
    await rm(file)
    return true
  } catch (error) {
    throw explain(file, error)
  }
}

/** The words after --home, as the file writes them. */
const homeIn = (text: string): string | undefined => /--home(?:<\/string>\s*<string>| )("(?:\\.|[^"])*"|[^\s<]+)/.exec(text)?.[1]

async function read(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return undefined
    throw explain(file, error)
  }
}

function explain(file: string, error: unknown): RegentError {
  const code = systemCode(error)
  if (code === 'EACCES' || code === 'EPERM')
    return new RegentError('FORBIDDEN', `${file} cannot be written by this user`, {
      hint: 'run it as root, use --user, or --print',
      cause: error,
    })
  return new RegentError('UNAVAILABLE', `${file} cannot be written: ${reasonOf(error)}`, { cause: error })
}
