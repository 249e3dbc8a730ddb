import { setTimeout as pause } from 'node:timers/promises'
import type { Output } from '../../../contract/operations.ts'
import type { WorkerView } from '../../../contract/workers.ts'
import { RegentError } from '../../../kernel/errors.ts'
import type { Cli } from '../cli.ts'
import { clean } from '../output/text.ts'
import { Connection } from './connection.ts'
import { shortId } from './views.ts'

type Answer = Output<'workers.wait'>

export interface Waited {
  /** Those that have ended. */
  readonly workers: readonly WorkerView[]
  /** No worker is active, and no end is unclaimed. */
  readonly isNone: boolean
}

export interface WaitFor {
  readonly namespace?: string
  readonly workers?: readonly string[]
  readonly mode: 'first' | 'all'
  /** ms; undefined waits for ever. */
  readonly timeout?: number | undefined
}

/** One request waits for so long; the next goes on. */
const TURN_MS = 60_000
/** How soon another approval is told of while one waits for its answer. */
const LOOK_MS = 5000

/**
 * Waits over restarts of Regent, and claims what has ended once it is here. Approvals that stand in the way are told of on stderr.
 * Throws TIMED_OUT.
 */
export async function waitForWorkers(cli: Cli, { timeout, mode, ...whom }: WaitFor, connection = new Connection(cli)): Promise<Waited> {
  const end = timeout === undefined ? undefined : performance.now() + timeout
  const told = new Set<string>()
  const who = { ...(whom.namespace ? { namespace: whom.namespace } : {}), ...(whom.workers ? { workers: [...whom.workers] } : {}) }
  for (let isAsked = false; ; ) {
    const left = end === undefined ? TURN_MS : Math.max(0, Math.round(end - performance.now()))
    const answer: Answer = await connection.call('workers.wait', {
      ...who,
      ...{ mode, claim: 'later', wait: true, permissions: !isAsked },
      timeout: Math.min(left, isAsked ? LOOK_MS : TURN_MS),
    })
    if (answer.outcome === 'ended') return { workers: await claim(connection, answer), isNone: false }
    if (answer.outcome === 'none') return { workers: [], isNone: true }
    isAsked = answer.outcome === 'permission'
    tellPermissions(cli, answer, told)
    if (end !== undefined && performance.now() >= end) throw lateFor(whom, answer.active)
  }
}

/** Nobody should look at one who says nothing because it waits for them: its questions are told of while somebody watches the work. */
export async function tellingApprovals<T>(cli: Cli, worker: string, work: Promise<T>): Promise<T> {
  if (!cli.terminal.isInteractive) return work
  const over = new AbortController()
  void tellApprovals(cli, worker, AbortSignal.any([cli.signal, over.signal]))
  return work.finally(() => over.abort())
}

async function tellApprovals(cli: Cli, worker: string, signal: AbortSignal): Promise<void> {
  const told = new Set<string>()
  let isAsked = false
  while (!signal.aborted) {
    try {
      const timeout = isAsked ? LOOK_MS : TURN_MS
      const asked = { workers: [worker], mode: 'all', claim: 'no', wait: true, permissions: !isAsked, timeout } as const
      const answer: Answer = await (await cli.client()).call('workers.wait', asked, { signal })
      if (answer.outcome === 'ended' || answer.outcome === 'none') return
      isAsked = answer.outcome === 'permission'
      tellPermissions(cli, answer, told)
    } catch {
      // What is wrong is told by the work itself; it may go on when Regent is back.
      await pause(LOOK_MS, undefined, { signal }).catch(() => {})
    }
  }
}

async function claim(connection: Connection, { lease, workers }: Answer): Promise<readonly WorkerView[]> {
  if (lease === null) return workers
  try {
    await connection.call('workers.claim', { lease })
  } catch (error) {
    // Settled already, or given back meanwhile: what is here is told once too often rather than never.
    if (!(error instanceof RegentError) || error.code !== 'NOT_FOUND') throw error
  }
  return workers.map((worker) => ({ ...worker, claimed: true }))
}

function tellPermissions(cli: Cli, { pending_permissions }: Answer, told: Set<string>): void {
  for (const { request_id, worker_id, tool } of pending_permissions) {
    if (told.has(request_id)) continue
    told.add(request_id)
    cli.note(`worker ${shortId(worker_id)} asks to use ${clean(tool)}: regent approve ${request_id.slice(0, 8)}, or regent reject`)
  }
}

function lateFor({ workers }: Pick<WaitFor, 'workers'>, active: number): RegentError {
  const who =
    workers === undefined
      ? 'no worker has ended in time'
      : workers.length === 1
        ? `worker ${workers[0]} has not ended in time`
        : 'not all have ended in time'
  return new RegentError('TIMED_OUT', `${who}; ${active === 1 ? 'one is' : `${active} are`} still active`, {
    hint: 'wait again, or look with: regent workers',
  })
}
