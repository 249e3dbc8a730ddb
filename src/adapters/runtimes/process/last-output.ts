import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { systemCode } from '../../../kernel/errors.ts'

/** When a run last printed something, epoch ms: the pump writes what it reads at once. Null before its first line. */
export async function lastOutputAt(dir: string): Promise<number | null> {
  const times = await Promise.all(['output.log', 'error.log'].map((name) => writtenAt(join(dir, name))))
  const latest = Math.max(...times)
  return latest > 0 ? latest : null
}

/** An empty file was made, and never written. */
async function writtenAt(path: string): Promise<number> {
  try {
    const { size, mtimeMs } = await stat(path)
    return size === 0 ? 0 : mtimeMs
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return 0
    throw error
  }
}
