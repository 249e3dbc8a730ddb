import { lstat, readFile } from 'node:fs/promises'
import { systemCode } from '../../../kernel/errors.ts'
import { SafeTree } from './safe-tree.ts'
import { iniValue } from './supervisor-ini.ts'

const FILE = 'supervisord.conf'
const MARK = '; Written by Regent for a bare `supervisorctl` in this folder. Without this line, Regent leaves the file alone.'

/**
 * Writes the project's `supervisord.conf`, which leads supervisorctl to Regent's socket, where there is none or the one there bears our
 * mark. `root` is a real path. Throws INVALID for a socket's path that cannot stand in such a file.
 */
export async function writeSupervisorConf(root: string, socket: string): Promise<void> {
  const tree = new SafeTree(root)
  const text = supervisorConf(socket)
  const there = await present(tree.pathOf(FILE))
  if (there === text || (there !== undefined && !there.startsWith(MARK))) return
  const staged = await tree.stage(text, FILE)
  await staged.place()
}

/** No [supervisord] section: a supervisord that was started here by mistake must not run the agents a second time. */
function supervisorConf(socket: string): string {
  return [
    MARK,
    '',
    '[supervisorctl]',
    `serverurl=unix://${iniValue(socket)}`,
    'prompt=regent',
    '',
    '; The server behind that socket is Regent itself: this section only says so.',
    ';[unix_http_server]',
    `;file=${iniValue(socket)}`,
    ';chmod=0600',
    '',
    '[include]',
    'files=agents/*/supervisor/*.ini',
    '',
  ].join('\n')
}

/** Undefined where nothing is; what is no regular file counts as a person's own. */
async function present(path: string): Promise<string | undefined> {
  try {
    return (await lstat(path)).isFile() ? await readFile(path, 'utf8') : ''
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
}
