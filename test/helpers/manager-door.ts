import type { InjectOptions } from 'fastify'
import type { AgentDetail } from '../../src/contract/agents.ts'
import { ADMIN, as, createDoor, type Door } from './http-door.ts'

export type ManagerDoor = Door & { call(method: string, url: string, options?: InjectOptions): Promise<[number, unknown]> }

/** An HTTP door over a fake core with these agents; `call` answers status and body, for the admin unless headers say otherwise. */
export function managerDoor(...agents: readonly AgentDetail[]): ManagerDoor {
  const parts = createDoor()
  for (const agent of agents) parts.fake.agents.set(agent.id, agent)
  return {
    ...parts,
    async call(method, url, options = {}) {
      const answer = await parts.app.inject({ method: method as 'GET', url, headers: as(ADMIN), ...options })
      return [answer.statusCode, answer.json()]
    },
  }
}

export const running = (agent: AgentDetail): AgentDetail => ({ ...agent, state: 'RUNNING', pid: 4242, uptime_ms: 1000 })

/** The least that can be posted. */
export const smallConfig = { username: 'bo', name: 'news', subagents: [], json_config: {} }
