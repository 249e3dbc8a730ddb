import { reasonOf } from '../../kernel/errors.ts'
import type { NewEvent, Tables } from '../../ports/store.ts'
import type { RaceRow, WorkerRow } from '../../ports/worker-store.ts'
import { insertWorker } from './create-worker.ts'
import { commandJudge, modelJudge } from './race-judges.ts'
import { type Attempt, asJson, attemptsOf, nextStep, type RaceStep } from './race-rules.ts'
import { isOpen } from './worker-moves.ts'
import { wantCancel } from './worker-operations.ts'
import type { WorkerParts } from './worker-parts.ts'

const RETRY_MS = 1000
const MOST_CLEANED = 100

/** Has each race's judges begin when their time has come, ends it when it is decided, and cleans up behind the losers. */
export class Races {
  readonly #p: WorkerParts
  readonly #busy = new Map<string, Promise<void>>()
  readonly #watchers = new Map<string, Set<() => void>>()
  /** Attempts whose folders have gone, of the last races that are over: it is looked again after each attempt that ends. */
  readonly #cleaned = new Map<string, Set<string>>()
  #closed = false

  constructor(parts: WorkerParts) {
    this.#p = parts
  }

  /** Takes up every race that is not over, and these, which may not have been cleaned up. */
  async recover(unclean: ReadonlySet<string>): Promise<void> {
    const open = await this.#p.store.read.races.open()
    for (const id of new Set([...open.map((race) => race.id), ...unclean])) this.look(id)
  }

  /** A worker has ended, or waits for its provider. */
  changed(row: WorkerRow): void {
    if (row.raceId !== null && !isOpen(row)) this.look(row.raceId)
  }

  /** Looks what is to be done next in a race; harmless at any time. */
  look(raceId: string): void {
    if (this.#closed) return
    const before = this.#busy.get(raceId) ?? Promise.resolve()
    const now = before.then(() => this.#work(raceId))
    this.#busy.set(raceId, now)
    void now.then(() => {
      if (this.#busy.get(raceId) === now) this.#busy.delete(raceId)
      for (const wake of [...(this.#watchers.get(raceId) ?? [])]) wake()
    })
  }

  /** Calls `wake` at each change of a race, until the function that this returns is called. */
  watch(raceId: string, wake: () => void): () => void {
    const watchers = this.#watchers.get(raceId) ?? new Set()
    this.#watchers.set(raceId, watchers.add(wake))
    return () => {
      watchers.delete(wake)
      if (watchers.size === 0) this.#watchers.delete(raceId)
    }
  }

  close(): void {
    this.#closed = true
  }

  async #work(raceId: string): Promise<void> {
    try {
      while (!this.#closed && (await this.#step(raceId)));
    } catch (error) {
      this.#p.logger.error({ race: raceId, error: reasonOf(error) }, 'a race could not go on; tried again soon')
      this.#p.clock.after(RETRY_MS, () => this.look(raceId))
    }
  }

  /** One step; false when nothing is left to do for now. */
  async #step(raceId: string): Promise<boolean> {
    const { store } = this.#p
    const race = await store.read.races.get(raceId)
    if (!race) return false
    const rows = await rowsOf(store.read, raceId)
    if (race.state !== 'running' && race.state !== 'judging') return this.#clean(race, rows)
    const step = nextStep(race, rows)
    switch (step.do) {
      case 'wait':
        return this.#note(race, step.attempts)
      case 'judge':
        return this.#judge(race, rows, step)
      case 'judge-all':
        return this.#judgeAll(race, rows, step.attempts)
      case 'end':
        return this.#end(race, step)
    }
  }

  /** Verdicts that became known are put on record and told. */
  async #note(race: RaceRow, attempts: readonly Attempt[]): Promise<boolean> {
    if (JSON.stringify(asJson(attempts)) === JSON.stringify(race.attempts)) return false
    await this.#write(race, { attempts: asJson(attempts) }, verdictEvents(race, attempts, this.#p.clock.now()))
    return false
  }

  async #judge(race: RaceRow, rows: ReadonlyMap<string, WorkerRow>, { attempts, which }: RaceStep & { do: 'judge' }): Promise<boolean> {
    const { ids, clock } = this.#p
    const judges: WorkerRow[] = []
    const told = [...attempts]
    for (const at of which) {
      const one = told[at]
      const attempt = one && rows.get(one.worker)
      if (!one || !attempt) continue
      const row = commandJudge(ids.random(), race, attempt, at + 1, clock.now())
      judges.push(row)
      told[at] = { ...one, judge: row.id }
    }
    await this.#begin(race, { attempts: asJson(told), state: 'judging', reason: 'attempts are being judged' }, judges)
    return false
  }

  async #judgeAll(race: RaceRow, rows: ReadonlyMap<string, WorkerRow>, attempts: readonly Attempt[]): Promise<boolean> {
    const { ids, clock } = this.#p
    const row = modelJudge(ids.random(), race, rows, clock.now())
    const change = {
      attempts: asJson(attempts),
      data: { ...race.data, judge: row.id },
      state: 'judging',
      reason: 'a model judges the answers',
    } as const
    await this.#begin(race, change, [row])
    return false
  }

  async #begin(race: RaceRow, change: Partial<Omit<RaceRow, 'id'>>, judges: readonly WorkerRow[]): Promise<void> {
    const begun = await this.#p.store.transaction(async (tables) => {
      if (!(await isSame(tables, race))) return false
      await tables.races.update(race.id, change)
      for (const judge of judges) await insertWorker(tables, judge, 'regent')
      return true
    })
    if (begun) for (const judge of judges) this.#p.workers.queued(judge)
  }

  async #end(race: RaceRow, { attempts, state, winner, reason }: RaceStep & { do: 'end' }): Promise<boolean> {
    const at = this.#p.clock.now()
    const type = state === 'decided' ? ('race.decided' as const) : ('race.failed' as const)
    const told = { ...raceEvent(race, type, at), data: { race: race.id, namespace: race.namespace, winner, reason } }
    await this.#write(race, { attempts: asJson(attempts), state, winner, reason, endedAt: at }, [
      ...verdictEvents(race, attempts, at),
      told,
    ])
    return true
  }

  async #write(race: RaceRow, change: Partial<Omit<RaceRow, 'id'>>, events: readonly NewEvent[]): Promise<void> {
    await this.#p.store.transaction(async (tables) => {
      if (!(await isSame(tables, race))) return
      await tables.races.update(race.id, change)
      await tables.events.appendAll(events)
    })
  }

  /** Of a race that is over: whoever still works is ended, and the losers' folders go. Nobody waits for their ends. */
  async #clean(race: RaceRow, rows: ReadonlyMap<string, WorkerRow>): Promise<boolean> {
    const { store, workers, worktrees, crews, logger } = this.#p
    const cleaned = this.#cleaned.get(race.id) ?? new Set()
    this.#cleaned.set(race.id, cleaned)
    for (const row of rows.values()) {
      // Somebody has gone on with it since.
      if (race.endedAt !== null && row.queuedAt > race.endedAt) continue
      if (isOpen(row)) {
        // It had answered, so this is another turn.
        if (row.id === race.winner) continue
        await store.transaction((tables) => wantCancel(this.#p, tables, row.id, 'regent'))
        const now = await store.read.workers.get(row.id)
        if (now?.wanted === 'cancel') workers.cancel(now)
        continue
      }
      if (row.branch !== null && row.id !== race.winner && !cleaned.has(row.id))
        await worktrees
          .remove(row.id)
          .catch((error: unknown) =>
            logger.warn({ worker: row.id, reason: reasonOf(error) }, 'the worktree of an attempt could not be removed'),
          )
      cleaned.add(row.id)
      if (row.claimed) continue
      const claimed = await store.transaction(async (tables) => {
        const now = await tables.workers.get(row.id)
        if (!now || isOpen(now) || now.turn !== row.turn) return false
        await tables.workers.update(row.id, { claimed: true })
        return true
      })
      if (claimed) crews.note({ ...row, claimed: true })
    }
    const [oldest] = this.#cleaned.keys()
    if (this.#cleaned.size > MOST_CLEANED && oldest !== undefined) this.#cleaned.delete(oldest)
    return false
  }
}

export async function rowsOf(tables: Tables, raceId: string): Promise<ReadonlyMap<string, WorkerRow>> {
  return new Map((await tables.workers.list({ raceId, limit: 500 })).map((row) => [row.id, row]))
}

/** Whether nobody ended it since it was read. */
async function isSame(tables: Tables, race: RaceRow): Promise<boolean> {
  const now = await tables.races.get(race.id)
  return now?.state === race.state
}

export const raceEvent = (
  race: Pick<RaceRow, 'id' | 'owner' | 'namespace'>,
  type: NewEvent['type'],
  at: number,
  actor = 'regent',
): NewEvent => ({
  ...{ at, type, agentId: null, agent: null, owner: race.owner, actor },
  data: { race: race.id, namespace: race.namespace },
})

function verdictEvents(race: RaceRow, attempts: readonly Attempt[], at: number): NewEvent[] {
  const before = attemptsOf(race)
  return attempts.flatMap((one, index) => {
    if (one.verdict === 'waiting' || one.verdict === before[index]?.verdict) return []
    const event = raceEvent(race, 'race.judged', at)
    return [{ ...event, agentId: one.worker, data: { ...event.data, worker_id: one.worker, verdict: one.verdict, score: one.score } }]
  })
}
