import type { AgentView } from '../../src/contract/agents.ts'
import type { Regent } from './regent.ts'
import { until } from './until.ts'

/** What a tool server needs to know of itself: the tool asks before it runs. */
export interface AskingServer {
  readonly name: string
  readonly tool: string
  readonly argv: readonly [string, ...string[]]
}

/** A running team of one member with the offline model, over the memory backend; it has a runner that is connected to Regent. */
export async function addTeam(regent: Regent, name: string, server?: AskingServer): Promise<AgentView> {
  const servers = server === undefined ? {} : { [server.name]: definitionOf(server) }
  const agent = {
    kind: 'team',
    name,
    subagents: [{ name: 'member', instruction: 'You answer.', servers: Object.keys(servers), model: 'offline' }],
    json_config: {
      mcp: { servers },
      default_model: 'offline',
      pubsub_enabled: true,
      pubsub_config: { backend: 'memory', channel_name: name },
    },
    policy: { startsecs: 0 },
  }
  const { id } = (await regent.caller.call('POST', '/api/v1/agents', { agent })).body
  await regent.caller.call('POST', `/api/v1/agents/${id}/start`, { wait: true })
  return until(async () => {
    const view = (await regent.caller.call('GET', `/api/v1/agents/${id}`)).body as unknown as AgentView
    return view.activity === 'idle' ? view : undefined
  }, `the runner of ${name} to be ready`)
}

function definitionOf({ name, tool, argv: [command, ...args] }: AskingServer): object {
  const tool_calls = [{ name: tool, seek_confirm: true, time_to_confirm: 60_000, default: 'reject' }]
  return { name, transport: 'stdio', command, args, tool_calls }
}
