import { statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { RegentError } from '../../../kernel/errors.ts'
import { isObject } from '../../../kernel/json.ts'
import { localUser } from '../../../kernel/local-user.ts'
import { environmentOf, readEnvFiles } from './env-file.ts'
import { type CommandAgent, type Imported, type Reading, Section } from './findings.ts'
import type { Names } from './names.ts'
import { shellWords } from './shell-words.ts'
import { bytesOf, countOf, secondsOf, textOf, within, wrong } from './values.ts'

type App = Readonly<Record<string, unknown>>

const MOST_INSTANCES = 1000
const interpreters: Readonly<Record<string, string>> = {
  '.js': 'node',
  '.cjs': 'node',
  '.mjs': 'node',
  '.ts': 'node',
  '.py': 'python3',
  '.sh': 'bash',
  '.rb': 'ruby',
  '.pl': 'perl',
  '.php': 'php',
}

/** The apps of pm2's configuration: `{ apps: [...] }`, a list of them, or one. */
export async function readPm2(value: unknown, file: string, reading: Reading, names: Names): Promise<Imported[]> {
  const apps = Array.isArray(value) ? value : isObject(value) && value.apps !== undefined ? [value.apps].flat() : [value]
  if (isObject(value) && value.apps !== undefined) {
    const others = Object.keys(value).filter((key) => key !== 'apps')
    if (others.length > 0) new Section(reading, file, 'top').remark(others.join(', '), 'not imported: only apps are')
  }
  const imported = await Promise.all(
    apps.map((app: unknown, index) => {
      const name = isObject(app) && typeof app.name === 'string' ? ` (${app.name})` : ''
      const section = new Section(reading, file, `apps.${index}${name}`)
      if (!isObject(app)) throw new RegentError('INVALID', `${file}: apps.${index}: is not an object`)
      return importApp(app, section, names)
    }),
  )
  return imported.flat()
}

async function importApp(app: App, section: Section, names: Names): Promise<Imported[]> {
  const folder = resolve(dirname(section.file), textOf(app.cwd ?? '.', section.place('cwd')))
  const script = textOf(app.script ?? app.exec ?? '', section.place('script'))
  if (script === '') throw new RegentError('INVALID', `${section.place('script')}: is missing`)
  const name = textOf(app.name ?? basename(script, extname(script)), section.place('name'))
  const env = { ...(await readEnvFiles(app.env_file, section, 'env_file')), ...environmentOf(app.env, section, 'env') }
  const count = instancesOf(app, section)
  const instanceVariable = textOf(app.instance_var ?? 'NODE_APP_INSTANCE', section.place('instance_var'))
  const shared = { kind: 'command', command: commandOf(app, script, folder, section), cwd: folder } as const
  const policy = policyOf(app, section)
  const memory = app.max_memory_restart
  const limits = memory === undefined ? {} : { memory_bytes: bytesOf(memory, section.place('max_memory_restart')) }
  if (memory !== undefined) section.remark('max_memory_restart', 'is a limit here: at it, the agent is ended and restarted by its policy')
  tellUnmapped(app, section)
  const start = app.autostart !== false
  return Array.from({ length: count }, (_, index): Imported => {
    const own = count === 1 ? env : { ...env, [instanceVariable]: String(index) }
    const agent: CommandAgent = {
      ...{ ...shared, name: names.of(count === 1 ? name : `${name}-${index}`, section), env: counted(app, own, index, section) },
      ...{ policy: { ...policy, ...(!start && { autostart: false }) }, limits },
    }
    return { agent, start, priority: 0 }
  })
}

/** `increment_var` names a variable that grows by one with each instance. */
function counted(app: App, env: Record<string, string>, index: number, section: Section): Record<string, string> {
  if (app.increment_var === undefined) return env
  const name = textOf(app.increment_var, section.place('increment_var'))
  return { ...env, [name]: String(countOf(env[name] ?? 0, section.place(`env.${name}`)) + index) }
}

function instancesOf(app: App, section: Section): number {
  const wanted = app.instances ?? 1
  const cores = availableParallelism()
  const number = wanted === 'max' ? 0 : Number(wanted)
  if (!Number.isInteger(number) || number > MOST_INSTANCES)
    throw wrong(section.place('instances'), wanted, `a whole number up to ${MOST_INSTANCES}, or max`)
  const count = number > 0 ? number : Math.max(1, cores + number)
  if (count > 1)
    section.remark('instances', `${count} agents of their own; they share no port, so each needs its own or a balancer in front`)
  return count
}

/** What pm2 would execute. */
function commandOf(app: App, script: string, folder: string, section: Section): string[] {
  const args = wordsOf(app.args, section, 'args')
  const before = wordsOf(app.node_args ?? app.interpreter_args, section, 'interpreter_args')
  const interpreter = app.interpreter ?? app.exec_interpreter
  const path = isFile(join(folder, script)) ? resolve(folder, script) : script
  if (interpreter === 'none') return [path, ...args]
  if (interpreter !== undefined) return [textOf(interpreter, section.place('interpreter')), ...before, path, ...args]
  if (/\s/.test(script) && !isFile(resolve(folder, script))) return ['bash', '-c', [script, ...args].join(' ')]
  const found = interpreters[extname(script)]
  if (found === undefined) return [path, ...args]
  return [found, ...before, resolve(folder, script), ...args]
}

function wordsOf(value: unknown, section: Section, key: string): string[] {
  if (value === undefined || value === null) return []
  if (Array.isArray(value)) return value.map((one: unknown) => textOf(one, section.place(key)))
  return shellWords(textOf(value, section.place(key)), section.place(key))
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true
}

type Policy = NonNullable<CommandAgent['policy']>

/** With pm2's own defaults where nothing is said. */
function policyOf(app: App, section: Section): Policy {
  const codes = app.stop_exit_codes === undefined ? undefined : [app.stop_exit_codes].flat()
  const cron = app.cron_restart ?? app.cron
  return {
    restart: app.autorestart === false ? 'never' : codes === undefined ? 'always' : 'on-failure',
    startsecs: within(secondsOf(app.min_uptime ?? 1000, section.place('min_uptime')), 0, 3600),
    startretries: within(countOf(app.max_restarts ?? 16, section.place('max_restarts')), 0, 1000),
    stop_signal: 'INT',
    stop_grace: within(secondsOf(app.kill_timeout ?? 1600, section.place('kill_timeout')), 0, 3600),
    ...(codes !== undefined && { exit_codes: codes.map((code: unknown) => countOf(code, section.place('stop_exit_codes'))) }),
    ...(cron !== undefined && cron !== null && cron !== 0 && { schedules: [scheduleOf(cron, section)] }),
  }
}

function scheduleOf(cron: unknown, section: Section) {
  const { timeZone } = new Intl.DateTimeFormat().resolvedOptions()
  return { cron: textOf(cron, section.place('cron_restart')), timezone: timeZone, action: 'restart' } as const
}

const mapped = new Set(
  (
    'name script exec args interpreter exec_interpreter interpreter_args node_args cwd env env_file instances instance_var increment_var ' +
    'autorestart autostart max_restarts min_uptime kill_timeout max_memory_restart cron_restart cron stop_exit_codes'
  ).split(' '),
)
const why: Readonly<Record<string, string>> = {
  exec_mode: 'Regent has no cluster mode: each instance is a process of its own',
  restart_delay: 'Regent waits longer after each death by itself',
  exp_backoff_restart_delay: 'Regent waits longer after each death by itself',
  wait_ready: 'Regent looks instead of being told: give the agent a readiness probe',
  listen_timeout: 'Regent looks instead of being told: give the agent a readiness probe',
  watch: 'Regent restarts nothing because a file changed',
  ignore_watch: 'Regent restarts nothing because a file changed',
  watch_options: 'Regent restarts nothing because a file changed',
  namespace: 'Regent has no groups: name several agents, or a pattern',
  treekill: 'Regent always ends everything that a program started',
}

function tellUnmapped(app: App, section: Section): void {
  for (const [key, value] of Object.entries(app)) {
    // What is off is as it is here.
    if (mapped.has(key) || value === undefined || value === null || value === false) continue
    if (key === 'treekill' || (key === 'exec_mode' && value !== 'cluster')) continue
    if (key === 'uid' || key === 'gid' || key === 'user') {
      if (value !== localUser()) section.remark(key, `not as ${value}: agents run as the account of the setting agents.user`)
    } else if (/^env_/.test(key)) section.remark(key, 'not imported: put what it holds into env, or import a file for each environment')
    else if (/(^|_)(log|out|error|pid)_?(file|type|date_format)?s?$|^(merge|combine)_logs$|^time$/.test(key))
      section.remark(key, 'Regent keeps what it prints, with the time: `regent logs`, settings logs.*')
    else section.remark(key, why[key] ?? 'has nothing like it in Regent')
  }
  if (app.treekill === false) section.remark('treekill', why.treekill ?? '')
}
