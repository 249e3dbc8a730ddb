import { randomBytes } from 'node:crypto'
import { open, readFile, rename, rm } from 'node:fs/promises'
import { systemCode } from '../../../kernel/errors.ts'
import { isObject, tryParse } from '../../../kernel/json.ts'

/** What Regent remembers of a worktree, beside its folder: written before the first step, so that every crash leaves what is to be cleaned. */
export interface WorktreeRecord {
  /** The common git folder of its repository; absolute. */
  readonly repository: string
  readonly branch: string
  /** The commit that it began with. */
  readonly base: string
  /** Absolute. */
  readonly cwd: string
  /** All steps were done. */
  readonly isMade: boolean
}

export async function readRecord(file: string): Promise<WorktreeRecord | undefined> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return ''
    throw error
  })
  const value = tryParse(text)
  if (!isObject(value)) return undefined
  const { repository, branch, base, cwd, isMade } = value
  const texts = [repository, branch, base, cwd].every((one) => typeof one === 'string')
  return texts ? ({ repository, branch, base, cwd, isMade: isMade === true } as WorktreeRecord) : undefined
}

/** Whole or not at all. */
export async function writeRecord(file: string, record: WorktreeRecord): Promise<void> {
  const draft = `${file}.${randomBytes(6).toString('hex')}.new`
  try {
    const handle = await open(draft, 'wx', 0o600)
    await handle.writeFile(`${JSON.stringify(record, null, 2)}\n`).finally(() => handle.close())
    await rename(draft, file)
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
}
