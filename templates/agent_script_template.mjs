// Agent file of Regent, written from templates/agent_script_template.mjs; yours to read and to change.
// Regent starts it; by itself it runs with: node THIS_FILE (each line you type is a message).
// Compare it with examples/queen-agent/queen_agent.mjs.
import { Team } from 'regent/runner'

// The members of the team: what each is told to be, which tool servers it may use, and its model.
const subagents = PLACEHOLDER_SUBAGENTS_CONFIG

// Tool servers, models, log and channel. Texts of the form ${secret:…} are put in when the agent starts, from Regent or the environment.
const config = PLACEHOLDER_JSON_CONFIG

// Done once at each start that somebody asks for; null where there is none.
const initialTask = PLACEHOLDER_INITIAL_TASK

const team = new Team({ name: PLACEHOLDER_AGENT_NAME, subagents, config })
await team.start()
PLACEHOLDER_INITIAL_TASK_EXECUTION
await team.serve()
