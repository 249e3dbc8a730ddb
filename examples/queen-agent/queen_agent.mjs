// Agent file of Regent: the sample to compare generated agent files with.
// Run it by itself (node queen_agent.mjs: each line you type is a message), or let Regent start it; README.md tells how.
import { Team } from 'regent/runner'

// The members of the team: what each is told to be, which tool servers it may use, and its model.
const subagents = [
  {
    name: 'finder',
    instruction: 'You find facts on the web and give them back with their sources.',
    servers: ['fetch'],
    model: 'haiku',
  },
  {
    name: 'checker',
    instruction: 'You read what the finder gave back and name what is doubtful, contradictory or missing.',
    servers: [],
    model: 'haiku',
  },
  {
    name: 'reporter',
    instruction: 'You write a short, plain report from what the others found, with the doubts in it.',
    servers: [],
    model: 'haiku',
  },
]

// Tool servers, models, log and channel.
const config = {
  mcp: {
    servers: {
      fetch: {
        name: 'fetch',
        description: 'A server for fetching links',
        transport: 'stdio',
        command: 'uvx',
        args: ['mcp-server-fetch'],
        tool_calls: [{ name: 'fetch', seek_confirm: true, time_to_confirm: 120000, default: 'reject' }],
      },
    },
  },
  default_model: 'haiku',
  logger: { level: 'warning', type: 'console' },
  pubsub_enabled: true,
  pubsub_config: { backend: 'memory', channel_name: 'queen' },
  anthropic: { api_key: '' },
}

// Done once at each start that somebody asks for; null where there is none.
const initialTask = null

const team = new Team({ name: 'queen', subagents, config })
await team.start()
// No initial task.
await team.serve()
