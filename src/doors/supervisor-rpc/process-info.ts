import type { AgentView } from '../../contract/agents.ts'
import type { RunState } from '../../contract/states.ts'
import { uptime } from '../shared/uptime.ts'
import { cappedInt, type Value } from './codec.ts'
import type { Program } from './programs.ts'

/** supervisord's numbers of its states. */
const stateCodes: Readonly<Record<RunState, number>> = {
  STOPPED: 0,
  STARTING: 10,
  RUNNING: 20,
  BACKOFF: 30,
  STOPPING: 40,
  EXITED: 100,
  FATAL: 200,
  UNKNOWN: 1000,
}

export const runningStates: readonly RunState[] = ['RUNNING', 'BACKOFF', 'STARTING']
export const signallableStates: readonly RunState[] = ['RUNNING', 'STARTING', 'STOPPING']

/** What is told about Regent itself. */
export interface About {
  readonly version: string
  readonly pid: number
  /** Epoch ms. */
  readonly startedAt: number
}

/** The struct of `getProcessInfo`; `now` in epoch ms. */
export function processInfo({ group, name, agent }: Program, about: About, now: number): Value {
  return { name, group, now: seconds(now), ...(agent ? ofAgent(agent, now) : ofRegent(about, now)) }
}

function ofAgent(agent: AgentView, now: number) {
  const { state, pid, uptime_ms: lived, run_id: run } = agent
  const spawnerr = state === 'BACKOFF' || state === 'FATAL' ? errorOf(agent) : ''
  // When the last run began is not told once it is over: the moment of its end stands there.
  const start = lived === null ? (run === null ? 0 : agent.since) : now - lived
  return {
    ...fields(state, start, pid ?? 0, spawnerr),
    stop: lived === null && run !== null ? seconds(agent.since) : 0,
    exitstatus: agent.exit_signal === null ? (agent.exit_code ?? 0) : -1,
    description: descriptionOf(agent, spawnerr),
  }
}

function ofRegent({ pid, startedAt }: About, now: number) {
  return { ...fields('RUNNING', startedAt, pid, ''), stop: 0, exitstatus: 0, description: running(pid, now - startedAt) }
}

function fields(state: RunState, start: number, pid: number, spawnerr: string) {
  const files = { logfile: '', stdout_logfile: '', stderr_logfile: '' }
  return { start: seconds(start), state: stateCodes[state], statename: state, spawnerr, pid, ...files }
}

const seconds = (ms: number): number => cappedInt(ms / 1000)
const running = (pid: number | string, ms: number): string => `pid ${pid}, uptime ${uptime(ms)}`

/** supervisord's words where they are true, and why. */
function errorOf({ state, exit_code: code, reason }: AgentView): string {
  const tooQuickly = state === 'FATAL' && code !== null && code !== 126 && code !== 127
  return tooQuickly ? `Exited too quickly (process log may have details): ${reason}` : reason
}

function descriptionOf(agent: AgentView, spawnerr: string): string {
  switch (agent.state) {
    case 'RUNNING':
      return running(agent.pid ?? 'unknown', agent.uptime_ms ?? 0)
    case 'BACKOFF':
    case 'FATAL':
      return spawnerr
    case 'STOPPED':
    case 'EXITED':
      return agent.run_id === null ? 'Not started' : dateOf(agent.since)
    case 'UNKNOWN':
      return agent.reason
    default:
      return ''
  }
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const two = (value: number): string => String(value).padStart(2, '0')

/** `Nov 20 03:04 PM`, in local time. */
function dateOf(ms: number): string {
  const at = new Date(ms)
  const hour = at.getHours()
  const clock = `${two(hour % 12 === 0 ? 12 : hour % 12)}:${two(at.getMinutes())} ${hour < 12 ? 'AM' : 'PM'}`
  return `${months[at.getMonth()]} ${two(at.getDate())} ${clock}`
}
