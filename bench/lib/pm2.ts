import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Lab } from './bench.ts'
import type { Call } from './call.ts'

const run = promisify(execFile)
const VERSION = '7.0.3'
/** Kept beside the checkout's other caches, so that it is fetched once. */
const folder = join(import.meta.dirname, '../../node_modules/.cache/bench', `pm2-${VERSION}`)
const program = join(folder, 'node_modules/pm2/bin/pm2')

export interface Pm2 extends Call {
  /** Its daemon. */
  readonly pid: number
  /** Where the programs are described. */
  readonly file: string
  readonly module: string
}

/** A pm2 of its own with `count` programs, sleeping ones unless said otherwise; why not, where it cannot be had. */
export async function startPm2(
  lab: Lab,
  count: number,
  { autostart = true, args: given = ['100000'], program: script = '/bin/sleep', name: folderName = 'pm2' } = {},
): Promise<Pm2 | string> {
  if (!existsSync(program)) {
    lab.say(`pm2 ${VERSION} is being installed into a folder of its own`)
    mkdirSync(folder, { recursive: true })
    const args = ['install', '--prefix', folder, '--no-audit', '--no-fund', '--ignore-scripts', `pm2@${VERSION}`]
    const failed = await run('npm', args, { timeout: 300_000 }).then(
      () => false,
      () => true,
    )
    if (failed || !existsSync(program)) return `pm2 ${VERSION} could not be installed`
  }
  const home = lab.folder(folderName)
  const env = { PATH: process.env.PATH ?? '', HOME: home, PM2_HOME: home, LANG: 'C.UTF-8' }
  const pm2 = (...args: string[]): Promise<unknown> => run(process.execPath, [program, ...args], { env, timeout: 60_000 })
  const apps = Array.from({ length: count }, (_, at) => ({
    name: `sleeper-${at}`,
    script,
    args: given,
    interpreter: 'none',
  }))
  const file = join(home, 'sleepers.json')
  writeFileSync(file, JSON.stringify({ apps }))
  lab.defer(() => pm2('kill'))
  await (autostart ? pm2('start', file) : pm2('ping'))
  const pid = Number(readFileSync(join(home, 'pm2.pid'), 'utf8'))
  return {
    pid,
    file,
    module: join(folder, 'node_modules/pm2'),
    words: [process.execPath, program, 'ls'],
    env,
    shows: { text: 'online', times: count },
  }
}
