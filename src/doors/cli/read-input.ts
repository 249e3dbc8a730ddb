import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { RegentError, systemCode } from '../../kernel/errors.ts'

/** A file that the caller named; throws NOT_FOUND or FORBIDDEN, in words. */
export async function readTextFile(path: string, cwd: string): Promise<string> {
  try {
    return await readFile(resolve(cwd, path), 'utf8')
  } catch (error) {
    const code = systemCode(error)
    if (code === 'ENOENT') throw new RegentError('NOT_FOUND', `there is no file ${path}`, { cause: error })
    throw new RegentError('BAD_REQUEST', `cannot read ${path} (${code ?? 'unknown reason'})`, { cause: error })
  }
}

/** `-` stands for stdin. */
export const readInput = (path: string, cwd: string): Promise<string> => (path === '-' ? text(process.stdin) : readTextFile(path, cwd))
