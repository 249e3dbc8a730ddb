import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { RegentError, systemCode } from '../kernel/errors.ts'
import { DOTENV_FILE, type Env } from './source.ts'

/** The project's `.env`; empty where there is none. */
export function readDotenv(project: string): Env {
  const text = readIfThere(join(project, DOTENV_FILE))
  return text === undefined ? {} : parseEnv(text)
}

/** Undefined where there is no such file; throws INVALID, in words, for one that cannot be read. */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const code = systemCode(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw new RegentError('INVALID', `cannot read ${path} (${code ?? 'unknown reason'})`, {
      hint: code === 'EISDIR' ? 'it is a folder; a file is expected' : 'check its owner and permissions',
      cause: error,
    })
  }
}

const reference = /\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g

/**
 * Replaces `${NAME}` and `${NAME:-default}`; `$${` stands for a literal `${`. `where` opens the message of the INVALID that is
 * thrown for a variable that is not set.
 */
export function substitute(text: string, variables: Env, where: string): string {
  return text.replace(reference, (whole: string, name: string | undefined, fallback: string | undefined) => {
    if (name === undefined) return whole.slice(1)
    const value = variables[name] || fallback
    if (value !== undefined) return value
    throw new RegentError('INVALID', `${where}: the variable ${name} is not set`, {
      hint: `set ${name} in the environment or in ${DOTENV_FILE}, or write \${${name}:-default}`,
    })
  })
}
