import { RegentError, reasonOf } from '../../kernel/errors.ts'
import type { CodingAgent, TokenCount, TurnOutcome, TurnReader } from '../../ports/coding-agents.ts'
import type { Exit, Run, RunHandle } from '../../ports/runtime.ts'
import type { WorkerRow } from '../../ports/worker-store.ts'
import { type Allowance, allowanceOf, exhausted, hasBudget, spentBy } from './budget.ts'
import { endTurn, type Stopped, type Stopping } from './end-turn.ts'
import { TurnFeed } from './turn-feed.ts'
import { type Place, placeOf, specOf, turnFor } from './turn-spec.ts'
import { beginTurn, cancelTurn, failTurn, isOpen, moveWorker, workerEvent } from './worker-moves.ts'
import type { Working } from './working.ts'

/** What a keeper needs of those around it. */
export interface Keeping extends Working {
  /** Its row was written. */
  changed(row: WorkerRow): void
  /** Tokens of a run that goes on. */
  counted(row: WorkerRow, tokens: TokenCount): void
}

const RETRY_MS = 1000
const GRACE_MS = 5000
const MOST_DELAY_MS = 2 ** 31 - 1

/** Keeps one open worker: starts its turn when it is told to, finds it again after a restart of Regent, and puts its end on record. */
export class WorkerKeeper {
  readonly id: string
  readonly #k: Keeping
  #row: WorkerRow
  #run: Run | undefined
  #feed: TurnFeed | undefined
  #stopped: Stopped | undefined
  #allowance: Allowance | undefined
  #cancelTimer: () => void = () => {}
  #closed = false
  #busy: Promise<void> = Promise.resolve()

  constructor(keeping: Keeping, row: WorkerRow) {
    this.#k = keeping
    this.id = row.id
    this.#row = row
  }

  get row(): WorkerRow {
    return this.#row
  }

  get runId(): string | null {
    return this.#row.runId
  }

  /** Takes up what the store says of it. Resolves once its live run, if it has one, is found or given up; the rest goes on behind. */
  async takeUp(): Promise<void> {
    if (this.#row.state === 'limited') this.#waitForLimit()
    if (this.#row.state !== 'running') return
    // Only the first try is waited for: one run that cannot be reached must not keep Regent from its work.
    const tried = Promise.withResolvers<void>()
    const found = this.#again('taken up', () => this.#find().finally(tried.resolve))
    await Promise.race([tried.promise, found])
  }

  /** Its place in the queue has come. Never rejects. */
  start(): void {
    this.#busy = this.#busy.then(() => this.#again('started', () => this.#start()))
  }

  /** It is to be ended; the intent is on record. */
  cancel(row: WorkerRow): void {
    this.#row = { ...this.#row, wanted: row.wanted }
    this.#cancelTimer()
    if (this.#run) void this.end({ why: 'cancel' })
    else if (this.#row.state !== 'running') this.#busy = this.#busy.then(() => this.#again('cancelled', () => this.#cancelIdle()))
  }

  /** Ends its run, if it has one. What ends it first counts. */
  async end(stopped: Stopping): Promise<void> {
    this.#stopped ??= { ...stopped, at: this.#k.clock.now() }
    const run = this.#run
    if (!run) return
    try {
      await run.stop({ signal: 'SIGTERM', graceMs: GRACE_MS })
    } catch (error) {
      this.#k.logger.warn({ worker: this.id, reason: reasonOf(error) }, 'a worker could not be ended; tried again soon')
      this.#k.clock.after(RETRY_MS, () => void (this.#closed || this.end(stopped)))
    }
  }

  close(): void {
    this.#closed = true
    this.#cancelTimer()
    this.#feed?.stop()
  }

  /** Does it until it can be done: only the store, or a runtime that does not answer, make it fail. */
  async #again(what: string, work: () => Promise<void>): Promise<void> {
    while (!this.#closed) {
      try {
        await work()
        return
      } catch (error) {
        if (this.#closed) return
        this.#k.logger.error({ worker: this.id, error: reasonOf(error) }, `a worker could not be ${what}; tried again soon`)
        await this.#k.clock.sleep(RETRY_MS)
      }
    }
  }

  async #start(): Promise<void> {
    const { store, clock, codingAgents, runtime, ids } = this.#k
    const row = await store.read.workers.get(this.id)
    if (!row) return
    const agent = codingAgents.get(row.agent)
    // A try before this one put it on record.
    if (row.state === 'running') return this.#launch(row, agent, await this.#allowanceFor(row))
    if (row.state !== 'queued') return this.#set(row)
    if (row.wanted === 'cancel') return this.#cancelIdle()
    const ready = await this.#prepare(row, agent)
    if (!ready) return
    const handle = runtime.handleOf(ids.next())
    const sessionId = row.sessionId ?? (agent.can.choosesSession ? ids.random() : null)
    const begun = await store.transaction(async (tables) => {
      const now = await tables.workers.get(this.id)
      if (now?.state !== 'queued') return undefined
      if (now.wanted === 'cancel') return cancelTurn(tables, now, clock.now())
      return beginTurn(tables, now, { handle, ...ready.place, sessionId, at: clock.now() })
    })
    if (!begun) return
    this.#set(begun)
    if (begun.state === 'running') await this.#launch(begun, agent, ready.allowance)
  }

  /** The folder and the budget of a turn; undefined where it cannot be worked on, which is then on record. */
  async #prepare(row: WorkerRow, agent: CodingAgent): Promise<{ place: Place; allowance: Allowance } | undefined> {
    const allowance = await this.#allowanceFor(row)
    const over = exhausted(allowance)
    if (over !== undefined) return this.#fail(row, 'budget', over, 'Raise its budget, or wait until its owner has some again.')
    try {
      const place = await placeOf(row, this.#k)
      await specOf({ row, runId: row.id, place, agent, budgetUsd: allowance.usd }, this.#k)
      return { place, allowance }
    } catch (error) {
      if (!(error instanceof RegentError)) throw error
      return this.#fail(row, error.details.what === 'program' ? 'missing' : 'start', error.message, error.hint)
    }
  }

  async #allowanceFor(row: WorkerRow): Promise<Allowance> {
    const { store, clock, workerLimits } = this.#k
    const spent = hasBudget(row.budget, workerLimits) ? await spentBy(store.read, row.owner, clock.now()) : { usd: 0, tokens: 0, ranFor: 0 }
    return allowanceOf(row, spent, workerLimits)
  }

  async #fail(row: WorkerRow, kind: 'budget' | 'missing' | 'start', message: string, hint?: string): Promise<undefined> {
    const { store, clock } = this.#k
    const failed = await store.transaction(async (tables) => {
      const now = await tables.workers.get(row.id)
      if (!now || !isOpen(now)) return undefined
      return failTurn(tables, now, { kind, message, hint: hint ?? null }, clock.now())
    })
    if (failed) this.#set(failed)
  }

  /** Starts the run that is on record, or finds it: the runtime starts no run twice. */
  async #launch(row: WorkerRow, agent: CodingAgent, allowance: Allowance): Promise<void> {
    const handle = row.handle as unknown as RunHandle
    const place = { cwd: row.cwd ?? '/', branch: row.branch }
    let run: Run
    try {
      run =
        this.#run ??
        (await this.#k.runtime.start(await specOf({ row, runId: handle.runId, place, agent, budgetUsd: allowance.usd }, this.#k)))
    } catch (error) {
      // Somebody still works at it: given up, it could come to life beside another one.
      if (!(error instanceof RegentError) || error.code === 'TIMED_OUT') throw error
      await this.#fail(row, error.details.what === 'program' ? 'missing' : 'start', error.message, error.hint)
      return
    }
    this.#attach(row, run, agent, allowance, 0)
    await this.#tellStart(row, run, 'worker.started')
  }

  /** Its pid is put on record with the event; once, whatever has become of it meanwhile. */
  async #tellStart(row: WorkerRow, run: Run, type: 'worker.started' | 'worker.adopted'): Promise<void> {
    const { store, clock } = this.#k
    const told = await store.transaction(async (tables) => {
      const now = await tables.workers.get(row.id)
      if (now?.state !== 'running' || now.runId !== row.runId || (type === 'worker.started' && now.pid !== null)) return false
      await tables.workers.update(row.id, { pid: run.pid })
      await tables.events.append(workerEvent(row, type, clock.now(), 'regent', { pid: run.pid, run_id: run.handle.runId }))
      return true
    })
    if (told && this.#row.state === 'running' && this.#row.runId === row.runId) this.#set({ ...this.#row, pid: run.pid })
  }

  /** After a restart of Regent: the run is taken up where it is. */
  async #find(): Promise<void> {
    const { runtime, clock, codingAgents, logger } = this.#k
    const row = this.#row
    const handle = row.handle as unknown as RunHandle
    const agent = codingAgents.get(row.agent)
    const allowance = await this.#allowanceFor(row)
    const run = this.#run ?? (await runtime.reattach(handle))
    if (!run) {
      // It was put on record and not started, unless its pid is known.
      if (row.pid === null) return this.#launch(row, agent, allowance)
      await this.#ended(row, { kind: 'lost', reason: 'no trace of its process is left', at: clock.now() }, agent, undefined)
      return
    }
    this.#attach(row, run, agent, allowance, clock.now() - run.startedAt)
    await run
      .offerLink(this.#k.linkOf(handle.runId))
      .catch((error: unknown) => logger.warn({ worker: this.id, reason: reasonOf(error) }, 'a worker could not be told where Regent is'))
    await this.#tellStart(row, run, 'worker.adopted')
  }

  #attach(row: WorkerRow, run: Run, agent: CodingAgent, allowance: Allowance, ageMs: number): void {
    if (this.#run) return
    this.#run = run
    this.#allowance = allowance
    const reader = summedOnce(agent.reader(turnFor({ row, agent, budgetUsd: null }, this.#k)))
    const feed = new TurnFeed({ ...this.#k, row, runId: run.handle.runId, reader, counted: (tokens) => this.#counted(tokens) })
    this.#feed = feed
    this.#armDeadline(row, allowance, Math.max(0, ageMs))
    void run.exited.then((exit) => this.#again('put on record', () => this.#ended(row, exit, agent, { feed, reader })))
    if (this.#row.wanted === 'cancel') void this.end({ why: 'cancel' })
    else if (this.#stopped) void this.end(this.#stopped)
  }

  #counted(tokens: TokenCount): void {
    const most = this.#allowance?.tokens
    if (typeof most === 'number' && tokens.input + tokens.output > most)
      void this.end({ why: 'budget', message: 'its budget in tokens is spent' })
    this.#k.counted(this.#row, tokens)
  }

  #armDeadline(row: WorkerRow, { time }: Allowance, ageMs: number): void {
    const isBudget = time !== null && time < row.timeout
    const leftMs = (isBudget ? time : row.timeout) - ageMs
    this.#timer(leftMs, () => void this.end(isBudget ? { why: 'budget', message: 'its budget in time is spent' } : { why: 'timeout' }))
  }

  async #ended(row: WorkerRow, exit: Exit, agent: CodingAgent, read: { feed: TurnFeed; reader: TurnReader } | undefined): Promise<void> {
    this.#cancelTimer()
    const run = this.#run
    await read?.feed.drain()
    const after = await endTurn({ row, exit, agent, stopped: this.#stopped, feed: read?.feed, reader: read?.reader }, this.#k)
    this.#run = undefined
    this.#stopped = undefined
    if (after) this.#set(after)
    // Behind: its log stays within its bounds, and what a crash leaves goes with a later run.
    run
      ?.remove()
      .catch((error: unknown) =>
        this.#k.logger.warn({ worker: this.id, reason: reasonOf(error) }, 'a run that is over could not be removed'),
      )
    if (after?.state !== 'limited') return
    if (this.#row.wanted === 'cancel') this.cancel(this.#row)
    else this.#waitForLimit()
  }

  #waitForLimit(): void {
    this.#timer((this.#row.retryAt ?? 0) - this.#k.clock.now(), () => {
      this.#busy = this.#busy.then(() => this.#again('queued', () => this.#goOn()))
    })
  }

  async #goOn(): Promise<void> {
    const { store, clock } = this.#k
    const queued = await store.transaction(async (tables) => {
      const now = await tables.workers.get(this.id)
      if (now?.state !== 'limited') return undefined
      const move = { to: 'queued', reason: 'the time that its provider stated has come', at: clock.now(), actor: 'regent' } as const
      return moveWorker(tables, now, move, { retryAt: null, queuedAt: clock.now() })
    })
    if (queued) this.#set(queued)
  }

  async #cancelIdle(): Promise<void> {
    const { store, clock } = this.#k
    const cancelled = await store.transaction(async (tables) => {
      const now = await tables.workers.get(this.id)
      return now && isOpen(now) && now.state !== 'running' ? cancelTurn(tables, now, clock.now()) : undefined
    })
    if (cancelled) this.#set(cancelled)
  }

  #set(row: WorkerRow): void {
    // It was wished for while this was written.
    const isCancelled = this.#row.wanted === 'cancel' && this.#row.turn === row.turn && isOpen(row)
    this.#row = isCancelled ? { ...row, wanted: 'cancel' } : row
    this.#k.changed(this.#row)
  }

  #timer(ms: number, work: () => void): void {
    this.#cancelTimer()
    this.#cancelTimer = this.#k.clock.after(Math.min(Math.max(0, ms), MOST_DELAY_MS), () => {
      if (!this.#closed) work()
    })
  }
}

/** What a turn comes to can be asked for again, where the store did not take it. */
function summedOnce(reader: TurnReader): TurnReader {
  let outcome: TurnOutcome | undefined
  return {
    line: (text, now) => reader.line(text, now),
    end(exit) {
      outcome ??= reader.end(exit)
      return outcome
    },
  }
}
