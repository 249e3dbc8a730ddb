import type { AgentView } from '../../contract/agents.ts'

/** One line as `supervisorctl status` prints it. */
export function statusLine(program: string, agent: AgentView): string {
  return `${program.padEnd(Math.max(30, program.length) + 3)}${agent.state.padEnd(10)}${describe(agent)}`.trimEnd()
}

function describe(agent: AgentView): string {
  if (agent.state === 'RUNNING') return `pid ${agent.pid ?? 'unknown'}, uptime ${uptime(agent.uptime_ms ?? 0)}`
  if (agent.state === 'STARTING' || agent.state === 'STOPPING') return ''
  return agent.reason
}

/** `0:00:01`, `1 day, 2:03:04`. */
export function uptime(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  const days = Math.floor(seconds / 86_400)
  const two = (value: number): string => String(value).padStart(2, '0')
  const clock = `${Math.floor((seconds % 86_400) / 3600)}:${two(Math.floor((seconds % 3600) / 60))}:${two(seconds % 60)}`
  return days === 0 ? clock : `${days} day${days === 1 ? '' : 's'}, ${clock}`
}
