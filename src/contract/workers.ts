import { z } from 'zod'
import { userName } from './names.ts'

/** `limited`: its provider stated a limit; it goes on by itself at `retry_at`. */
export const workerStates = ['queued', 'running', 'limited', 'completed', 'failed', 'cancelled'] as const
export type WorkerState = (typeof workerStates)[number]
export const openWorkerStates: readonly WorkerState[] = ['queued', 'running', 'limited']

/** Why a turn failed; `failure` of the view says it in words. */
export const failureKinds = ['timeout', 'exit', 'error', 'session', 'missing', 'lost', 'budget', 'limit', 'start'] as const
export type FailureKind = (typeof failureKinds)[number]

/** Names of coding agents that Regent knows; `command` runs any program by a template. */
export const agentKind = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'must be the name of a coding agent, such as claude')

/** Whose winners one `wait` looks at, beside the owner: a word or the path of a folder. */
export const namespaceName = z
  .string()
  .min(1)
  .max(1000)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  .regex(/^[^\u0000-\u001f\u007f]+$/, 'must not hold control characters')

const text = z.string().refine((value) => !value.includes('\0'), 'must not contain NUL')
const variableName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be the name of an environment variable')
export const promptText = text.min(1, 'must not be empty').max(1_000_000)

/** A hard stop each: the turn is ended, and no other begins. Of the worker's whole life, resumed turns included. */
export const budget = z
  .strictObject({
    usd: z.number().positive().optional(),
    tokens: z.number().int().positive().optional().describe('in and out, without those read from a cache'),
    seconds: z.number().positive().optional().describe('of running'),
  })
  .meta({ id: 'Budget' })
export type Budget = z.output<typeof budget>

/** How a worker is run: what a new one may name beside its prompt. */
export const workerSpec = z.strictObject({
  agent: agentKind.default('claude'),
  command: z
    .array(text)
    .min(1)
    .max(1000)
    .optional()
    .describe('for the agent `command`: program and arguments; `{prompt}` in one stands for the prompt, `{session}` for the session id'),
  args: z.array(text).max(200).default([]).describe('more arguments for its CLI'),
  cwd: z.string().min(1).max(4096).startsWith('/', 'must be an absolute path').optional().describe('default: the project'),
  worktree: z
    .union([z.boolean(), z.strictObject({ base: z.string().min(1).max(200).default('HEAD') })])
    .default(false)
    .describe('a git worktree of its own, made from the repository of cwd, on a branch regent/ID'),
  model: z.string().min(1).max(200).optional(),
  allowed_tools: z.array(text.min(1).max(500)).max(500).optional(),
  disallowed_tools: z.array(text.min(1).max(500)).max(500).optional(),
  permission_mode: z.string().min(1).max(50).optional().describe("its CLI's own word, such as acceptEdits"),
  permissions: z
    .enum(['ask', 'cli'])
    .default('cli')
    .describe('ask: what its CLI would ask a person becomes an approval; cli: the CLI decides by its own rules'),
  permission_timeout: z.number().positive().max(86_400).default(120).describe('seconds until an unanswered approval is rejected'),
  append_system_prompt: text.max(100_000).optional(),
  timeout: z.number().positive().max(86_400).default(300).describe('seconds that each turn may take'),
  budget: budget.default({}),
  stream: z.boolean().default(true).describe('read what it says as it comes, where its CLI can'),
  wait_limits: z.boolean().default(true).describe("wait out a provider's limit and go on, instead of failing"),
})
export type WorkerSpec = z.output<typeof workerSpec>

export const newWorker = z.strictObject({
  prompt: promptText,
  ...workerSpec.shape,
  namespace: namespaceName.default('default'),
  owner: userName.optional(),
  label: text.min(1).max(200).optional().describe('a word for people'),
  priority: z.number().int().min(-100).max(100).default(0).describe('higher ones start first'),
  queue: z.boolean().default(true).describe('false: refused where as many as `workers.max_active` of its crew are active'),
  env: z
    .record(variableName, text)
    .default({})
    .describe("variables of the caller; PATH and HOME among them stand for Regent's own. Kept as secrets"),
})
export type NewWorker = z.output<typeof newWorker>

export const workerUsage = z
  .object({
    input_tokens: z.number().int(),
    output_tokens: z.number().int(),
    cost_usd: z.number().nullable().describe('null where its CLI tells none'),
    run_seconds: z.number().describe('of all turns'),
  })
  .meta({ id: 'WorkerUsage' })

export const workerView = z
  .object({
    id: z.string(),
    owner: z.string(),
    namespace: z.string(),
    label: z.string().nullable(),
    agent: z.string(),
    state: z.enum(workerStates),
    reason: z.string().describe('why it is in this state, in words'),
    claimed: z.boolean().describe('its end was handed to somebody who waited for it'),
    prompt: z.string().describe('of the present or last turn, its first 500 characters'),
    turn: z.number().int().describe('1 for the first'),
    priority: z.number().int(),
    cwd: z.string().nullable(),
    branch: z.string().nullable().describe('of its worktree'),
    model: z.string().nullable(),
    session_id: z.string().nullable().describe("its CLI's own"),
    pid: z.number().int().nullable(),
    run_id: z.string().nullable(),
    timeout: z.number().describe('seconds'),
    exit_code: z.number().int().nullable(),
    result: z.string().nullable().describe('what it answered, its first 64 KiB'),
    failure: z.string().nullable().describe('in the words of the worker tools'),
    failure_kind: z.enum(failureKinds).nullable(),
    error_hint: z.string().nullable(),
    output_file: z.string().nullable().describe('what it printed on stdout, once the turn has ended; absolute'),
    usage: workerUsage,
    budget,
    race: z.string().nullable(),
    pending_permissions: z.number().int(),
    created_at: z.number().int(),
    queued_at: z.number().int().describe('epoch ms; of the present or last turn'),
    started_at: z.number().int().nullable(),
    ended_at: z.number().int().nullable(),
    retry_at: z.number().int().nullable().describe('epoch ms at which a limited one goes on'),
  })
  .meta({ id: 'Worker' })
export type WorkerView = z.output<typeof workerView>

/** A question of a worker's CLI. It is also an approval of the same id. */
export const pendingPermission = z
  .object({ request_id: z.string(), worker_id: z.string(), tool: z.string(), input: z.record(z.string(), z.unknown()) })
  .meta({ id: 'PendingPermission' })
export type PendingPermission = z.output<typeof pendingPermission>

/** What a worker printed, as its CLI's dialect reads it. `raw`: a line that is none of the others. */
export const outputKinds = ['session', 'text', 'tool_call', 'tool_result', 'usage', 'result', 'limit', 'raw'] as const
export const outputItem = z
  .object({
    kind: z.enum(outputKinds),
    turn: z.number().int(),
    at: z.number().nullable().describe('epoch ms'),
    text: z.string().describe('what it said; for a tool, its name and what it was given or answered, shortened'),
    data: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'WorkerOutput' })
export type OutputItem = z.output<typeof outputItem>

/** Who decides a race. */
export const judge = z.discriminatedUnion('by', [
  z.strictObject({ by: z.literal('first') }).describe('the first that completes'),
  z
    .strictObject({
      by: z.literal('command'),
      command: z.string().min(1).max(10_000),
      timeout: z.number().positive().max(86_400).default(600),
    })
    .describe('a shell command in the folder of each that completes; the first for which it exits 0 wins'),
  z
    .strictObject({
      by: z.literal('score'),
      command: z.string().min(1).max(10_000),
      timeout: z.number().positive().max(86_400).default(600),
    })
    .describe('a shell command whose last line of output is a number; the highest wins'),
  z
    .strictObject({
      by: z.literal('model'),
      agent: agentKind.default('claude'),
      model: z.string().optional(),
      criteria: z.string().max(10_000).default(''),
    })
    .describe('a coding agent reads all answers and names the best'),
])
export type Judge = z.output<typeof judge>

export const newRace = z.strictObject({
  prompt: promptText,
  n: z.number().int().min(1).max(50).default(3),
  variants: z
    .array(z.strictObject({ agent: agentKind.optional(), model: z.string().min(1).max(200).optional() }))
    .max(50)
    .default([])
    .describe('agents and models that the attempts take in turns'),
  judge: judge.default({ by: 'first' }),
  worker: newWorker
    .omit({ prompt: true, queue: true, owner: true, namespace: true })
    .partial()
    // Without its default: left out, an attempt has a worktree where it can.
    .extend({ worktree: workerSpec.shape.worktree.unwrap().optional() })
    .default({}),
  namespace: namespaceName.default('default'),
  owner: userName.optional(),
})
export type NewRace = z.output<typeof newRace>

export const raceStates = ['running', 'judging', 'decided', 'failed', 'cancelled'] as const
export type RaceState = (typeof raceStates)[number]

export const raceView = z
  .object({
    id: z.string(),
    owner: z.string(),
    namespace: z.string(),
    state: z.enum(raceStates),
    reason: z.string(),
    prompt: z.string(),
    judge,
    winner: workerView.nullable(),
    attempts: z.array(
      z.object({
        worker: workerView,
        verdict: z.enum(['waiting', 'won', 'lost', 'passed', 'refused', 'failed', 'cancelled']),
        score: z.number().nullable(),
        judged_by: z.string().nullable().describe('the worker that judged it'),
      }),
    ),
    usage: workerUsage.describe('of all attempts and judges'),
    created_at: z.number().int(),
    ended_at: z.number().int().nullable(),
  })
  .meta({ id: 'Race' })
export type RaceView = z.output<typeof raceView>
