import { liveStates } from '../../contract/states.ts'
import { RegentError, reasonOf } from '../../kernel/errors.ts'
import type { Run, RunHandle, RunSpec } from '../../ports/runtime.ts'
import type { LifeRow, Tables } from '../../ports/store.ts'
import { Backoff } from './backoff.ts'
import { decide, type Step } from './decide.ts'
import type { Known } from './dependents.ts'
import { endLeftovers, removeBehind } from './leftovers.ts'
import * as moves from './moves.ts'
import { stopTurn, type Waiting, waitingOf } from './order.ts'
import { type End, restarts } from './restart.ts'
import { loadRecord, type Record } from './situation.ts'
import type { Supervision } from './supervision.ts'

const RETRY_MS = 1000
/** Keeps one agent: makes the world match its intent, one step after the other. Every step may be repeated after a crash. */
export class Keeper {
  readonly agentId: string
  readonly #s: Supervision
  #run: Run | undefined
  /** Elapsed ms at which the present run was seen to start; earlier by its age for an adopted one. */
  #startedElapsed = 0
  #ended: { readonly runId: string; readonly exit: End } | undefined
  /** Why the run is to be replaced, though it lives and nobody asked for it. */
  #unfit: { readonly runId: string; readonly why: string } | undefined
  readonly #backoff: Backoff
  #cancelTimer: (() => void) | undefined
  #busy = false
  #again = false
  /** What was last seen of its life, to tell a change. */
  #shown = ''
  #agent: Known | undefined
  #waiting: Waiting | undefined
  /** Counts the wakes: what was found out before one may be outdated. */
  #wakes = 0
  /** Elapsed ms at which its present stop was first seen. */
  #stopElapsed: number | undefined
  #closed = false
  #idle: (() => void)[] = []
  /** Pids that outlived the last stop. */
  survivors: readonly number[] = []

  constructor(supervision: Supervision, agentId: string) {
    this.#s = supervision
    this.agentId = agentId
    this.#backoff = new Backoff(supervision)
  }

  get run(): Run | undefined {
    return this.#run
  }

  /** Why it is not started though it is wanted; undefined too until that was found out anew after a wake. */
  get waiting(): Waiting | undefined {
    return this.#waiting
  }

  /** Looks again at the intent; harmless at any time. Resolves when nothing is left to do for now. */
  wake(): Promise<void> {
    if (this.#closed) return Promise.resolve()
    const done = new Promise<void>((resolve) => this.#idle.push(resolve))
    this.#again = true
    this.#wakes++
    this.#waiting = undefined
    if (!this.#busy) void this.#work()
    return done
  }

  /** This run does not do its work: it is ended, and what follows is as after a death. Its policy may leave it as it is. */
  unfit(runId: string, why: string): void {
    if (this.#run?.handle.runId !== runId) return
    this.#unfit ??= { runId, why }
    void this.wake()
  }

  close(): void {
    this.#closed = true
    this.#cancelTimer?.()
  }

  async #work(): Promise<void> {
    this.#busy = true
    while (this.#again && !this.#closed) {
      this.#again = false
      try {
        while (!this.#closed && (await this.#step())) this.#s.changed(this.agentId)
      } catch (error) {
        this.#s.logger.error({ agent: this.agentId, error: reasonOf(error) }, 'a step of supervision failed; tried again soon')
        this.#timer(RETRY_MS)
      }
    }
    this.#busy = false
    for (const resolve of this.#idle.splice(0)) resolve()
    this.#s.changed(this.agentId)
  }

  /** One step; false when nothing is left to do for now. */
  async #step(): Promise<boolean> {
    const record = await loadRecord(this.#s.store.read, this.agentId)
    if (!record) return this.#gone()
    this.#show(record)
    if (this.#ended) return this.#recordEnd(this.#ended, record)
    if (record.life.state !== 'BACKOFF') this.#backoff.dropTurn()
    if (liveStates.includes(record.life.state) && !this.#run) return this.#findRun(record)
    if (record.life.state === 'STARTING' && this.#aliveFor() >= record.agent.policy.startsecs * 1000) return this.#promote()
    const step = this.#decide(record)
    switch (step.do) {
      case 'nothing':
        if (this.#unfit) return this.#replace(record, this.#unfit.why)
        this.#armStartsecs(record)
        return false
      case 'wait':
        return this.#waitBackoff(record.life)
      case 'start':
        return (await this.#hold(record)) ?? this.#start(step)
      case 'stop':
        return this.#stop(record, step)
      case 'settle':
        return this.#inSame(step, (tables, now) => moves.settle(tables, now, this.#s.clock.now()))
      case 'delete':
        return this.#s.remove(record.agent)
    }
  }

  #decide(record: Record): Step {
    return this.#decideWith(record, this.#backoff.isOver(record.life))
  }

  #decideWith({ agent, life, run }: Record, retryDue: boolean): Step {
    return decide({ life, runStart: run?.start ?? 0, deleting: agent.deleting, retryDue, halting: this.#s.halting() })
  }

  /** Tells those whose next step may depend on this agent that it changed. */
  #show({ agent, life, run }: Record): void {
    const shown = `${life.state} ${life.desired} ${life.start} ${run?.start} ${run?.endedAt} ${agent.revision} ${life.reason}`
    if (shown === this.#shown) return
    this.#shown = shown
    this.#agent = { id: agent.id, owner: agent.owner, name: agent.name, policy: agent.policy }
    this.#s.dependents.note(agent)
    if (life.state !== 'STOPPING') this.#s.dependents.hold(agent, false)
    this.#s.moved(agent)
  }

  /** Where dependencies are missing: whether there is more to do. undefined: nothing hinders the start. */
  async #hold(record: Record): Promise<boolean | undefined> {
    const wakes = this.#wakes
    const waiting = await waitingOf(record.agent, this.#s)
    if (!waiting) return undefined
    const { reason, unmet } = waiting
    this.#backoff.dropTurn()
    if (wakes === this.#wakes) this.#waiting = waiting
    if (record.life.reason === reason) return false
    await this.#s.store.transaction(async (tables) => {
      const now = await loadRecord(tables, this.agentId)
      if (now && this.#decideWith(now, true).do === 'start') await moves.holdStart(tables, now, reason, unmet, this.#s.clock.now())
    })
    return true
  }

  /** Runs `write` in a transaction in which the same step is still the right one; otherwise only looks again. */
  async #inSame(step: Step, write: (tables: Tables, record: Record) => Promise<void>): Promise<boolean> {
    await this.#s.store.transaction(async (tables) => {
      const record = await loadRecord(tables, this.agentId)
      if (record && this.#decide(record).do === step.do) await write(tables, record)
    })
    return true
  }

  async #start(step: Step & { do: 'start' }): Promise<boolean> {
    const handle = this.#s.runtime.handleOf(this.#s.ids.next())
    this.#backoff.end(step.fresh)
    const begun = await this.#s.store.transaction((tables) => this.#begin(tables, handle))
    if (begun) await this.#launch(begun.record, handle)
    return true
  }

  /** Puts a run on record, where a start is the right step. */
  async #begin(tables: Tables, handle: RunHandle): Promise<{ readonly record: Record; readonly fresh: boolean } | undefined> {
    const record = await loadRecord(tables, this.agentId)
    const step = record ? this.#decideWith(record, true) : undefined
    if (!record || step?.do !== 'start') return undefined
    await moves.beginRun(tables, record, handle, step.fresh, this.#s.clock.now())
    return { record, fresh: step.fresh }
  }

  /** Starts the run of this handle, or finds it: the runtime starts no run twice. */
  async #launch(record: Record, handle: RunHandle): Promise<void> {
    this.#s.changed(this.agentId)
    try {
      const spec: RunSpec = await this.#s.specOf(record.agent, handle.runId, record.life.start)
      this.#attach(record, await this.#s.runtime.start(spec), 0)
    } catch (error) {
      // Somebody still works at it: given up, it could come to life beside the next one.
      if (error instanceof RegentError && error.code === 'TIMED_OUT') throw error
      const reason = `could not be started: ${reasonOf(error)}`
      this.#s.logger.warn({ agent: this.agentId, run: handle.runId, reason }, 'a run could not be started')
      this.#ended = { runId: handle.runId, exit: { kind: 'lost', reason, at: this.#s.clock.now() } }
      return
    }
    const run = this.#run
    await this.#s.store.transaction(async (tables) => {
      const now = await loadRecord(tables, this.agentId)
      if (run && now && now.life.runId === handle.runId) await moves.noteStarted(tables, now, run.pid, run.startedAt, this.#s.clock.now())
    })
  }

  /** After a restart of Regent: the run of a live state is taken up again where it is. */
  async #findRun(record: Record): Promise<boolean> {
    const row = record.run
    if (!row) return this.#abandon()
    const handle = row.handle as unknown as RunHandle
    const run = await this.#s.runtime.reattach(handle)
    if (run) {
      this.#attach(record, run, this.#s.clock.now() - run.startedAt)
      if (record.agent.kind !== 'command') await this.#offerLink(run)
      await this.#s.adopted(record, run)
      return true
    }
    if (record.life.state === 'STARTING' && record.life.desired === 'running' && row.start === record.life.start) {
      await this.#launch(record, handle)
      return true
    }
    return this.#lost(row.pid === null ? 'it was not started' : 'no trace of its process is left', row.id)
  }

  /** Without it the runner does not find this Regent, so it is tried for as long as the run is ours. */
  async #offerLink(run: Run): Promise<void> {
    if (this.#closed || this.#run !== run) return
    try {
      await run.offerLink(this.#s.linkOf(run.handle.runId))
    } catch (error) {
      this.#s.logger.warn({ agent: this.agentId, error: reasonOf(error) }, 'a runner could not be told where Regent is; tried again soon')
      this.#s.clock.after(RETRY_MS, () => void this.#offerLink(run))
    }
  }

  /** A live state without a run: only a damaged record has it. */
  async #abandon(): Promise<boolean> {
    await this.#s.store.transaction(async (tables) => {
      const record = await loadRecord(tables, this.agentId)
      if (record && !record.run) await moves.abandon(tables, record, this.#s.clock.now())
    })
    return true
  }

  #lost(reason: string, runId: string): boolean {
    this.#ended = { runId, exit: { kind: 'lost', reason, at: this.#s.clock.now() } }
    return true
  }

  #attach({ agent }: Record, run: Run, ageMs: number): void {
    this.#run = run
    this.survivors = []
    this.#startedElapsed = this.#s.clock.elapsed() - Math.max(0, ageMs)
    this.#s.attached(agent, run, ageMs === 0)
    void run.exited.then((exit) => {
      if (this.#run !== run) return
      this.#ended = { runId: run.handle.runId, exit }
      void this.wake()
    })
  }

  async #promote(): Promise<boolean> {
    await this.#s.store.transaction(async (tables) => {
      const record = await loadRecord(tables, this.agentId)
      if (record && !this.#ended) await moves.becomeRunning(tables, record, this.#s.clock.now(), this.#run)
    })
    return true
  }

  async #stop(record: Record, step: Step & { do: 'stop' }): Promise<boolean> {
    const run = this.#run
    if (!run || record.life.state !== 'STOPPING') {
      await this.#s.store.transaction(async (tables) => {
        const now = await loadRecord(tables, this.agentId)
        if (now && this.#decide(now).do === 'stop') await moves.beginStop(tables, now, step.why, this.#s.clock.now())
      })
      return true
    }
    // A Regent before this one may have begun the stop.
    this.#stopElapsed ??= this.#s.clock.elapsed() - Math.max(0, this.#s.clock.now() - record.life.since)
    const turn = await stopTurn(record.agent, this.#s.clock.elapsed() - this.#stopElapsed, this.#s)
    if ('waitMs' in turn) {
      this.#timer(turn.waitMs)
      return false
    }
    this.#s.unwatch(this.agentId)
    const outcome = await run.stop({ signal: `SIG${record.agent.policy.stop_signal}`, graceMs: turn.graceMs })
    this.survivors = outcome.survivors
    this.#ended = { runId: run.handle.runId, exit: outcome.exit }
    return true
  }

  /** Ends a run that is unfit; it stays in its state until then, since its end is no stop that anybody asked for. */
  async #replace({ agent }: Record, why: string): Promise<boolean> {
    const run = this.#run
    if (!run || agent.policy.restart === 'never') {
      this.#unfit = undefined
      return true
    }
    this.#s.logger.warn({ agent: this.agentId, run: run.handle.runId, why }, 'a run is replaced')
    this.#s.watcher?.freeze(this.agentId)
    const { exit, survivors } = await run.stop({ signal: `SIG${agent.policy.stop_signal}`, graceMs: agent.policy.stop_grace * 1000 })
    this.survivors = survivors
    this.#ended = { runId: run.handle.runId, exit: { ...exit, unfit: why } }
    return true
  }

  /** Where a restart follows at once, the next run is put on record with the end of this one, and this one is removed behind it. */
  async #recordEnd(ended: { readonly runId: string; readonly exit: End }, record: Record): Promise<boolean> {
    if (this.#run) await endLeftovers(record, this.#run, ended.exit, this.#s)
    const next = this.#nextHandle(record, ended.exit)
    const ending = this.#endingOf(ended)
    const { delay, begun } = await this.#s.store.transaction(async (tables) => {
      const record = await loadRecord(tables, this.agentId)
      const delay = record && (await moves.endRun(tables, record, ending))
      return { delay, begun: delay === 0 && next && !record?.agent.policy.depends_on ? await this.#begin(tables, next) : undefined }
    })
    const run = this.#over(delay)
    if (!begun || !next) {
      if (delay !== 0) this.#backoff.dropTurn()
      if (run) await run.remove()
      return true
    }
    this.#backoff.end(begun.fresh)
    try {
      await this.#launch(begun.record, next)
    } finally {
      if (run) removeBehind(this.agentId, run, this.#s)
    }
    return true
  }

  #endingOf({ runId, exit }: { readonly runId: string; readonly exit: End }): moves.Ending {
    const { random, clock } = this.#s
    return { runId, exit, livedMs: this.#livedUntil(exit.at), random: random(), survivors: this.survivors, at: clock.now() }
  }

  /** Of the run that follows, where nothing but this end has to be on record before it; takes a place among the automatic restarts. */
  #nextHandle({ agent, life }: Record, exit: End): RunHandle | undefined {
    if (life.desired === 'stopped' || life.state === 'STOPPING' || this.#s.halting()) return undefined
    if (agent.policy.depends_on || !restarts(agent.policy, exit)) return undefined
    return this.#backoff.takeTurn() ? this.#s.runtime.handleOf(this.#s.ids.next()) : undefined
  }

  /** Nothing is known of a present run any more. */
  #over(delay: number | undefined): Run | undefined {
    const run = this.#run
    this.#backoff.begin(delay)
    this.#run = undefined
    this.#ended = undefined
    this.#unfit = undefined
    this.#s.unwatch(this.agentId)
    this.#stopElapsed = undefined
    this.#startedElapsed = this.#s.clock.elapsed()
    return run
  }

  #waitBackoff(life: LifeRow): boolean {
    const left = this.#backoff.left(life)
    if (left <= 0) return true
    this.#timer(left)
    return false
  }

  #armStartsecs({ agent, life }: Record): void {
    if (life.state === 'STARTING') this.#timer(Math.max(1, agent.policy.startsecs * 1000 - this.#aliveFor()))
  }

  /** What this process saw of its life; less where it ended before that, while Regent was down. */
  #livedUntil(exitAt: number): number {
    const recorded = exitAt - (this.#run?.startedAt ?? exitAt + 1)
    return recorded < 0 ? this.#aliveFor() : Math.min(this.#aliveFor(), recorded)
  }

  #aliveFor(): number {
    return this.#run ? this.#s.clock.elapsed() - this.#startedElapsed : 0
  }

  #timer(ms: number): void {
    this.#cancelTimer?.()
    this.#cancelTimer = this.#s.clock.after(ms, () => void this.wake())
  }

  #gone(): boolean {
    this.close()
    this.#s.forget(this.agentId)
    if (this.#agent) {
      this.#s.dependents.forget(this.#agent)
      this.#s.moved(this.#agent)
    }
    return false
  }
}
