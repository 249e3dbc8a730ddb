import { z } from 'zod'
import { agentName, userName } from './names.ts'
import { policy, policyInput } from './policy.ts'
import { activities, healths, runStates } from './states.ts'
import { teamDefinition } from './team.ts'

const agentKinds = ['team', 'runbook', 'command', 'container'] as const

/** No program starts with less; who writes less meant another unit. */
const LEAST_MEMORY = 2 ** 20

/** What a run may use at most; absent means the runtime's default. */
export const limits = z
  .object({
    memory_bytes: z.number().int().min(LEAST_MEMORY, `is in bytes, at least ${LEAST_MEMORY} (1 MiB)`).optional(),
    cpus: z.number().positive().optional(),
    pids: z.number().int().positive().optional(),
    open_files: z.number().int().positive().optional(),
  })
  .strict()
  .meta({ id: 'Limits' })
export type Limits = z.output<typeof limits>

const variableName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be the name of an environment variable')
const text = z.string().refine((value) => !value.includes('\0'), 'must not contain NUL')

/** Any program. Arguments are handed over as they are: no shell. */
export const commandDefinition = z
  .object({
    command: z.array(text).min(1).max(4096).describe('program and arguments'),
    cwd: z.string().optional().describe('absolute path; default the project'),
    env: z.record(variableName, text).default({}).describe('declared variables, added to an otherwise empty environment'),
  })
  .meta({ id: 'CommandDefinition' })

const common = { owner: userName.optional(), name: agentName, policy: policyInput.default({}), limits: limits.default({}) }

/** A new agent, as the native API takes it. `owner` defaults to the caller. */
export const newAgent = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('team'), ...common, ...teamDefinition.shape }).strict(),
  z.object({ kind: z.literal('command'), ...common, ...commandDefinition.shape }).strict(),
])
export type NewAgent = z.output<typeof newAgent>

/** Something that is missing while the agent goes on: a broker, a key, an MCP command. Retried with backoff. */
export const condition = z
  .object({
    type: z.string().describe('broker, model, tool-server, secret, …'),
    subject: z.string().describe('which one'),
    message: z.string().describe('what is wrong and what to do'),
    since: z.number().int().describe('epoch ms'),
  })
  .meta({ id: 'Condition' })
export type Condition = z.output<typeof condition>

const usage = z
  .object({
    model_calls: z.number().int(),
    input_tokens: z.number().int(),
    output_tokens: z.number().int(),
    cost_usd: z.number().nullable().describe('null where a price is not known'),
  })
  .meta({ id: 'Usage' })

/** What its processes take now, all of them together; null where this machine does not tell. */
export const resources = z
  .object({
    at: z.number().int().describe('epoch ms of the look'),
    memory_bytes: z.number().int().nullable(),
    cpu_percent: z.number().nullable().describe('of one core, since the look before'),
    cpu_seconds: z.number().nullable().describe('since its start'),
    processes: z.number().int().nullable(),
    open_files: z.number().int().nullable(),
  })
  .meta({ id: 'Resources' })
export type Resources = z.output<typeof resources>

/** One agent as every door shows it. */
export const agentView = z
  .object({
    id: z.string(),
    owner: z.string(),
    name: z.string(),
    kind: z.enum(agentKinds),
    runtime: z.enum(['process', 'docker', 'swarm']),
    desired: z.enum(['running', 'stopped']),
    state: z.enum(runStates),
    reason: z.string().describe('why it is in this state, in words'),
    since: z.number().int().describe('epoch ms of the last change of state'),
    activity: z.enum(activities).nullable(),
    health: z.enum(healths).nullable().describe('what its liveness probe says; null without one, or while it does not run'),
    ready: z.boolean().nullable().describe('what its readiness probe says; null without one, or while it does not run'),
    resources: resources.nullable(),
    pid: z.number().int().nullable(),
    run_id: z.string().nullable(),
    restarts: z.number().int().describe('automatic restarts since it was last started by a caller'),
    uptime_ms: z.number().int().nullable(),
    exit_code: z.number().int().nullable().describe('of the last run that ended'),
    exit_signal: z.string().nullable(),
    file: z.string().nullable().describe('the agent file, where its kind has one'),
    revision: z.number().int().describe('of the definition'),
    running_revision: z.number().int().nullable().describe('the revision that the live run was started with'),
    queued: z.number().int().describe('messages waiting'),
    usage,
    conditions: z.array(condition),
    created_at: z.number().int(),
    updated_at: z.number().int(),
  })
  .meta({ id: 'Agent' })
export type AgentView = z.output<typeof agentView>

/** With its definition; secrets come back as `"***"`. */
export const agentDetail = agentView
  .extend({
    definition: z.record(z.string(), z.unknown()),
    policy,
    limits,
    program: z.string().describe('its name for supervisorctl'),
    schedules: z
      .array(
        z.object({ cron: z.string(), timezone: z.string(), action: z.string(), next: z.number().int().nullable().describe('epoch ms') }),
      )
      .describe('its schedules, with the next time of each'),
    notes: z.array(z.string()).describe('what a reader should know, such as a change that waits for the next start'),
  })
  .meta({ id: 'AgentDetail' })
export type AgentDetail = z.output<typeof agentDetail>
