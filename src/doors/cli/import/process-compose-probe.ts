import { isObject } from '../../../kernel/json.ts'
import type { CommandAgent, Section } from './findings.ts'
import { countOf, numberOf, textOf, within, wrong } from './values.ts'

type Probes = NonNullable<NonNullable<CommandAgent['policy']>['probes']>
export type ProbeInput = NonNullable<Probes['liveness']>

const timing = ['initial_delay_seconds', 'period_seconds', 'timeout_seconds', 'success_threshold', 'failure_threshold']

/** A probe of process-compose, with its defaults where nothing is said. */
export function probeOf(value: unknown, section: Section, key: string, shell: readonly string[]): ProbeInput {
  if (!isObject(value)) throw wrong(section.place(key), value, 'an object')
  const number = (name: string, otherwise: number): number => numberOf(value[name] ?? otherwise, section.place(`${key}.${name}`))
  const count = (name: string, otherwise: number): number => countOf(value[name] ?? otherwise, section.place(`${key}.${name}`), 1)
  const times = {
    delay: within(number('initial_delay_seconds', 0), 0, 86_400),
    interval: within(number('period_seconds', 10), 0.1, 86_400),
    timeout: within(number('timeout_seconds', 1), 0.1, 3600),
    successes: within(count('success_threshold', 1), 1, 1000),
    failures: within(count('failure_threshold', 3), 1, 1000),
  }
  for (const name of Object.keys(value)) {
    if (name !== 'exec' && name !== 'http_get' && !timing.includes(name)) section.remark(`${key}.${name}`, 'has nothing like it in Regent')
  }
  const { exec, http_get: http } = value
  if (isObject(exec)) {
    if (exec.working_dir !== undefined) section.remark(`${key}.exec.working_dir`, "it runs in the agent's folder")
    return { type: 'exec', command: [...shell, textOf(exec.command, section.place(`${key}.exec.command`))], ...times }
  }
  if (isObject(http)) return { type: 'http', ...addressOf(http, section, `${key}.http_get`), ...times }
  throw wrong(section.place(key), Object.keys(value), 'a probe with exec or http_get')
}

function addressOf(http: Readonly<Record<string, unknown>>, section: Section, key: string): { url: string; status?: number } {
  const text = (name: string, otherwise: string): string => textOf(http[name] ?? otherwise, section.place(`${key}.${name}`))
  const path = text('path', '/')
  if (http.headers !== undefined) section.remark(`${key}.headers`, 'not sent')
  const port = http.port === undefined ? '' : `:${text('port', '')}`
  const url = `${text('scheme', 'http').toLowerCase()}://${text('host', '127.0.0.1')}${port}${path.startsWith('/') ? path : `/${path}`}`
  const status = http.status_code === undefined ? undefined : countOf(http.status_code, section.place(`${key}.status_code`), 100)
  return { url, ...(status !== undefined && { status }) }
}
