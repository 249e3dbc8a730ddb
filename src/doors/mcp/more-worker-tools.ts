import { randomUUID } from 'node:crypto'
import type { McpServer } from '@modelcontextprotocol/server'
import { z } from 'zod'
import { type WorkerView, workerStates } from '../../contract/workers.ts'
import { RegentError } from '../../kernel/errors.ts'
import { errorAnswer, objectAnswer, type ToolAnswer, told, valueAnswer } from './results.ts'
import type { ToolHost } from './tool-host.ts'
import { createWorker, write } from './worker-tools.ts'

const worker_id = z.string().min(1).max(200)
const read = { readOnlyHint: true } as const
const change = { readOnlyHint: false, destructiveHint: false } as const

/** Tools of the later generation: resuming, permissions, spawning with options. */
export function registerLaterTools(server: McpServer, host: ToolHost): void {
  server.registerTool(
    'resume_worker',
    {
      description: 'Resume a completed worker with a message, in its session',
      inputSchema: z.object({ worker_id, message: z.string().optional(), prompt: z.string().optional(), input: z.string().optional() }),
      annotations: change,
    },
    ({ worker_id: id, message, prompt, input }, ctx) => told(() => write(host, id, message ?? prompt ?? input, ctx)),
  )
  server.registerTool(
    'get_pending_permissions',
    { description: 'What workers want to do and wait for a yes or a no', inputSchema: z.object({}), annotations: read },
    (_given, ctx) => told(() => pending(host, ctx.mcpReq.signal)),
  )
  server.registerTool(
    'approve_worker_permission',
    {
      description: 'Allow or deny what a worker wants to do',
      inputSchema: z.object({ worker_id, request_id: z.string().min(1), allow: z.boolean(), message: z.string().optional() }),
      annotations: change,
    },
    (given, ctx) => told(() => answer(host, given, ctx.mcpReq.signal)),
  )
  server.registerTool(
    'spawn_worker',
    {
      description: 'Create a worker with a description, a coding agent and options',
      inputSchema: z.object({
        description: z.string().min(1).max(200),
        prompt: z.string().min(1),
        agent_type: z.string().optional().describe('coding agent, such as claude'),
        options: z
          .looseObject({ model: z.string().optional(), temperature: z.number().optional(), timeout: z.number().optional() })
          .optional(),
      }),
      outputSchema: z.object({ result: z.string() }).meta({ 'x-fastmcp-wrap-result': true }),
      annotations: change,
    },
    ({ description, prompt, agent_type, options = {} }, ctx) =>
      told(async () => {
        const { model, temperature, timeout = 300 } = options
        if (temperature !== undefined && (temperature < 0 || temperature > 1)) return errorAnswer('Temperature must be between 0 and 1')
        const agent = agent_type === undefined ? {} : { agent: agent_type }
        const task = { prompt, timeout, queue: true, label: description, ...agent, ...(model !== undefined && { model }) }
        return valueAnswer(await createWorker(host, task, ctx.mcpReq.signal))
      }),
  )
}

/** What goes beyond: cancel, list, live output. */
export function registerFurtherTools(server: McpServer, host: ToolHost): void {
  server.registerTool(
    'cancel_worker',
    {
      description: 'End a worker with everything it started',
      inputSchema: z.object({ worker_id }),
      annotations: { ...change, destructiveHint: true },
    },
    ({ worker_id: id }, { mcpReq }) =>
      told(async () =>
        summary(await host.call('workers.cancel', { worker: id, wait: true }, { signal: mcpReq.signal, key: randomUUID() })),
      ),
  )
  server.registerTool(
    'list_workers',
    {
      description: 'List the workers of this client, newest first',
      inputSchema: z.object({ states: z.array(z.enum(workerStates)).optional(), limit: z.number().int().min(1).max(200).default(50) }),
      annotations: read,
    },
    ({ states, limit }, { mcpReq }) =>
      told(async () => {
        await host.settling.done()
        const input = { namespace: host.namespace, limit, ...(states && { states }) }
        const { workers, next_cursor } = await host.call('workers.list', input, { signal: mcpReq.signal })
        return objectAnswer({ workers: workers.map(short), truncated: next_cursor !== null })
      }),
  )
  server.registerTool(
    'get_worker_output',
    {
      description: 'A page of what a worker printed, also while it runs; go on with from = next',
      inputSchema: z.object({
        worker_id,
        from: z.number().int().min(0).default(0).describe('line to begin with'),
        limit: z.number().int().min(1).max(200_000).default(20_000).describe('characters'),
        stream: z.enum(['stdout', 'stderr']).default('stdout'),
        turn: z.number().int().min(1).optional(),
      }),
      annotations: read,
    },
    ({ worker_id: id, ...page }, { mcpReq }) =>
      told(async () => objectAnswer(await host.call('workers.output', { worker: id, ...page }, { signal: mcpReq.signal }))),
  )
}

const short = ({ id, agent, state, reason, label, prompt, turn, claimed, usage, failure, created_at }: WorkerView) => ({
  ...{ task_id: id, worker_id: id, agent, state, reason, label, prompt: prompt.slice(0, 200), turn, claimed },
  ...{ cost_usd: usage.cost_usd, failure, created_at },
})

const summary = (view: WorkerView): ToolAnswer => objectAnswer(short(view))

async function pending(host: ToolHost, signal: AbortSignal): Promise<ToolAnswer> {
  const { workers } = await host.call('workers.list', { namespace: host.namespace, states: ['running'], limit: 500 }, { signal })
  const own = new Set(workers.map(({ id }) => id))
  const { approvals } = await host.call('approvals.list', { limit: 500 }, { signal })
  const ours = approvals.filter(({ worker_id: id }) => id !== null && own.has(id))
  return objectAnswer({
    pending_permissions: ours.map((one) => ({ request_id: one.id, worker_id: one.worker_id, tool: one.tool, input: one.arguments })),
  })
}

interface Answer {
  readonly worker_id: string
  readonly request_id: string
  readonly allow: boolean
}

async function answer(host: ToolHost, { worker_id: id, request_id, allow }: Answer, signal: AbortSignal): Promise<ToolAnswer> {
  const gone = `Permission request ${request_id} not found. It may have already been processed or timed out.`
  const worker = await host.call('workers.get', { worker: id }, { signal }).catch(unlessNotFound)
  if (worker?.state !== 'running') return errorAnswer(`Worker ${id} not found or already completed. Cannot approve permission request.`)
  const asked = await host.call('approvals.get', { id: request_id }, { signal }).catch(unlessNotFound)
  if (asked?.state !== 'pending') return errorAnswer(gone)
  if (asked.worker_id !== worker.id) return errorAnswer(`Worker ID mismatch: expected ${asked.worker_id}, got ${worker.id}`)
  try {
    await host.call(allow ? 'approvals.approve' : 'approvals.reject', { id: request_id }, { signal })
  } catch (error) {
    if (error instanceof RegentError && error.code === 'TOO_LATE') return errorAnswer(gone)
    throw error
  }
  return objectAnswer({ status: allow ? 'approved' : 'denied', worker_id: worker.id, request_id, tool: asked.tool })
}

function unlessNotFound(error: unknown): undefined {
  if (error instanceof RegentError && error.code === 'NOT_FOUND') return undefined
  throw error
}
