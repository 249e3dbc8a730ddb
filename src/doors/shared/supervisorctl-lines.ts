import type { AgentView } from '../../contract/agents.ts'
import { uptime } from './uptime.ts'

/** One line as `supervisorctl status` prints it. */
export function statusLine(program: string, agent: AgentView): string {
  return `${program.padEnd(Math.max(30, program.length) + 3)}${agent.state.padEnd(10)}${describe(agent)}`.trimEnd()
}

function describe(agent: AgentView): string {
  if (agent.state === 'RUNNING') return `pid ${agent.pid ?? 'unknown'}, uptime ${uptime(agent.uptime_ms ?? 0)}`
  if (agent.state === 'STARTING' || agent.state === 'STOPPING') return ''
  return agent.reason
}
