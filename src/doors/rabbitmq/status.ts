import type { AgentView } from '../../contract/agents.ts'

/** 001's words. */
export type Status = 'initializing' | 'running' | 'paused' | 'updating' | 'error' | 'terminated'

/** How an agent is, or what it is on its way to. */
export function statusOf({ state, desired, exit_code: code }: Pick<AgentView, 'state' | 'desired' | 'exit_code'>, paused: boolean): Status {
  const rest = paused ? 'paused' : 'terminated'
  switch (state) {
    case 'RUNNING':
      return desired === 'running' ? 'running' : rest
    case 'STARTING':
      return desired === 'running' ? 'initializing' : rest
    case 'STOPPING':
      return desired === 'running' ? 'updating' : rest
    case 'STOPPED':
      return desired === 'running' ? 'initializing' : rest
    case 'EXITED':
      return code === 0 ? 'terminated' : 'error'
    default:
      return desired === 'running' ? 'error' : rest
  }
}
