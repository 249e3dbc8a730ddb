import { basename, extname, resolve } from 'node:path'
import { RegentError } from '../../../kernel/errors.ts'
import { isObject } from '../../../kernel/json.ts'
import { parseDocuments } from '../agent-file.ts'
import { readTextFile } from '../read-input.ts'
import type { Imported, Reading } from './findings.ts'
import { loadJs } from './load-js.ts'
import type { Names } from './names.ts'
import { readPm2 } from './pm2.ts'
import { readProcessCompose } from './process-compose.ts'
import { readSupervisor } from './supervisor.ts'

const known = 'supervisord.conf or an .ini file of supervisord, ecosystem.config.js or .json of pm2, and process-compose.yaml'

/** The programs of a file of another supervisor, recognised by its name and by what it holds. */
export async function readProgramFile(path: string, cwd: string, reading: Reading, names: Names): Promise<Imported[]> {
  const file = resolve(cwd, path)
  const text = await readTextFile(file, cwd)
  const ending = extname(file)
  const imported = await readBy(ending, text, file, reading, names)
  if (imported.length === 0) throw new RegentError('INVALID', `${path} holds no program`, { hint: `Regent imports ${known}` })
  return imported
}

async function readBy(ending: string, text: string, file: string, reading: Reading, names: Names): Promise<Imported[]> {
  if (['.js', '.cjs', '.mjs'].includes(ending)) return readPm2(await loadJs(file, reading.env), file, reading, names)
  if (ending === '.conf' || ending === '.ini' || /^\s*(?:[;#].*\n\s*)*\[[a-z_]+(?::[^\]"]+)?\]\s*$/m.test(text.slice(0, 4000)))
    return readSupervisor(text, file, reading, names)
  const [value] = await parseDocuments(text, file)
  if (isObject(value) && isObject(value.processes)) return readProcessCompose(value, file, reading, names)
  const isApps = isObject(value)
    ? Array.isArray(value.apps) || typeof value.script === 'string'
    : Array.isArray(value) && value.every((one) => isObject(one) && 'script' in one)
  if (isApps) return readPm2(value, file, reading, names)
  throw new RegentError('INVALID', `${basename(file)} is no file of a supervisor that Regent knows`, {
    hint: isObject(value) && 'name' in value ? 'a file of agents is for `regent apply -f FILE`' : `Regent imports ${known}`,
  })
}
