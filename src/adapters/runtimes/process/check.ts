import { accessSync, constants, existsSync, mkdirSync } from 'node:fs'
import { RegentError, reasonOf } from '../../../kernel/errors.ts'
import type { Settings } from './options.ts'

const setsidPlaces = ['/usr/bin/setsid', '/bin/setsid', '/usr/local/bin/setsid', '/run/current-system/sw/bin/setsid']

/** The absolute path of `setsid`; empty on macOS, where agents then share their wrapper's session and a stop reaches the main process only. */
export function findSetsid(): string | undefined {
  return setsidPlaces.find((path) => existsSync(path)) ?? (process.platform === 'darwin' ? '' : undefined)
}

/** Throws UNAVAILABLE, with the remedy, when no run could be started here. */
export function checkHost(settings: Settings): void {
  try {
    accessSync(settings.shell, constants.X_OK)
  } catch (error) {
    throw unavailable(`there is no shell at ${settings.shell}`, 'Install a POSIX shell there, such as dash or busybox.', error)
  }
  if (findSetsid() === undefined)
    throw unavailable('the program setsid was not found', `Install util-linux or busybox; looked at ${setsidPlaces.join(', ')}.`)
  for (const dir of [settings.dir, settings.pokesDir, settings.agentsDir])
    try {
      mkdirSync(dir, { recursive: true, mode: 0o700 })
      accessSync(dir, constants.R_OK | constants.W_OK | constants.X_OK)
    } catch (error) {
      throw unavailable(`${dir} cannot be written: ${reasonOf(error)}`, 'Make it a directory of the user that runs Regent.', error)
    }
}

function unavailable(message: string, hint: string, cause?: unknown): RegentError {
  return new RegentError('UNAVAILABLE', message, { hint, cause })
}
