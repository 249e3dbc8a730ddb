import type { Caller } from '../../contract/tokens.ts'
import {
  DENIED,
  DENIED_UNANSWERED,
  PERMISSION_HOLD_MS,
  type PermissionAnswer,
  type PermissionQuestion,
} from '../../contract/worker-link.ts'
import { RegentError, reasonOf } from '../../kernel/errors.ts'
import type { JsonObject } from '../../kernel/json.ts'
import type { ApprovalRow } from '../../ports/store.ts'
import type { WorkerRow } from '../../ports/worker-store.ts'
import type { Permissions as PermissionDoor } from '../core.ts'
import type { RunTokens } from '../identity/run-tokens.ts'
import { closePermission, PERMISSIONS, pendingPermissions, permissionId } from './permission-rows.ts'
import { workerEvent } from './worker-moves.ts'
import type { Working } from './working.ts'

export interface PermissionOptions extends Pick<Working, 'store' | 'clock' | 'logger'> {
  readonly runTokens: RunTokens
  /** The live worker of a run. */
  readonly workerOf: (runId: string) => WorkerRow | undefined
  /** A worker has asked, or was answered. */
  readonly changed: (row: WorkerRow) => void
}

/** Questions of one turn. */
const MOST_QUESTIONS = 100
const RETRY_MS = 1000

/** Permission prompts of workers' CLIs: each becomes an approval, and the first answer from any door, or its time limit, decides. */
export class Permissions implements PermissionDoor {
  readonly #o: PermissionOptions
  /** Whoever waits for an answer, by approval. */
  readonly #waiting = new Map<string, Set<() => void>>()
  readonly #timers = new Map<string, () => void>()
  readonly #asked = new Map<string, Set<string>>()
  /** Words of those who denied; a restart of Regent before they are handed over leaves the usual ones. */
  readonly #words = new Map<string, string>()

  constructor(options: PermissionOptions) {
    this.#o = options
  }

  /** Takes up the questions of a worker that was found again. */
  async takeUp(row: WorkerRow): Promise<void> {
    for (const approval of await pendingPermissions(this.#o.store.read, [row.id])) this.#arm(row, approval)
  }

  async ask(token: string, question: PermissionQuestion, signal: AbortSignal): Promise<PermissionAnswer> {
    const runId = this.#o.runTokens.runOf(token)
    const worker = runId === undefined ? undefined : this.#o.workerOf(runId)
    if (runId === undefined || !worker) throw new RegentError('UNAUTHENTICATED', 'this token stands for no worker that runs')
    const id = permissionId(runId, question.request_id)
    const known = (await this.#o.store.read.approvals.get(id)) ?? (await this.#open(worker, runId, id, question))
    if (known.state === 'pending') await this.#answered(id, signal)
    const row = await this.#o.store.read.approvals.get(id)
    if (!row || row.state === 'pending') return { state: 'pending' }
    return { state: 'answered', allow: row.state === 'confirmed', message: row.state === 'confirmed' ? null : this.#wordsOf(row) }
  }

  /** The first answer counts. Throws TOO_LATE for one that is closed. */
  async answer(worker: WorkerRow, id: string, allow: boolean, caller: Caller, message?: string): Promise<ApprovalRow> {
    const at = this.#o.clock.now()
    const done = await this.#close(worker, id, { allow, by: caller.user, via: caller.via, at }, message)
    const row = await this.#o.store.read.approvals.get(id)
    if (done && row) return row
    const confirmed = row?.state === 'confirmed'
    throw new RegentError(
      'TOO_LATE',
      `too late: it was ${confirmed ? 'confirmed' : 'rejected'} already${row?.answeredBy ? ` by ${row.answeredBy}` : ''}`,
      {
        details: { what: 'approval', confirmed, by: row?.answeredBy ?? null },
      },
    )
  }

  /** Its run is over: its questions are closed with it. */
  ended(row: WorkerRow): void {
    for (const id of this.#asked.get(row.id) ?? []) {
      this.#settle(id)
      this.#words.delete(id)
    }
    this.#asked.delete(row.id)
  }

  close(): void {
    for (const cancel of this.#timers.values()) cancel()
    this.#timers.clear()
    for (const id of [...this.#waiting.keys()]) this.#settle(id)
  }

  async #open(worker: WorkerRow, runId: string, id: string, { request_id, tool, input }: PermissionQuestion): Promise<ApprovalRow> {
    const { store, clock } = this.#o
    const asked = this.#asked.get(worker.id) ?? new Set()
    if (!asked.has(id) && asked.size >= MOST_QUESTIONS) throw new RegentError('TOO_MANY', `Rate limit exceeded (max ${MOST_QUESTIONS})`)
    // In one step with the count.
    this.#asked.set(worker.id, asked.add(id))
    const at = clock.now()
    const row: ApprovalRow = {
      id,
      agentId: null,
      workerId: worker.id,
      messageId: null,
      subagent: worker.agent,
      server: PERMISSIONS,
      tool,
      arguments: input as JsonObject,
      state: 'pending',
      default: 'reject',
      requestedAt: at,
      expiresAt: at + worker.spec.permission_timeout * 1000,
      answeredAt: null,
      answeredBy: null,
      via: null,
    }
    const stored = await store.transaction(async (tables) => {
      if (!(await tables.approvals.insert(row))) return (await tables.approvals.get(id)) ?? row
      const data = {
        id,
        request_id,
        tool,
        server: PERMISSIONS,
        arguments: row.arguments,
        expires_at: row.expiresAt,
        default: row.default,
        run_id: runId,
      }
      await tables.events.append(workerEvent(worker, 'approval.requested', at, 'worker', data))
      return row
    })
    this.#arm(worker, stored)
    this.#o.changed(worker)
    return stored
  }

  #arm(worker: WorkerRow, { id, expiresAt }: ApprovalRow): void {
    const { clock, logger } = this.#o
    this.#asked.set(worker.id, (this.#asked.get(worker.id) ?? new Set()).add(id))
    this.#timers.get(id)?.()
    const expire = () =>
      void this.#close(worker, id, { allow: false, by: 'timeout', via: null, at: clock.now() }).catch((error: unknown) => {
        logger.warn(
          { worker: worker.id, reason: reasonOf(error) },
          'a permission that nobody answered could not be closed; tried again soon',
        )
        if (this.#timers.has(id)) this.#timers.set(id, clock.after(RETRY_MS, expire))
      })
    this.#timers.set(id, clock.after(Math.max(0, expiresAt - clock.now()), expire))
  }

  async #close(worker: WorkerRow, id: string, verdict: Parameters<typeof closePermission>[3], message?: string): Promise<boolean> {
    const done = await this.#o.store.transaction((tables) => closePermission(tables, worker, id, verdict))
    if (done && message !== undefined) this.#words.set(id, message)
    this.#settle(id)
    this.#o.changed(worker)
    return done
  }

  #settle(id: string): void {
    this.#timers.get(id)?.()
    this.#timers.delete(id)
    for (const wake of this.#waiting.get(id) ?? []) wake()
    this.#waiting.delete(id)
  }

  #wordsOf({ id, answeredBy }: ApprovalRow): string {
    return this.#words.get(id) ?? (answeredBy === 'timeout' ? DENIED_UNANSWERED : DENIED)
  }

  /** Resolves when it is answered, when it was held long enough, or the one who asks is gone. */
  #answered(id: string, signal: AbortSignal): Promise<void> {
    // What waits has a time limit; it was answered since it was read.
    if (!this.#timers.has(id)) return Promise.resolve()
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(id) ?? new Set()
      const done = () => {
        cancel()
        waiting.delete(done)
        signal.removeEventListener('abort', done)
        resolve()
      }
      const cancel = this.#o.clock.after(PERMISSION_HOLD_MS, done)
      this.#waiting.set(id, waiting.add(done))
      signal.addEventListener('abort', done, { once: true })
    })
  }
}
