import type { Regent } from './regent.ts'

export interface AgentRow {
  readonly id: string
  readonly name: string
  readonly state: string
  readonly pid: number | null
  readonly restarts: number
  readonly policy: { readonly restart: string }
}

/** Makes an agent of a command and waits until it is RUNNING; over HTTP, since each command of the CLI is a process more. */
export async function startCommand(regent: Regent, name: string, command: readonly string[], more: object = {}): Promise<AgentRow> {
  const agent = { kind: 'command', name, command, ...more }
  const made = await regent.post('/api/v1/agents', { agent })
  if (made.status >= 300) throw new Error(`${name} was not made: ${JSON.stringify(made.body)}`)
  return act(regent, name, 'start')
}

/** Starts, stops or restarts an agent, and waits for the outcome. */
export async function act(regent: Regent, name: string, verb: 'start' | 'stop' | 'restart'): Promise<AgentRow> {
  const { status, body } = await regent.post(`/api/v1/agents/${name}/${verb}`, { wait: true })
  if (status >= 300) throw new Error(`${verb} ${name}: ${JSON.stringify(body)}`)
  return body as unknown as AgentRow
}

export async function agentsByName(regent: Regent): Promise<Record<string, AgentRow>> {
  const { body } = await regent.fetch('/api/v1/agents?limit=500')
  return Object.fromEntries((body.agents as AgentRow[]).map((row) => [row.name, row]))
}

/** What an agent printed, as lines. */
export async function printedBy(regent: Regent, name: string): Promise<string[]> {
  const answer = await fetch(`${regent.url}/api/v1/agents/${name}/logs?tail=100`, { headers: { accept: 'application/x-ndjson' } })
  const lines = (await answer.text()).split('\n').filter((line) => line !== '')
  return lines.map((line) => (JSON.parse(line) as { text: string }).text)
}
