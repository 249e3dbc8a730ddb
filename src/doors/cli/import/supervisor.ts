import { globSync } from 'node:fs'
import { homedir, hostname } from 'node:os'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { RegentError } from '../../../kernel/errors.ts'
import { localUser } from '../../../kernel/local-user.ts'
import { readTextFile } from '../read-input.ts'
import { expand } from './expand.ts'
import { type CommandAgent, type Imported, type Reading, Section } from './findings.ts'
import { type Ini, type IniValue, readIni } from './ini.ts'
import type { Names } from './names.ts'
import { keyValuePairs, shellWords } from './shell-words.ts'
import { booleanOf, countOf, numberOf, signalOf, within } from './values.ts'

const DEFAULT_PRIORITY = 999
const MOST_PROCESSES = 1000

/** What supervisord itself is configured with. */
const ofDaemon = /^(supervisord|supervisorctl|unix_http_server|inet_http_server|rpcinterface:.*|ctlplugin:.*)$/

/** The programs of a `supervisord.conf` with its `[include]`s, or of one `.ini` file. */
export async function readSupervisor(text: string, file: string, reading: Reading, names: Names): Promise<Imported[]> {
  const main = readIni(text, file)
  const files: [string, Ini][] = [[file, main]]
  for (const path of includes(main, file, reading)) files.push([path, readIni(await readTextFile(path, '/'), path)])
  const daemon = main.get('supervisord')
  const shared = daemon?.get('environment')
  const here = dirname(file)
  const common = shared
    ? keyValuePairs(expand(shared.text, expansions(reading, here), `${file}:${shared.line}`), `${file}:${shared.line}`)
    : {}
  return files.flatMap(([path, ini]) =>
    [...ini].flatMap(([name, keys]) => {
      const section = new Section(reading, path, name)
      if (name.startsWith('program:')) return programs({ section, keys, program: name.slice(8).trim(), common, reading, names })
      if (ofDaemon.test(name)) tellDaemon(section, keys)
      else if (name.startsWith('group:'))
        section.remark('programs', 'Regent has no groups: name several agents, or a pattern such as `web-*`')
      else if (name !== 'include') section.remark([...keys.keys()].join(', ') || '-', 'not imported: only [program:…] sections are')
      return []
    }),
  )
}

function includes(ini: Ini, file: string, reading: Reading): string[] {
  const files = ini.get('include')?.get('files')
  if (!files) return []
  const section = new Section(reading, file, 'include')
  const here = dirname(file)
  const text = expand(files.text, expansions(reading, here), section.place('files', files.line))
  return text
    .split(/\s+/)
    .filter(Boolean)
    .flatMap((pattern) => {
      const found = globSync(isAbsolute(pattern) ? pattern : join(here, pattern)).sort()
      if (found.length === 0) section.remark('files', `${pattern} matches no file`)
      return found
    })
}

function tellDaemon(section: Section, keys: ReadonlyMap<string, IniValue>): void {
  const names = [...keys.keys()].filter((key) => key !== 'environment')
  if (names.length > 0) section.remark(names.join(', '), 'is of supervisord itself; Regent has settings of its own: `regent config schema`')
}

function expansions({ env }: Reading, here: string): Record<string, string | number> {
  const variables = Object.entries(env).map(([name, value]) => [`ENV_${name}`, value ?? ''])
  return { ...Object.fromEntries(variables), here, host_node_name: hostname() }
}

interface ProgramSection {
  readonly section: Section
  readonly keys: ReadonlyMap<string, IniValue>
  readonly program: string
  /** The environment of supervisord's own section. */
  readonly common: Readonly<Record<string, string>>
  readonly reading: Reading
  readonly names: Names
}

function programs(from: ProgramSection): Imported[] {
  const { section, keys, program } = from
  const key = (name: string, otherwise: string): string => keys.get(name)?.text ?? otherwise
  const place = (name: string): string => section.place(name, keys.get(name)?.line)
  const count = countOf(key('numprocs', '1'), place('numprocs'), 1)
  if (count > MOST_PROCESSES) throw new RegentError('INVALID', `${place('numprocs')}: more than ${MOST_PROCESSES}`)
  const first = countOf(key('numprocs_start', '0'), place('numprocs_start'))
  const processName = key('process_name', '%(program_name)s')
  if (count > 1 && !processName.includes('%(process_num)'))
    throw new RegentError('INVALID', `${place('process_name')}: must hold %(process_num) where numprocs is more than 1`)
  tellUnmapped(from)
  return Array.from({ length: count }, (_, index) => {
    const values: Record<string, string | number> = {
      ...expansions(from.reading, dirname(section.file)),
      ...{ program_name: program, group_name: program, process_num: first + index, numprocs: count },
    }
    const declared = keyValuePairs(expand(key('environment', ''), values, place('environment')), place('environment'))
    for (const [name, value] of Object.entries(declared)) values[`ENV_${name}`] = value
    const get = (name: string, otherwise = ''): string => expand(key(name, otherwise), values, place(name))
    const process = get('process_name', processName)
    const name = from.names.of(process.includes(program) ? process : `${program}_${process}`, section)
    return importOf(from, name, get, place, { ...from.common, ...declared })
  })
}

type Get = (name: string, otherwise?: string) => string

function importOf(
  { section, keys, reading }: ProgramSection,
  name: string,
  get: Get,
  place: (name: string) => string,
  env: Record<string, string>,
): Imported {
  const command = shellWords(get('command'), place('command'))
  if (command.length === 0) throw new RegentError('INVALID', `${section.file}: ${section.name}: command is missing`)
  const start = booleanOf(get('autostart', 'true'), place('autostart'))
  const cwd = directoryOf(get('directory'), section, reading)
  const agent: CommandAgent = {
    kind: 'command',
    name,
    command,
    ...(cwd !== undefined && { cwd }),
    env,
    policy: {
      restart: restartOf(get('autorestart', 'unexpected'), place('autorestart')),
      startsecs: within(numberOf(get('startsecs', '1'), place('startsecs')), 0, 3600),
      startretries: within(countOf(get('startretries', '3'), place('startretries')), 0, 1000),
      stop_signal: signalOf(get('stopsignal', 'TERM'), place('stopsignal')),
      stop_grace: within(numberOf(get('stopwaitsecs', '10'), place('stopwaitsecs')), 0, 3600),
      exit_codes: get('exitcodes', '0')
        .split(',')
        .filter((code) => code.trim() !== '')
        .map((code) => countOf(code, place('exitcodes'))),
      ...(!start && { autostart: false }),
    },
  }
  if (keys.has('priority'))
    section.remark('priority', 'taken for the order of this import; `depends_on` of a policy makes one agent wait for another')
  return { agent, start, priority: keys.has('priority') ? countOf(get('priority'), place('priority')) : DEFAULT_PRIORITY }
}

function restartOf(value: string, place: string): 'always' | 'on-failure' | 'never' {
  if (value.trim().toLowerCase() === 'unexpected') return 'on-failure'
  return booleanOf(value, place) ? 'always' : 'never'
}

function directoryOf(text: string, section: Section, { env }: Reading): string | undefined {
  if (text === '') {
    section.remark('directory', "is not said: it runs in Regent's project folder, and not where supervisord was started")
    return undefined
  }
  const path = text.replace(/^~(?=\/|$)/, env.HOME ?? homedir())
  if (!isAbsolute(path)) section.remark('directory', `${text} is taken from the folder of this file`)
  return resolve(dirname(section.file), path)
}

const mapped = new Set(
  (
    'command process_name numprocs numprocs_start directory environment priority autostart autorestart startsecs startretries ' +
    'stopsignal stopwaitsecs exitcodes'
  ).split(' '),
)

/** Keys that mean something else here, or nothing; each is said. */
function tellUnmapped({ section, keys }: ProgramSection): void {
  for (const [key, { text, line }] of keys) {
    if (mapped.has(key)) continue
    if (key === 'stopasgroup' || key === 'killasgroup') {
      if (!booleanOf(text, section.place(key, line))) section.remark(key, 'Regent always ends everything that a program started')
    } else if (key === 'redirect_stderr') {
      if (booleanOf(text, section.place(key, line)))
        section.remark(key, 'Regent shows both streams in the order of time, and still tells them apart')
    } else if (key === 'user') {
      if (text.trim() !== localUser()) section.remark(key, `not as ${text}: agents run as the account of the setting agents.user`)
    } else if (/^std(out|err)_logfile/.test(key)) section.remark(key, 'Regent keeps what it prints: `regent logs`, settings logs.*')
    else section.remark(key, 'has nothing like it in Regent')
  }
}
