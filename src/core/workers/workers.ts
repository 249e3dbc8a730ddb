import { reasonOf } from '../../kernel/errors.ts'
import type { TokenCount } from '../../ports/coding-agents.ts'
import type { WorkerRow } from '../../ports/worker-store.ts'
import { spentBy } from './budget.ts'
import type { Crews } from './crews.ts'
import { Queue } from './queue.ts'
import { type Keeping, WorkerKeeper } from './worker-keeper.ts'
import { isOpen } from './worker-moves.ts'
import type { Working } from './working.ts'

export interface WorkersOptions extends Working {
  readonly crews: Crews
  /** A worker was found again, and its questions with it. */
  readonly takenUp: (row: WorkerRow) => Promise<void>
  /** A turn is over, or waits for its provider. */
  readonly ended: (row: WorkerRow) => void
}

/** How long what an owner has spent is taken from memory. */
const SPENT_MS = 10_000

/** Every open worker, each with its keeper, and the queue that decides who starts. Ended ones are in the store alone. */
export class Workers {
  readonly #o: WorkersOptions
  readonly #queue: Queue
  readonly #keepers = new Map<string, WorkerKeeper>()
  readonly #byRun = new Map<string, WorkerKeeper>()
  readonly #keeping: Keeping
  readonly #watchers = new Map<string, Set<(row: WorkerRow) => void>>()
  /** Tokens of the runs that go on, by worker, and what their owners had spent before. */
  readonly #live = new Map<string, { readonly owner: string; readonly tokens: number }>()
  readonly #spent = new Map<string, { readonly at: number; readonly tokens: Promise<number> }>()
  /** Those that are being forgotten. */
  readonly forgetting = new Set<string>()
  #closed = false
  #recovered = false

  constructor(options: WorkersOptions) {
    this.#o = options
    this.#queue = new Queue(options.workerLimits)
    this.#keeping = { ...options, changed: (row) => this.#changed(row), counted: (row, tokens) => this.#counted(row, tokens) }
  }

  /** Takes up every open worker and every end that nobody has claimed. Resolves once each live run is found or given up. */
  async recover(): Promise<{ adopted: number; races: ReadonlySet<string> }> {
    const { store, crews } = this.#o
    const ends = await this.#unclaimedEnds()
    for (const row of ends) crews.note(row)
    const rows = await store.read.workers.open()
    for (const row of rows) {
      crews.note(row)
      this.#keep(row)
      if (row.state === 'queued') this.#queue.add(row)
      if (row.state === 'running') this.#queue.occupy(row)
    }
    await Promise.all(rows.map((row) => this.#takeUp(row)))
    this.#recovered = true
    this.#schedule()
    return {
      adopted: [...this.#keepers.values()].filter(({ row }) => row.state === 'running').length,
      races: new Set([...ends, ...rows].flatMap(({ raceId }) => raceId ?? [])),
    }
  }

  /** Those that are queued, run, or wait for their provider. */
  get open(): number {
    return this.#keepers.size
  }

  get counts(): { readonly waiting: number; readonly running: number } {
    return this.#queue.size
  }

  whyQueued(row: WorkerRow): string | undefined {
    return this.#queue.why(row)
  }

  /** The live worker of a run. */
  byRun(runId: string): WorkerRow | undefined {
    const row = this.#byRun.get(runId)?.row
    return row?.state === 'running' && row.runId === runId ? row : undefined
  }

  /** To be called once a new worker, or a new turn of one, is on record. */
  queued(row: WorkerRow): void {
    if (this.#closed) return
    const known = this.#keepers.get(row.id)
    if (known && known.row.turn < row.turn) this.#leave(known)
    this.#keep(row)
    this.#changed(row)
  }

  /** To be called once it is on record that a worker is to be ended. */
  cancel(row: WorkerRow): void {
    this.#keepers.get(row.id)?.cancel(row)
  }

  /** Calls `look` at each change of a worker, until the function that this returns is called. */
  watch(id: string, look: (row: WorkerRow) => void): () => void {
    const watchers = this.#watchers.get(id) ?? new Set()
    this.#watchers.set(id, watchers.add(look))
    return () => {
      watchers.delete(look)
      if (watchers.size === 0) this.#watchers.delete(id)
    }
  }

  close(): void {
    this.#closed = true
    for (const keeper of this.#keepers.values()) keeper.close()
  }

  async #unclaimedEnds(): Promise<WorkerRow[]> {
    const states = ['completed', 'failed', 'cancelled'] as const
    const rows: WorkerRow[] = []
    for (let after: WorkerRow | undefined; ; ) {
      const page = await this.#o.store.read.workers.list({ claimed: false, states, limit: 500, ...(after && { after }) })
      rows.push(...page)
      after = page.at(-1)
      if (page.length < 500) return rows.sort((one, other) => (one.endedAt ?? 0) - (other.endedAt ?? 0))
    }
  }

  async #takeUp(row: WorkerRow): Promise<void> {
    const keeper = this.#keepers.get(row.id)
    if (!keeper) return
    this.#index(keeper, row)
    await this.#o.takenUp(row)
    await keeper.takeUp()
    if (row.wanted === 'cancel') keeper.cancel(row)
  }

  #keep(row: WorkerRow): WorkerKeeper {
    const known = this.#keepers.get(row.id)
    if (known) return known
    const keeper = new WorkerKeeper(this.#keeping, row)
    this.#keepers.set(row.id, keeper)
    return keeper
  }

  /** It is of a turn before this one, whose end has been put on record and not been told here yet. */
  #leave(keeper: WorkerKeeper): void {
    keeper.close()
    this.#keepers.delete(keeper.id)
    this.#queue.remove(keeper.id)
    this.#live.delete(keeper.id)
    if (keeper.runId !== null) this.#byRun.delete(keeper.runId)
  }

  #index(keeper: WorkerKeeper, row: WorkerRow): void {
    if (row.runId !== null) this.#byRun.set(row.runId, keeper)
  }

  #changed(row: WorkerRow): void {
    const { crews } = this.#o
    const keeper = this.#keepers.get(row.id)
    // What a keeper tells of a turn that is over, where another has begun.
    if (keeper && keeper.row.turn > row.turn) return
    if (keeper && row.state === 'running') this.#index(keeper, row)
    if (row.state === 'queued') this.#queue.add(row)
    if (row.state !== 'queued' && row.state !== 'running') this.#over(row)
    crews.note(row)
    for (const look of [...(this.#watchers.get(row.id) ?? [])]) look(row)
    this.#schedule()
  }

  #over(row: WorkerRow): void {
    this.#queue.remove(row.id)
    this.#live.delete(row.id)
    this.#spent.delete(row.owner)
    if (row.runId !== null) this.#byRun.delete(row.runId)
    if (!isOpen(row)) {
      this.#keepers.get(row.id)?.close()
      this.#keepers.delete(row.id)
    }
    this.#o.ended(row)
  }

  #schedule(): void {
    if (this.#closed || !this.#recovered) return
    for (let id = this.#queue.take(); id !== undefined; id = this.#queue.take()) this.#keepers.get(id)?.start()
  }

  /** The owner's budget in tokens binds what runs now, too. */
  #counted({ id, owner }: WorkerRow, { input, output }: TokenCount): void {
    const most = this.#o.workerLimits.ownerBudget.tokens
    this.#live.set(id, { owner, tokens: input + output })
    if (most === null) return
    void this.#spentTokens(owner).then(
      (spent) => {
        const running = [...this.#live].filter(([, one]) => one.owner === owner)
        if (spent + running.reduce((sum, [, { tokens }]) => sum + tokens, 0) <= most) return
        for (const [worker] of running)
          void this.#keepers.get(worker)?.end({ why: 'budget', message: `the budget of ${owner} in tokens is spent` })
      },
      (error: unknown) => this.#o.logger.warn({ owner, reason: reasonOf(error) }, 'what an owner has spent could not be read'),
    )
  }

  #spentTokens(owner: string): Promise<number> {
    const { clock, store } = this.#o
    const known = this.#spent.get(owner)
    if (known && clock.elapsed() - known.at < SPENT_MS) return known.tokens
    const tokens = spentBy(store.read, owner, clock.now()).then((spent) => spent.tokens)
    this.#spent.set(owner, { at: clock.elapsed(), tokens })
    return tokens
  }
}
