import { randomBytes } from 'node:crypto'
import { chmod, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type ErrorCode, RegentError, reasonOf, systemCode } from '../../kernel/errors.ts'
import { isUuid } from '../../kernel/ids.ts'
import type { WorkerFiles } from '../../ports/worker-files.ts'

/** Output in `{dir}/logs/worker-{id}.json`, folders in `{dir}/work/{id}`, all for their owner alone. `dir` is there. */
export function createWorkerFiles({ dir }: { readonly dir: string }): WorkerFiles {
  const logs = join(dir, 'logs')
  const work = join(dir, 'work')
  const outputOf = (id: string): string => join(logs, `worker-${checked(id)}.json`)
  const folderOf = (id: string): string => join(work, checked(id))
  return {
    writeOutput: (id, text) =>
      told(outputOf(id), async (file) => {
        await ownFolder(logs)
        await writeWhole(file, text)
        return file
      }),
    readOutput: (id) => told(outputOf(id), (file) => readFile(file, 'utf8').catch(unlessMissing)),
    folder: (id) =>
      told(folderOf(id), async (folder) => {
        await ownFolder(work)
        await ownFolder(folder)
        return folder
      }),
    isFolder: async (path) => (await stat(path).catch(() => undefined))?.isDirectory() ?? false,
    remove: (id) =>
      told(folderOf(id), async (folder) => {
        await rm(outputOf(id), { force: true })
        await rm(folder, { recursive: true, force: true, maxRetries: 3 })
      }),
  }
}

/** Ids become names of files. */
function checked(id: string): string {
  if (isUuid(id)) return id
  throw new RegentError('BAD_REQUEST', `'${id.slice(0, 80)}' is no id of a worker`)
}

async function ownFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 })
  await chmod(path, 0o700)
}

async function writeWhole(file: string, text: string): Promise<void> {
  const draft = `${file}.${randomBytes(6).toString('hex')}.new`
  try {
    const handle = await open(draft, 'wx', 0o600)
    await handle.writeFile(text).finally(() => handle.close())
    await rename(draft, file)
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
}

function unlessMissing(error: unknown): undefined {
  if (systemCode(error) !== 'ENOENT') throw error
}

async function told<T>(path: string, work: (path: string) => Promise<T>): Promise<T> {
  try {
    return await work(path)
  } catch (error) {
    if (error instanceof RegentError) throw error
    const code: ErrorCode = ['ENOSPC', 'EDQUOT'].includes(systemCode(error) ?? '') ? 'NO_SPACE' : 'UNAVAILABLE'
    throw new RegentError(code, `${path} cannot be used: ${reasonOf(error)}`, { cause: error })
  }
}
