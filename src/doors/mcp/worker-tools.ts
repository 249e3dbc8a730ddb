import { randomUUID } from 'node:crypto'
import type { McpServer, ServerContext } from '@modelcontextprotocol/server'
import { z } from 'zod'
import { newWorker, type WorkerView } from '../../contract/workers.ts'
import { RegentError } from '../../kernel/errors.ts'
import { errorAnswer, objectAnswer, type ToolAnswer, told, valueAnswer } from './results.ts'
import type { ToolHost } from './tool-host.ts'
import { waitTool } from './wait-tool.ts'

/** FastMCP's clients unwrap what is marked so. */
const wrapped = { 'x-fastmcp-wrap-result': true }
const permission = z.object({ request_id: z.string(), worker_id: z.string(), tool: z.string(), input: z.record(z.string(), z.unknown()) })

const waited = z
  .object({
    result: z.string().nullable(),
    completed: z.array(z.record(z.string(), z.unknown())),
    failed: z.array(z.record(z.string(), z.unknown())),
    pending_permissions: z.array(permission),
  })
  .meta(wrapped)

/** Of no fixed shape: FastMCP's clients then give a plain dictionary, which the README's examples take apart. */
const dictionary = z.looseObject({})

const worker_id = z.string().min(1).max(200).describe('task_id of create_async_worker')
const noDefaults = { queue: true, prompt: true, timeout: true, namespace: true } as const

/** What a caller may say of a new worker, beside the prompt. */
const options = newWorker.omit(noDefaults).partial().shape

/** The tools as the README of the worker manager prints them. */
export function registerWorkerTools(server: McpServer, host: ToolHost): void {
  server.registerTool(
    'create_async_worker',
    {
      description:
        'Create a worker: a coding agent (Claude Code unless another is named) that works on the prompt in the background. Returns its task_id at once.',
      inputSchema: z.object({
        prompt: z.string().describe('the task'),
        timeout: z.number().positive().max(86_400).default(300).describe('seconds that it may take'),
        queue: z.boolean().default(false).describe('wait for room instead of being refused'),
        ...options,
      }),
      outputSchema: z.object({ result: z.string() }).meta(wrapped),
      annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: true },
    },
    (given, ctx) => told(async () => valueAnswer(await createWorker(host, given, ctx.mcpReq.signal))),
  )
  server.registerTool(
    'wait',
    {
      description:
        'Wait for the first active worker to complete. Returns its task_id; the others stay for the next call. With worker_id: for that one.',
      inputSchema: z.object({ timeout: z.number().min(0).max(86_400).default(30).describe('seconds'), worker_id: worker_id.optional() }),
      outputSchema: waited,
      annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
    },
    (given, ctx) => told(() => waitTool(host, given, ctx)),
  )
  server.registerTool(
    'peek',
    {
      description: 'Show what a worker that has completed, and was waited for, has printed',
      inputSchema: z.object({ worker_id }),
      outputSchema: dictionary,
      annotations: { readOnlyHint: true },
    },
    ({ worker_id: id }, ctx) => told(() => peek(host, id, ctx)),
  )
  server.registerTool(
    'write_to_worker',
    {
      description: 'Resume a completed worker with new input, in its session and with its timeout; then wait for it again',
      inputSchema: z.object({
        worker_id,
        input: z.string().optional(),
        message: z.string().optional().describe('the same as input'),
        prompt: z.string().optional().describe('the same as input'),
      }),
      outputSchema: dictionary,
      annotations: { readOnlyHint: false, destructiveHint: false, openWorldHint: true },
    },
    ({ worker_id: id, input, message, prompt }, ctx) => told(() => write(host, id, input ?? message ?? prompt, ctx)),
  )
}

export interface NewTask {
  readonly prompt: string
  readonly timeout: number
  readonly queue: boolean
  readonly [option: string]: unknown
}

/** Its id. A create that is sent again, since nobody answered, has one effect. */
export async function createWorker(host: ToolHost, { env, ...given }: NewTask, signal: AbortSignal): Promise<string> {
  await host.settling.done()
  const { cwd, env: own } = host.caller
  const worker = {
    ...(cwd !== undefined && { cwd }),
    ...given,
    namespace: host.namespace,
    ...((own !== undefined || env !== undefined) && { env: { ...own, ...(env as Record<string, string> | undefined) } }),
  }
  return (await host.call('workers.create', { worker }, { signal, key: randomUUID() })).id
}

async function viewOf(host: ToolHost, id: string, signal: AbortSignal): Promise<WorkerView | undefined> {
  await host.settling.done()
  try {
    return await host.call('workers.get', { worker: id }, { signal })
  } catch (error) {
    if (error instanceof RegentError && ['NOT_FOUND', 'INVALID', 'AMBIGUOUS'].includes(error.code)) return undefined
    throw error
  }
}

const isOver = ({ state, claimed }: WorkerView): boolean => claimed && ['completed', 'failed', 'cancelled'].includes(state)

async function peek(host: ToolHost, id: string, { mcpReq }: ServerContext): Promise<ToolAnswer> {
  const view = await viewOf(host, id, mcpReq.signal)
  if (!view || !isOver(view)) return errorAnswer(`Worker ${id} not found or not complete. try wait`)
  const { stdout, stderr } = await host.call('workers.document', { worker: view.id }, { signal: mcpReq.signal })
  const status = view.state === 'completed' ? 'complete' : view.state
  return objectAnswer({
    task_id: view.id,
    status,
    session_id: view.session_id,
    stdout,
    stderr,
    result: view.result,
    failure: view.failure,
    error_hint: view.error_hint,
    cost_usd: view.usage.cost_usd,
    duration_ms: view.started_at === null || view.ended_at === null ? null : view.ended_at - view.started_at,
    ...{ worker_id: view.id, claude_session_id: view.session_id, std_out: stdout, std_err: stderr, timeout: view.timeout },
  })
}

export async function write(host: ToolHost, id: string, prompt: string | undefined, { mcpReq }: ServerContext): Promise<ToolAnswer> {
  if (prompt === undefined || prompt === '') return errorAnswer('input must hold what the worker is told')
  const view = await viewOf(host, id, mcpReq.signal)
  if (!view || !isOver(view)) return errorAnswer(`Worker ${id} not found in complete tasks`)
  await host.call('workers.resume', { worker: view.id, prompt, claimed_only: true }, { signal: mcpReq.signal, key: randomUUID() })
  return objectAnswer({ success: true, message: `Resumed worker ${view.id}` })
}
