import { type ControlledTransaction, sql } from 'kysely'
import type { Clock } from '../../../kernel/clock.ts'
import { RegentError, reasonOf } from '../../../kernel/errors.ts'
import type { Logger } from '../../../kernel/logger.ts'
import type { EventRow, Tables } from '../../../ports/store.ts'
import type { Schema } from './schema.ts'

type Transaction = ControlledTransaction<Schema>

interface Waiting {
  readonly work: (tables: Tables) => Promise<unknown>
  /** Elapsed ms at which it came, and how long it waits for another program's lock, in ms. */
  readonly since: number
  readonly patience: number
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

type Outcome = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: unknown }

/** Thrown when the work that runs has not ended in time; nothing else of its transaction may be committed then. */
class Overdue extends Error {}

export interface GroupCommitOptions {
  /** Opens a transaction on the one writing connection, or throws at once. */
  readonly begin: () => Promise<Transaction>
  /** `isolated`: each work stands in a savepoint of its own. */
  readonly tables: (transaction: Transaction, isolated: boolean) => Tables
  /** Whether `begin` failed because another program holds the database: it is then tried again. */
  readonly isBusy?: (error: unknown) => boolean
  /** Called when the disk is full; true when another try may now succeed. */
  readonly makeRoom?: () => boolean
  /** What a database on the other side of a network adds. */
  readonly remote?: RemoteDatabase
  /** Makes what was committed until now durable, outside of this thread. Without it a commit is durable by itself. */
  readonly sync?: () => Promise<void>
  /** What the transaction that `tables` were made for last appended, where that is known. */
  readonly appended?: () => readonly EventRow[] | undefined
  readonly clock: Clock
  readonly logger: Logger
  /** Works in one transaction. */
  readonly batch?: number
  /** Works that wait; more are refused with UNAVAILABLE. */
  readonly queue?: number
  /** How long the works of one transaction may take, in ms. */
  readonly deadline?: number
  /** How long a work waits for another program that holds the database, in ms. */
  readonly patience?: number
  /** How long a work may wait for its turn where the database is slow, in ms; then it is refused with TIMED_OUT. */
  readonly longest?: number
}

export interface RemoteDatabase {
  /** Whether the connection is gone, and the transaction with it. */
  readonly isLost: (error: unknown) => boolean
  /** Whether the database still works on a statement. */
  readonly isSlow: () => boolean
  /** Whether the last transaction was committed, though its commit failed; undefined when that cannot be found out. */
  readonly wasCommitted: () => Promise<boolean | undefined>
}

type Hooks = 'remote' | 'sync' | 'appended'
type Settings = Required<Omit<GroupCommitOptions, Hooks>> & Pick<GroupCommitOptions, Hooks>

const LOCK_PAUSE_MS = 25
/** How long a work may wait for others to come along while the process is busy anyway, and the length of a turn that was idle. */
const GATHER_MS = 2
const IDLE_TURN_MS = 0.05
/** While the disk works on the last commit, the next waits for so many works. */
const WORTH_A_COMMIT = 32

/**
 * Puts the works that arrive in one turn of the event loop, or in a few busy ones, into one transaction. When one of them fails, all
 * are rolled back and run again in a transaction with a savepoint each; when that cannot be committed either, one by one.
 */
export class GroupCommit {
  readonly #options: Settings
  readonly #listeners: ((events?: readonly EventRow[]) => void)[] = []
  #queue: Waiting[] = []
  #draining: Promise<void> | undefined
  #closed = false
  /** Works in the next transaction: fewer than a batch where the database is slow. */
  #size: number
  /** Until the last commit is on the disk. */
  #syncing: Promise<void> | undefined

  constructor(options: GroupCommitOptions) {
    const nothing = { isBusy: () => false, makeRoom: () => false }
    this.#options = { batch: 128, queue: 10_000, deadline: 10_000, patience: 5000, longest: 15_000, ...nothing, ...options }
    this.#size = this.#options.batch
  }

  run<T>(work: (tables: Tables) => Promise<T>, patience = this.#options.patience): Promise<T> {
    if (this.#closed) return Promise.reject(new RegentError('UNAVAILABLE', 'the store is closed'))
    if (this.#queue.length >= this.#options.queue) {
      return Promise.reject(new RegentError('UNAVAILABLE', `${this.#queue.length} changes already wait for the store`, { retryAfter: 1 }))
    }
    return new Promise<T>((resolve, reject) => {
      const since = this.#options.clock.elapsed()
      this.#queue.push({ work, since, patience, resolve: resolve as (value: unknown) => void, reject })
      this.#draining ??= this.#drain()
    })
  }

  onCommit(listener: (events?: readonly EventRow[]) => void): void {
    this.#listeners.push(listener)
  }

  /** Takes no more; resolves when all that was taken is settled. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#draining
    await this.#syncing
  }

  async #drain(): Promise<void> {
    await this.#gather()
    while (this.#queue.length > 0) {
      if (this.#queue.length < WORTH_A_COMMIT) await this.#syncing
      this.#refuseOld()
      const transaction = await this.#begin(this.#queue)
      if (transaction && (await this.#commit(transaction, this.#queue.splice(0, this.#size)))) this.announce()
      await this.#gather()
    }
    this.#draining = undefined
  }

  /**
   * A commit blocks the process for as long as the disk takes, so while there is other work to do, which may bring more to commit,
   * that goes first. Who works alone leaves nothing else to do, and waits for nothing.
   */
  async #gather(): Promise<void> {
    const { clock, batch } = this.#options
    let turn = clock.elapsed()
    await nextTurn()
    const latest = (this.#queue[0]?.since ?? turn) + GATHER_MS
    for (;;) {
      const now = clock.elapsed()
      if (now - turn < IDLE_TURN_MS || now >= latest || this.#queue.length >= batch || this.#queue.length === 0) return
      turn = now
      await nextTurn()
    }
  }

  /** Where the database is slow or comes and goes, a work may have waited through the transactions of many others. */
  #refuseOld(): void {
    const { remote, clock, longest } = this.#options
    const latest = clock.elapsed() - longest
    if (!remote || (this.#queue[0]?.since ?? Number.POSITIVE_INFINITY) >= latest) return
    const old = this.#queue.filter(({ since }) => since < latest)
    this.#queue = this.#queue.filter(({ since }) => since >= latest)
    refuse(old, slow())
  }

  /** undefined once nobody waits for it any more: who has waited too long for another program's lock is refused, the others wait on. */
  async #begin(waiting: Waiting[]): Promise<Transaction | undefined> {
    const { begin, isBusy, clock } = this.#options
    while (waiting.length > 0) {
      try {
        return await begin()
      } catch (error) {
        const now = clock.elapsed()
        const patient = isBusy(error) ? waiting.filter((one) => now - one.since < one.patience) : []
        const refused = waiting.filter((one) => !patient.includes(one))
        waiting.splice(0, waiting.length, ...patient)
        for (const one of refused) one.reject(error)
        if (patient.length > 0) await clock.sleep(LOCK_PAUSE_MS)
      }
    }
    return undefined
  }

  async #retry(batch: readonly Waiting[], isolated: boolean): Promise<boolean> {
    const waiting = [...batch]
    const transaction = await this.#begin(waiting)
    return transaction !== undefined && this.#commit(transaction, waiting, isolated, true)
  }

  /** Settles every work of the batch; true when something was committed. Never rejects. */
  async #commit(transaction: Transaction, batch: readonly Waiting[], isolated = false, again = false): Promise<boolean> {
    const { remote, makeRoom, batch: most } = this.#options
    const outcomes: Outcome[] = []
    let isCommitting = false
    try {
      await this.#runAll(transaction, batch, isolated, outcomes)
      isCommitting = outcomes.some((outcome) => outcome.ok)
      if (!isCommitting) await this.#rollback(transaction)
      else await transaction.commit().execute()
    } catch (error) {
      if (error instanceof Overdue && remote?.isSlow()) return this.#shorten(transaction, batch, outcomes.length)
      await this.#rollback(transaction)
      const happened = isCommitting && remote ? await remote.wasCommitted() : false
      if (happened === undefined) return refuse(batch, unknown(error))
      if (!happened) {
        if (remote?.isLost(error)) return again ? refuse(batch, error) : this.#retry(batch, isolated)
        if (!again && isFull(error) && makeRoom()) return this.#retry(batch, isolated)
        return this.#again(batch, isolated, outcomes.length, error)
      }
    }
    this.#size = Math.min(most, this.#size * 2)
    const told = () => {
      for (const [at, one] of batch.entries()) settle(one, outcomes[at])
    }
    if (isCommitting && this.#options.sync) return this.#synced(this.#options.sync, batch, told)
    told()
    return outcomes.some((outcome) => outcome.ok)
  }

  /** Callers and listeners hear of a commit when it is on the disk, in the order of the commits; meanwhile the next one may be made. */
  #synced(sync: () => Promise<void>, batch: readonly Waiting[], told: () => void): false {
    const before = this.#syncing
    const events = this.#options.appended?.()
    const synced = sync()
      .finally(() => before)
      .then(
        () => {
          told()
          this.announce(events)
        },
        (error: unknown) => void refuse(batch, error),
      )
      .finally(() => {
        if (this.#syncing === synced) this.#syncing = undefined
      })
    this.#syncing = synced
    return false
  }

  /** The database is too slow for so many works in one transaction: the next takes fewer, and nobody waits for ever. */
  async #shorten(transaction: Transaction, batch: readonly Waiting[], done: number): Promise<boolean> {
    await this.#rollback(transaction)
    const [first, ...others] = batch
    this.#size = Math.max(1, Math.min(done, batch.length - 1))
    if (done === 0) first?.reject(slow())
    this.#queue.unshift(...(done === 0 ? others : batch))
    return false
  }

  async #again(batch: readonly Waiting[], isolated: boolean, failedAt: number, error: unknown): Promise<boolean> {
    if (error instanceof Overdue) {
      batch[failedAt]?.reject(new RegentError('INTERNAL', 'a change took too long inside its transaction and was rolled back'))
      const others = batch.filter((_, at) => at !== failedAt)
      return others.length > 0 && this.#retry(others, isolated)
    }
    if (batch.length === 1) {
      batch[0]?.reject(error)
      return false
    }
    if (!isolated) return this.#retry(batch, true)
    let committed = false
    for (const one of batch) committed = (await this.#retry([one], false)) || committed
    return committed
  }

  /** Fills `outcomes` in order, so that its length tells how far it came when it throws. */
  async #runAll(transaction: Transaction, batch: readonly Waiting[], isolated: boolean, outcomes: Outcome[]): Promise<void> {
    const tables = this.#options.tables(transaction, isolated)
    const overdue = Promise.withResolvers<never>()
    overdue.promise.catch(() => {})
    const cancel = this.#options.clock.after(this.#options.deadline, () => overdue.reject(new Overdue()))
    try {
      for (const { work } of batch) {
        if (isolated) outcomes.push(await isolate(transaction, () => Promise.race([work(tables), overdue.promise])))
        else outcomes.push({ ok: true, value: await Promise.race([work(tables), overdue.promise]) })
      }
    } finally {
      cancel()
    }
  }

  async #rollback(transaction: Transaction): Promise<void> {
    try {
      if (!transaction.isCommitted && !transaction.isRolledBack) await transaction.rollback().execute()
    } catch (error) {
      this.#options.logger.error({ reason: reasonOf(error) }, 'a transaction could not be rolled back')
    }
  }

  /** Tells the listeners, also of what others committed. */
  announce(events?: readonly EventRow[]): void {
    for (const listener of this.#listeners) {
      try {
        listener(events)
      } catch (error) {
        this.#options.logger.error({ reason: reasonOf(error) }, 'a listener for commits failed')
      }
    }
  }
}

async function isolate(transaction: Transaction, work: () => Promise<unknown>): Promise<Outcome> {
  await sql`savepoint one`.execute(transaction)
  try {
    const value = await work()
    await sql`release savepoint one`.execute(transaction)
    return { ok: true, value }
  } catch (error) {
    if (error instanceof Overdue) throw error
    await sql`rollback to savepoint one`.execute(transaction)
    await sql`release savepoint one`.execute(transaction)
    return { ok: false, error }
  }
}

const isFull = (error: unknown): boolean => error instanceof RegentError && error.code === 'NO_SPACE'

const slow = () => new RegentError('TIMED_OUT', 'the database is too slow: the change was not made', { retryAfter: 5 })

const unknown = (cause: unknown) =>
  new RegentError('UNAVAILABLE', 'the database was lost in a commit, and it could not be found out whether the change was made', {
    hint: 'Look, or ask again with the same idempotency key: what was made is not made twice.',
    retryAfter: 5,
    cause,
  })

function refuse(batch: readonly Waiting[], error: unknown): false {
  for (const one of batch) one.reject(error)
  return false
}

function settle(one: Waiting, outcome: Outcome | undefined): void {
  if (outcome?.ok) one.resolve(outcome.value)
  else one.reject(outcome?.error)
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
