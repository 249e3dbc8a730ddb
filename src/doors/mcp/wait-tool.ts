import type { ServerContext } from '@modelcontextprotocol/server'
import type { Output } from '../../contract/operations.ts'
import type { WorkerView } from '../../contract/workers.ts'
import { RegentError } from '../../kernel/errors.ts'
import { errorAnswer, objectAnswer, type ToolAnswer } from './results.ts'
import type { ToolHost } from './tool-host.ts'
import { stateOf } from './worker-states.ts'

/** So that a client's own limit on silence holds. */
const PROGRESS_MS = 5000
const SETTLE_MS = 20_000

export interface WaitArguments {
  readonly timeout: number
  readonly worker_id?: string | undefined
}

/** Waits for the crew, or for one worker. The end it tells of is claimed once the answer has left; before that it is given back. */
export async function waitTool(host: ToolHost, { timeout, worker_id }: WaitArguments, ctx: ServerContext): Promise<ToolAnswer> {
  const stopProgress = tellProgress(ctx, timeout)
  try {
    await host.settling.done()
    const answer = await ask(host, timeout, worker_id, ctx.mcpReq.signal)
    if (answer.lease !== null) claimAfter(host, answer.lease, ctx)
    return toldOf(host, answer, timeout, worker_id)
  } catch (error) {
    if (error instanceof RegentError && error.code === 'NOT_FOUND' && worker_id !== undefined)
      return errorAnswer(`Worker ${worker_id} not found in active tasks`)
    throw error
  } finally {
    stopProgress()
  }
}

type Waited = Output<'workers.wait'>

function ask(host: ToolHost, timeout: number, workerId: string | undefined, signal: AbortSignal): Promise<Waited> {
  const input = {
    namespace: host.namespace,
    ...(workerId !== undefined && { workers: [workerId] }),
    mode: host.api === 'readme' || workerId !== undefined ? 'first' : 'some',
    claim: 'later',
    permissions: true,
    wait: true,
    timeout: Math.round(timeout * 1000),
  }
  return host.call('workers.wait', input, { signal })
}

function claimAfter(host: ToolHost, lease: string, { mcpReq }: ServerContext): void {
  const { promise, resolve } = Promise.withResolvers<void>()
  host.settling.add(promise)
  host.afterAnswer(mcpReq.id, (keep) => {
    // Where it cannot be settled, its end is told again: never lost, at worst told twice.
    void host
      .call('workers.claim', { lease, keep }, { signal: AbortSignal.timeout(SETTLE_MS) })
      .catch(() => undefined)
      .finally(resolve)
  })
}

function toldOf(
  host: ToolHost,
  { outcome, workers, pending_permissions }: Waited,
  timeout: number,
  workerId: string | undefined,
): ToolAnswer {
  const state = stateOf(workers, pending_permissions)
  if (outcome === 'none')
    return errorAnswer(workerId === undefined ? 'No active workers to wait for' : `Worker ${workerId} not found in active tasks`)
  if (outcome === 'timeout') {
    if (host.api === 'state') return objectAnswer(state)
    return errorAnswer(workerId === undefined ? 'Timeout waiting for workers' : `Timeout after ${timeout}s waiting for worker ${workerId}`)
  }
  if (host.api === 'state' || state.result !== null) return winner(state)
  const [failed] = workers
  return failed ? errorAnswer(failureOf(failed), state) : objectAnswer(state)
}

const winner = (state: ReturnType<typeof stateOf>): ToolAnswer =>
  state.result === null ? objectAnswer(state) : { content: [{ type: 'text', text: state.result }], structuredContent: { ...state } }

/** Alone, since clients look for it; which worker it was stands in the structured content. */
const failureOf = (view: WorkerView): string => view.failure ?? view.reason

/** Until the function that this returns is called. */
function tellProgress({ mcpReq }: ServerContext, timeout: number): () => void {
  const progressToken = mcpReq._meta?.progressToken
  if (progressToken === undefined) return () => {}
  const from = performance.now()
  const tell = () => {
    const progress = Math.round((performance.now() - from) / 100) / 10
    const params = { progressToken, progress, total: timeout, message: 'waiting for workers' }
    void mcpReq.notify({ method: 'notifications/progress', params }).catch(() => undefined)
  }
  const timer = setInterval(tell, PROGRESS_MS)
  return () => clearInterval(timer)
}
