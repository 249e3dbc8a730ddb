import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { CONFIG_FILE, type Env, type Flags } from './source.ts'
import { readDotenv, readIfThere, substitute } from './variables.ts'

/** `--project` or `REGENT_PROJECT`, default the working directory; absolute. */
export const projectOf = (flags: Flags, env: Env, cwd: string): string => resolve(cwd, flags.project || env.REGENT_PROJECT || '.')

export function defaultHome(env: Env): string {
  const data = env.XDG_DATA_HOME?.startsWith('/') ? env.XDG_DATA_HOME : join(env.HOME || homedir(), '.local/share')
  return join(data, 'regent')
}

/**
 * The home of this Regent, absolute, found without the schema library, since every command of the CLI pays for it. Agrees with
 * `loadConfig`. Nothing else of the project's file is obeyed by a client: a file that came with a clone must not say where the
 * token is sent.
 */
export async function locateHome(flags: Flags, env: Env, cwd: string): Promise<string> {
  const given = flags.home || env.REGENT_HOME
  if (given) return resolve(cwd, given)
  const project = projectOf(flags, env, cwd)
  const text = readIfThere(join(project, CONFIG_FILE))
  if (text === undefined) return defaultHome(env)
  const { readToml } = await import('./toml.ts')
  const home = readToml(text, CONFIG_FILE).get('home')
  if (typeof home?.value !== 'string' || home.value === '') return defaultHome(env)
  return resolve(project, substitute(home.value, { ...readDotenv(project), ...env }, `${CONFIG_FILE}:${home.line}:${home.column}`))
}
