import { randomUUID } from 'node:crypto'
import pg from 'pg'
import type { Names } from './client.ts'
import { isLost, isRefusal, lost, storeError } from './errors.ts'

const { escapeLiteral } = pg

export type Numbered = 'events' | 'messages'

export interface SessionOptions {
  readonly client: pg.Client
  readonly cut: () => void
  readonly names: Names
  readonly place: string
  readonly node: string
  /** Of the advisory lock that orders the commits of all Regents of the schema. */
  readonly commitKey: string
  /** Said to the other Regents with each commit. */
  readonly channel: string
  readonly caller: string
}

/**
 * The connection that writes. Statements are sent without waiting for the answers of those before them: one whose result nobody
 * needs costs no round trip, and its failure fails the transaction. Numbers are given here, under a lock that is held until the
 * commit is over: so they become visible in their order, whoever else writes.
 */
export class Session {
  readonly #o: SessionOptions
  isLost = false
  /** The first statement of this transaction that failed without anyone waiting for it. */
  #failure: unknown
  #unanswered = 0
  #wrote = false
  #turn = 0
  readonly #numbers = new Map<string, number>()
  #before: ReadonlyMap<string, number> = new Map()
  #saved: ReadonlyMap<string, number> = new Map()
  /** Stands in the database once the transaction whose commit was sent last is committed; undefined when it wrote nothing. */
  mark: string | undefined

  constructor(options: SessionOptions) {
    this.#o = options
    const { client } = options
    client.on('error', () => this.end())
    client.on('end', () => this.end())
  }

  /** Whether the database still works on something. */
  get isWaiting(): boolean {
    return this.#unanswered > 0
  }

  /** Cuts the connection. */
  end(): void {
    this.isLost = true
    this.#o.cut()
  }

  /** Takes leave of the server, which then gives the node free. */
  async leave(): Promise<void> {
    await this.#o.client.end().catch(() => {})
    this.end()
  }

  async query(text: string, values: readonly unknown[]): Promise<pg.QueryResult> {
    if (text === 'begin' || text === 'commit' || text === 'rollback') this.#turn++
    if (text === 'begin') return this.#begin()
    if (text === 'commit') return this.#commit()
    if (text === 'rollback') return this.#rollback()
    if (text.startsWith('savepoint ')) this.#saved = new Map(this.#numbers)
    else if (text.startsWith('rollback to ')) this.#restore()
    else if (!text.startsWith('select ')) this.#wrote = true
    return this.#answer(this.#send(text, values))
  }

  /** Which transaction is open, for `later` and `next`: work that ends late must not reach into another one. */
  get turn(): number {
    return this.#turn
  }

  later(turn: number, text: string, values: readonly unknown[]): void {
    this.#refuseLate(turn)
    this.#wrote = true
    this.#keepFailure(this.#send(text, values))
  }

  next(turn: number, table: Numbered): number {
    this.#refuseLate(turn)
    const number = (this.#numbers.get(table) ?? 0) + 1
    this.#numbers.set(table, number)
    return number
  }

  #refuseLate(turn: number): void {
    if (turn !== this.#turn) throw new Error('the transaction of this change is over')
  }

  async #begin(): Promise<pg.QueryResult> {
    this.#failure = undefined
    this.#wrote = false
    this.mark = undefined
    const text = `begin; select pg_advisory_xact_lock(${this.#o.commitKey}); select name, value from counters`
    try {
      // Several statements in one text: one result each.
      const results = (await this.#send(text, [])) as unknown as pg.QueryResult<{ name: string; value: number }>[]
      for (const { name, value } of results.at(-1)?.rows ?? []) this.#numbers.set(name, value)
      this.#before = new Map(this.#numbers)
      return results[0] as pg.QueryResult
    } catch (error) {
      if (!this.isLost) this.#send('rollback', []).catch(() => this.end())
      throw error
    }
  }

  /** All that belongs to a commit goes in one message. */
  async #commit(): Promise<pg.QueryResult> {
    if (!this.#wrote) return this.#answer(this.#send('commit', []))
    const { node, channel, caller } = this.#o
    this.mark = randomUUID()
    const counters = [...this.#numbers].filter(([name, value]) => value !== this.#before.get(name))
    const text = [
      ...counters.map(([name, value]) => `update counters set value = ${value} where name = ${escapeLiteral(name)}`),
      `update writers set last = ${escapeLiteral(this.mark)} where node = ${escapeLiteral(node)}`,
      `select pg_notify(${escapeLiteral(channel)}, ${escapeLiteral(caller)})`,
      'commit',
    ].join('; ')
    // Several statements in one text: one result each.
    const results = (await this.#answer(this.#send(text, []))) as unknown as pg.QueryResult[]
    return results.at(-1) as pg.QueryResult
  }

  async #rollback(): Promise<pg.QueryResult> {
    // Of a connection that is gone, the server rolls back by itself.
    const nothing = { command: 'ROLLBACK', rowCount: 0, rows: [], oid: 0, fields: [] }
    if (this.isLost) return nothing
    return this.#send('rollback', []).catch(() => {
      this.end()
      return nothing
    })
  }

  /** The numbers that a work took which is undone, and that its failure is none of the others'. */
  #restore(): void {
    this.#failure = undefined
    for (const [name, value] of this.#saved) this.#numbers.set(name, value)
  }

  /** What failed first is told, not that the transaction is of no use since. */
  async #answer(sent: Promise<pg.QueryResult>): Promise<pg.QueryResult> {
    const result = await sent.catch((error: unknown) => {
      throw this.#failure ?? error
    })
    if (this.#failure !== undefined) throw this.#failure
    return result
  }

  #keepFailure(sent: Promise<unknown>): void {
    sent.catch((error: unknown) => {
      this.#failure ??= error
    })
  }

  async #send(text: string, values: readonly unknown[]): Promise<pg.QueryResult> {
    const { client, names, place } = this.#o
    if (this.isLost) throw lost(`the connection to the database was lost: ${place}`, undefined)
    this.#unanswered++
    try {
      return await client.query(names.statement(text, values))
    } catch (thrown) {
      const error = storeError(thrown, place)
      if (isLost(error) || (!isRefusal(error) && isFatal(thrown))) this.end()
      throw error
    } finally {
      this.#unanswered--
    }
  }
}

const isFatal = (error: unknown): boolean => /^(FATAL|PANIC)$/.test(String((error as { severity?: unknown }).severity))
