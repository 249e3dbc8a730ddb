import { dirname, resolve } from 'node:path'
import { RegentError } from '../../../kernel/errors.ts'
import { isObject } from '../../../kernel/json.ts'
import { environmentOf, readEnvFiles } from './env-file.ts'
import { type CommandAgent, type Imported, type Reading, Section } from './findings.ts'
import type { Names } from './names.ts'
import { probeOf } from './process-compose-probe.ts'
import { countOf, numberOf, signalOf, textOf, within, wrong } from './values.ts'

type Values = Readonly<Record<string, unknown>>
type Policy = NonNullable<CommandAgent['policy']>

const MOST_REPLICAS = 1000
const ofFile = new Set(['version', 'name', 'processes', 'environment', 'env_file', 'shell'])

/** The processes of a `process-compose.yaml`. */
export async function readProcessCompose(value: Values, file: string, reading: Reading, names: Names): Promise<Imported[]> {
  const top = new Section(reading, file, 'top')
  const unknown = Object.keys(value).filter((key) => !ofFile.has(key))
  if (unknown.length > 0) top.remark(unknown.join(', '), 'is of process-compose itself, and not imported')
  if (!isObject(value.processes)) throw wrong(top.place('processes'), value.processes, 'an object with processes by name')
  const env = { ...(await readEnvFiles(value.env_file, top, 'env_file')), ...environmentOf(value.environment, top, 'environment') }
  const shell = shellOf(value.shell, top)
  const entries = Object.entries(value.processes).map(([name, process]) => {
    const section = new Section(reading, file, `processes.${name}`)
    if (!isObject(process)) throw new RegentError('INVALID', `${file}: processes.${name}: is not an object`)
    const count = within(countOf(process.replicas ?? 1, section.place('replicas')), 1, MOST_REPLICAS)
    const given = Array.from({ length: count }, (_, index) => names.of(count === 1 ? name : `${name}-${index}`, section))
    return { name, process, section, given }
  })
  const known = new Map(entries.map(({ name, given }) => [name, given]))
  const imported = await Promise.all(entries.map((entry) => importProcess(entry, { env, shell, known })))
  return imported.flat()
}

interface Entry {
  readonly process: Values
  readonly section: Section
  readonly given: readonly string[]
}

interface Shared {
  readonly env: Readonly<Record<string, string>>
  readonly shell: readonly string[]
  /** The names of the agents of each process. */
  readonly known: ReadonlyMap<string, readonly string[]>
}

async function importProcess({ process, section, given }: Entry, { env, shell, known }: Shared): Promise<Imported[]> {
  const folder = resolve(dirname(section.file), textOf(process.working_dir ?? '.', section.place('working_dir')))
  const own = {
    ...(await readEnvFiles(process.env_file, section, 'env_file')),
    ...environmentOf(process.environment, section, 'environment'),
  }
  const policy = policyOf(process, section, shell, known)
  const isScheduled = policy.schedules !== undefined && !(isObject(process.schedule) && process.schedule.run_on_start === true)
  const start = process.disabled !== true && !isScheduled
  tellUnmapped(process, section)
  return given.map((name, index): Imported => {
    const agent: CommandAgent = {
      ...{ kind: 'command', name, command: commandOf(process, section, shell), cwd: folder },
      env: { ...env, ...own, ...(given.length > 1 && { PC_REPLICA_NUM: String(index) }) },
      policy: { ...policy, ...(process.disabled === true && { autostart: false }) },
    }
    return { agent, start, priority: 0 }
  })
}

function shellOf(value: unknown, top: Section): string[] {
  if (!isObject(value)) return ['bash', '-c']
  return [
    textOf(value.shell_command ?? 'bash', top.place('shell.shell_command')),
    textOf(value.shell_argument ?? '-c', top.place('shell.shell_argument')),
  ]
}

function commandOf(process: Values, section: Section, shell: readonly string[]): string[] {
  if (Array.isArray(process.entrypoint)) return process.entrypoint.map((word: unknown) => textOf(word, section.place('entrypoint')))
  const command = textOf(process.command ?? '', section.place('command'))
  if (command.trim() === '') throw new RegentError('INVALID', `${section.place('command')}: is missing`)
  // `$$` is process-compose's way to leave a variable to the shell, where all of them are left here.
  return [...shell, command.replaceAll('$$', '$')]
}

function policyOf(process: Values, section: Section, shell: readonly string[], known: Shared['known']): Policy {
  const { depends_on, readiness_probe, liveness_probe, schedule } = process
  const shutdown = isObject(process.shutdown) ? process.shutdown : {}
  const liveness = liveness_probe === undefined ? undefined : probeOf(liveness_probe, section, 'liveness_probe', shell)
  const readiness = readiness_probe === undefined ? undefined : probeOf(readiness_probe, section, 'readiness_probe', shell)
  const schedules = schedule === undefined ? [] : schedulesOf(schedule, section)
  if (shutdown.command !== undefined) section.remark('shutdown.command', 'not imported: Regent stops with a signal')
  if (shutdown.parent_only === true) section.remark('shutdown.parent_only', 'Regent always ends everything that a program started')
  return {
    restart: restartOf(process.availability, section),
    stop_signal: signalOf((shutdown.signal ?? 15) as string | number, section.place('shutdown.signal')),
    stop_grace: within(numberOf(shutdown.timeout_seconds ?? 10, section.place('shutdown.timeout_seconds')), 0, 3600),
    ...(depends_on !== undefined && { depends_on: dependenciesOf(depends_on, section, known) }),
    ...((liveness || readiness) && { probes: { ...(liveness && { liveness }), ...(readiness && { readiness }) } }),
    ...(schedules.length > 0 && { schedules }),
  }
}

const restarts: Readonly<Record<string, Policy['restart']>> = {
  no: 'never',
  false: 'never',
  always: 'always',
  on_failure: 'on-failure',
  exit_on_failure: 'never',
}

function restartOf(value: unknown, section: Section): NonNullable<Policy['restart']> {
  if (!isObject(value)) return 'never'
  const { restart = 'no', ...others } = value
  const found = restarts[String(restart)]
  if (found === undefined) throw wrong(section.place('availability.restart'), restart, `one of ${Object.keys(restarts).join(', ')}`)
  if (restart === 'exit_on_failure')
    section.remark('availability.restart', 'exit_on_failure: the end of one agent does not end Regent or others')
  for (const key of Object.keys(others)) {
    const reason: Readonly<Record<string, string>> = {
      backoff_seconds: 'Regent waits longer after each death by itself',
      max_restarts: 'Regent gives up after `startretries` deaths before RUNNING, and not after a number of restarts',
    }
    section.remark(`availability.${key}`, reason[key] ?? 'the end of one agent does not end Regent or others')
  }
  return found
}

const conditions: Readonly<Record<string, 'started' | 'healthy' | 'exited'>> = {
  process_started: 'started',
  process_healthy: 'healthy',
  process_completed_successfully: 'exited',
}

function dependenciesOf(value: unknown, section: Section, known: Shared['known']): NonNullable<Policy['depends_on']> {
  if (!isObject(value)) throw wrong(section.place('depends_on'), value, 'an object with conditions by name')
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, one]) => {
      const place = `depends_on.${name}`
      const agents = known.get(name)
      if (!agents) throw new RegentError('INVALID', `${section.place(place)}: there is no process of that name`)
      const wanted = isObject(one) ? String(one.condition ?? 'process_started') : 'process_started'
      if (conditions[wanted] === undefined)
        section.remark(place, `${wanted} becomes started: Regent knows started, healthy and exited with 0`)
      return agents.map((agent) => [agent, { condition: conditions[wanted] ?? 'started' }])
    }),
  )
}

function schedulesOf(value: unknown, section: Section): NonNullable<Policy['schedules']> {
  if (!isObject(value)) throw wrong(section.place('schedule'), value, 'an object')
  const { cron, timezone, run_on_start: _, ...others } = value
  for (const key of Object.keys(others))
    section.remark(`schedule.${key}`, key === 'interval' ? 'not imported: give it a cron expression' : 'has nothing like it in Regent')
  if (cron === undefined) return []
  const zone =
    timezone === undefined ? new Intl.DateTimeFormat().resolvedOptions().timeZone : textOf(timezone, section.place('schedule.timezone'))
  return [{ cron: textOf(cron, section.place('schedule.cron')), timezone: zone, action: 'start' }]
}

const mapped = new Set(
  'command entrypoint working_dir environment env_file availability depends_on readiness_probe liveness_probe shutdown schedule replicas disabled'.split(
    ' ',
  ),
)
const why: Readonly<Record<string, string>> = {
  log_location: 'Regent keeps what it prints: `regent logs`, settings logs.*',
  logger: 'Regent keeps what it prints: `regent logs`, settings logs.*',
  ready_log_line: 'Regent does not read what is printed: give the agent a readiness probe',
  is_daemon: 'Regent watches the process that it starts: let it stay in the foreground',
  is_tty: 'agents have no terminal',
  namespace: 'Regent has no groups: name several agents, or a pattern',
}

function tellUnmapped(process: Values, section: Section): void {
  for (const [key, value] of Object.entries(process)) {
    if (!mapped.has(key) && value !== false && value !== null) section.remark(key, why[key] ?? 'has nothing like it in Regent')
  }
}
