import { randomUUID } from 'node:crypto'
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { RegentError, systemCode } from '../../kernel/errors.ts'
import { isUuid } from '../../kernel/ids.ts'
import type { WorkerFiles } from '../../ports/worker-files.ts'

/** In `{dir}/logs` and `{dir}/work`, for their owner alone. */
export function createWorkerFiles({ dir }: { readonly dir: string }): WorkerFiles {
  const logs = join(dir, 'logs')
  const outputOf = (id: string) => join(logs, `worker-${checked(id)}.json`)
  const folderOf = (id: string) => join(dir, 'work', checked(id))
  return {
    async writeOutput(workerId, text) {
      const file = outputOf(workerId)
      const draft = `${file}.${randomUUID()}.part`
      await mkdir(logs, { recursive: true, mode: 0o700 })
      try {
        await writeFile(draft, text, { mode: 0o600, flag: 'wx' })
        await rename(draft, file)
      } catch (error) {
        await rm(draft, { force: true })
        throw error
      }
      return file
    },
    readOutput: (workerId) => readFile(outputOf(workerId), 'utf8').catch(absent),
    async folder(workerId) {
      const path = folderOf(workerId)
      await mkdir(path, { recursive: true, mode: 0o700 })
      return path
    },
    isFolder: (path) =>
      stat(path).then(
        (stats) => stats.isDirectory(),
        () => false,
      ),
    async remove(workerId) {
      await rm(outputOf(workerId), { force: true })
      await rm(folderOf(workerId), { recursive: true, force: true })
    },
  }
}

/** An id becomes part of a path. */
function checked(id: string): string {
  if (isUuid(id)) return id
  throw new RegentError('INVALID', 'the id of a worker must be a UUID')
}

function absent(error: unknown): undefined {
  if (systemCode(error) === 'ENOENT') return undefined
  throw error
}
