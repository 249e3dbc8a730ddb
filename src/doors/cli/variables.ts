import { parseEnv } from 'node:util'
import { RegentError } from '../../kernel/errors.ts'
import { readTextFile } from './read-input.ts'

/** Of these variables those that the caller has. */
export const present = (env: Readonly<Record<string, string | undefined>>, names: readonly string[]): Record<string, string> =>
  Object.fromEntries(
    names.flatMap((name) => {
      const value = env[name]
      return value ? [[name, value]] : []
    }),
  )

/** The variables of `--env-file`, later files over earlier ones. */
export async function variablesOf(files: readonly string[], cwd: string): Promise<Record<string, string>> {
  const read = await Promise.all(files.map(async (file) => parseEnv(await readTextFile(file, cwd))))
  return Object.assign({}, ...read)
}

/** Those of `--env`. Throws BAD_REQUEST without a value in its words. */
export function givenVariables(pairs: readonly string[], env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const [, name = '', sign, value = ''] = /^([A-Za-z_][A-Za-z0-9_]*)(=?)([\s\S]*)$/.exec(pair) ?? []
      if (name === '' || (sign === '' && value !== ''))
        throw new RegentError('BAD_REQUEST', `--env takes NAME=VALUE, not '${pair.split('=')[0]}'`)
      if (sign === '=') return [name, value]
      const own = env[name]
      if (own === undefined) throw new RegentError('BAD_REQUEST', `--env ${name}: you have no variable of that name`)
      return [name, own]
    }),
  )
}
