import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { RegentError } from '../../../kernel/errors.ts'

export interface CommandPlace {
  readonly command: string
  /** Of the child; a relative command with a slash is looked up from here. */
  readonly cwd: string
  /** The child's PATH. */
  readonly path: string
}

const remedies: Readonly<Record<string, string>> = {
  uvx: 'Install uv (https://docs.astral.sh/uv/), which brings uvx.',
  uv: 'Install uv (https://docs.astral.sh/uv/).',
  npx: 'Install Node.js (https://nodejs.org/), which brings npx.',
  npm: 'Install Node.js (https://nodejs.org/), which brings npm.',
  node: 'Install Node.js (https://nodejs.org/).',
  python: 'Install Python 3 (https://www.python.org/).',
  python3: 'Install Python 3 (https://www.python.org/).',
  docker: 'Install Docker (https://docs.docker.com/engine/install/).',
}

export function noCommand({ command, cwd, path }: CommandPlace): RegentError {
  const where = command.includes('/') ? `at ${resolve(cwd, command)}` : `in the folders of PATH: ${path === '' ? '(none)' : path}`
  return new RegentError('UNAVAILABLE', `there is no program "${command}" (looked ${where})`, {
    hint: remedies[command] ?? 'Install it, or write its whole path as the command.',
  })
}

export async function checkFolder(cwd: string): Promise<void> {
  const found = await stat(cwd).catch(() => undefined)
  if (found?.isDirectory()) return
  throw new RegentError('UNAVAILABLE', `its working directory ${cwd} is not there`, { hint: 'Create it, or correct `cwd`.' })
}
