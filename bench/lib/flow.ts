import type { Lab } from './bench.ts'
import type { Round } from './figures.ts'
import { runProgram } from './programs.ts'
import { startRegent } from './regent.ts'

export interface FlowJob {
  readonly url: string
  readonly token: string
  readonly agent: string
  readonly n: number
  /** Messages of one call, and calls at once. */
  readonly batch: number
  readonly senders: number
}

/** From the first message that a program sends to the last reply that it hears; one agent, a Regent of its own. */
export async function flow(lab: Lab, name: string, n: number): Promise<Round> {
  const regent = await startRegent(lab, name)
  const json_config = { default_model: 'offline' }
  const agent = { kind: 'team', name: 'echo', subagents: [], json_config, policy: { startsecs: 0 } }
  const { id } = (await regent.caller.call('POST', '/api/v1/agents', { agent })).body
  await regent.caller.call('POST', `/api/v1/agents/${id}/start`, { wait: true })
  await regent.caller.call('POST', `/api/v1/agents/${id}/messages`, { content: 'warming up', wait: true })
  const job: FlowJob = { url: regent.url, token: regent.token, agent: String(id), n, batch: 100, senders: 4 }
  const round = await runProgram<Round>(lab, 'flow.ts', { ...job })
  await regent.caller.call('POST', `/api/v1/agents/${id}/stop`, { wait: true })
  return round
}
