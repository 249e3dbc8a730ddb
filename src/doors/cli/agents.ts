import type { Client } from '../../client/client.ts'
import type { AgentView } from '../../contract/agents.ts'
import { liveStates } from '../../contract/states.ts'
import type { Column } from './output/table.ts'
import type { Colour } from './output/terminal.ts'
import { columnsOf, duration, money, size, timeOf } from './output/text.ts'

/** How people point at an agent. */
export const fullName = ({ owner, name }: Pick<AgentView, 'owner' | 'name'>): string => `${owner}/${name}`

/** All that the caller may see, page by page. */
export async function listAgents(client: Client, owner?: string, signal?: AbortSignal): Promise<AgentView[]> {
  const agents: AgentView[] = []
  for (let cursor: string | undefined; ; ) {
    const page = await client.call('agents.list', { limit: 500, ...(owner ? { owner } : {}), ...(cursor ? { cursor } : {}) }, { signal })
    agents.push(...page.agents)
    if (page.next_cursor === null || page.next_cursor === cursor) return agents.sort(byName)
    cursor = page.next_cursor
  }
}

const byName = (a: AgentView, b: AgentView): number => compare(a.owner, b.owner) || compare(a.name, b.name)
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

const stateColours: Readonly<Record<AgentView['state'], Colour>> = {
  RUNNING: 'green',
  STARTING: 'cyan',
  STOPPING: 'cyan',
  STOPPED: 'dim',
  EXITED: 'yellow',
  BACKOFF: 'yellow',
  FATAL: 'red',
  UNKNOWN: 'magenta',
}
export const stateColour = (state: AgentView['state']): Colour => stateColours[state]

const activityColours: Partial<Record<string, Colour>> = { working: 'cyan', needs_input: 'yellow', stalled: 'red', rate_limited: 'yellow' }

/** The state, and what its probes have against it. */
function stateOf({ state, health, ready }: AgentView): string {
  if (health === 'unhealthy') return `${state} (unhealthy)`
  return state === 'RUNNING' && ready === false ? `${state} (not ready)` : state
}

/** Why a person should look: what is missing comes before why it is in its state. */
export function messageOf(agent: AgentView): string {
  const [first, ...others] = agent.conditions
  if (agent.activity === 'needs_input') return 'waits for an approval: regent approvals'
  if (first && liveStates.includes(agent.state))
    return `${first.type} ${first.subject}: ${first.message}${others.length > 0 ? ` (and ${others.length} more)` : ''}`
  if (agent.state === 'RUNNING')
    return agent.running_revision !== null && agent.running_revision !== agent.revision ? 'changed; takes effect at the next start' : ''
  return agent.reason
}

/** `12.5%`, of one core. */
export const cpuOf = ({ resources }: AgentView): string => {
  const percent = resources?.cpu_percent ?? null
  return percent === null ? '-' : `${percent < 10 ? percent.toFixed(1) : Math.round(percent)}%`
}
export const memoryOf = ({ resources }: AgentView): string => {
  const bytes = resources?.memory_bytes ?? null
  return bytes === null ? '-' : size(bytes)
}

const dash = (value: string | number | null): string => (value === null || value === '' ? '-' : String(value))

export const agentColumns: readonly Column<AgentView>[] = [
  { title: 'NAME', value: ({ name }) => name, least: 12 },
  { title: 'OWNER', value: ({ owner }) => owner, least: 6, dropAt: 6 },
  { title: 'KIND', value: ({ kind }) => kind, dropAt: 8 },
  { title: 'STATE', value: stateOf, colour: (agent) => (agent.health === 'unhealthy' ? 'red' : stateColour(agent.state)) },
  {
    title: 'ACTIVITY',
    value: ({ activity }) => dash(activity),
    colour: ({ activity }) => activityColours[activity ?? ''],
    dropAt: 2,
  },
  { title: 'PID', value: ({ pid }) => dash(pid), align: 'right', dropAt: 5 },
  { title: 'UPTIME', value: (agent) => (agent.uptime_ms === null ? '-' : duration(agent.uptime_ms)), align: 'right', dropAt: 3 },
  { title: 'CPU', value: cpuOf, align: 'right', dropAt: 4 },
  { title: 'MEM', value: memoryOf, align: 'right', dropAt: 4 },
  {
    title: 'RESTARTS',
    value: ({ restarts }) => String(restarts),
    align: 'right',
    colour: ({ restarts }) => (restarts > 0 ? 'yellow' : undefined),
    dropAt: 7,
  },
  { title: 'QUEUE', value: ({ queued }) => String(queued), align: 'right', dropAt: 9 },
  { title: 'COST', value: ({ usage }) => money(usage.cost_usd), align: 'right', dropAt: 10 },
  { title: 'MESSAGE', value: messageOf, colour: () => 'dim', least: 16, dropAt: 1 },
]

export const wideColumns: readonly Column<AgentView>[] = [
  { title: 'ID', value: ({ id }) => id },
  { title: 'PROCS', value: ({ resources }) => dash(resources?.processes ?? null), align: 'right' },
  { title: 'FILES', value: ({ resources }) => dash(resources?.open_files ?? null), align: 'right' },
  { title: 'RUNTIME', value: ({ runtime }) => runtime },
  { title: 'DESIRED', value: ({ desired }) => desired },
  { title: 'SINCE', value: ({ since }) => timeOf(since) },
  { title: 'EXIT', value: ({ exit_code, exit_signal }) => dash(exit_signal ?? exit_code) },
  { title: 'REVISION', value: ({ revision }) => String(revision), align: 'right' },
  { title: 'TOKENS', value: ({ usage }) => dash(usage.input_tokens + usage.output_tokens || null), align: 'right' },
]

/** The widest name, for lines of several agents below each other. */
export const widest = (names: readonly string[]): number => Math.max(0, ...names.map(columnsOf))
