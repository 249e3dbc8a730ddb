import { randomUUID } from 'node:crypto'
import pg from 'pg'
import type { Clock } from '../../../kernel/clock.ts'
import { RegentError, reasonOf } from '../../../kernel/errors.ts'
import type { Logger } from '../../../kernel/logger.ts'
import { channelOf, lockKey, type PostgresAddress } from './address.ts'
import { type Names, newClient, setUp } from './client.ts'
import { isLost, lost, storeError } from './errors.ts'
import { Session } from './session.ts'

export interface WriterOptions {
  readonly address: PostgresAddress
  /** At most one Regent writes for a node. */
  readonly node: string
  readonly names: Names
  readonly clock: Clock
  readonly logger: Logger
  /** Called when something was committed by another Regent, or may have been. */
  readonly onOthers: () => void
}

/** A server process that was ours. */
interface Backend {
  readonly pid: number
  readonly since: string
}

/** How long it is asked whether a commit whose answer was lost has happened, in ms. */
const FIND_OUT_MS = 10_000
const LEAVE_MS = 2000
const PAUSES_MS = [100, 250, 500, 1000, 2000, 5000]

/** Keeps the one writing connection, which holds the node's lock and hears of others' commits, and makes it anew when it is lost. */
export class Writer {
  readonly #o: WriterOptions
  readonly #channel: string
  readonly #nodeKey: string
  readonly #caller = randomUUID()
  #session: Session | undefined
  #opening: Promise<Session> | undefined
  #past: Backend | undefined
  #wakeUp = () => {}
  #closed = false

  constructor(options: WriterOptions) {
    this.#o = options
    this.#channel = channelOf(options.address)
    this.#nodeKey = lockKey('regent node', options.address.schema, options.node)
  }

  /** Throws UNAVAILABLE within bounded time when there is none and none can be made. */
  async session(): Promise<Session> {
    if (this.#closed) throw new RegentError('UNAVAILABLE', 'the store is closed')
    if (this.#session && !this.#session.isLost) return this.#session
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined
    })
    return this.#opening
  }

  get isWaiting(): boolean {
    return this.#session?.isWaiting === true
  }

  /**
   * Whether the transaction whose commit failed is committed all the same: the answer may have been lost on its way. By then the
   * server process that worked on it has ended, so that the answer stays true. undefined when nobody could be asked.
   */
  async wasCommitted(session: Session): Promise<boolean | undefined> {
    const { mark } = session
    if (mark === undefined || !session.isLost) return false
    const { clock, node } = this.#o
    const until = clock.elapsed() + FIND_OUT_MS
    for (let at = 0; ; at++) {
      try {
        const { rows } = await (await this.session()).query('select last from writers where node = $1', [node])
        return rows[0]?.last === mark
      } catch (error) {
        const pause = PAUSES_MS[Math.min(at, PAUSES_MS.length - 1)] ?? 0
        if (!isLost(error) || clock.elapsed() + pause >= until) return undefined
        await clock.sleep(pause)
      }
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#wakeUp()
    await this.#opening?.catch(() => {})
    const session = this.#session
    if (!session || session.isLost) return
    const cancel = this.#o.clock.after(LEAVE_MS, () => session.end())
    await session.leave()
    cancel()
  }

  async #open(): Promise<Session> {
    const { address, names, node } = this.#o
    const { client, cut } = newClient(address, `writer of ${node}`, { pipeline: true })
    const session = new Session({
      ...{ client, cut, names, node },
      place: address.place,
      commitKey: lockKey('regent commit', address.schema),
      channel: this.#channel,
      caller: this.#caller,
    })
    try {
      await client.connect()
      await this.#prepare(client)
    } catch (error) {
      session.end()
      throw storeError(error, address.place)
    }
    if (session.isLost || this.#closed) {
      session.end()
      throw lost(`the connection to the database was lost: ${address.place}`, undefined)
    }
    client.on('end', () => this.#lost(session))
    client.on('notification', ({ payload }) => {
      if (payload !== this.#caller) this.#o.onOthers()
    })
    const isFirst = this.#session === undefined
    this.#session = session
    if (!isFirst) {
      this.#o.logger.info({ store: address.place }, 'the database is there again')
      // Calls of others may have been missed, and an own commit whose answer was lost.
      this.#o.onOthers()
    }
    return session
  }

  /** In as few messages as can be: a database that is slow is slow here too. */
  async #prepare(client: pg.Client): Promise<void> {
    const { address, node } = this.#o
    const past = this.#past
    const [standby] = await all<{ standby: boolean }>(client, [
      'select pg_is_in_recovery() as standby',
      ...(past
        ? [`select pg_terminate_backend(pid) from pg_stat_activity where pid = ${past.pid} and backend_start = '${past.since}'`]
        : []),
      setUp(address),
    ])
    if (standby?.rows[0]?.standby === true) throw lost(`a standby answers, which takes no writes: ${address.place}`, undefined)
    await this.#takeNode(client)
    const [own] = await all<Backend>(client, [
      'select pid, backend_start::text as since from pg_stat_activity where pid = pg_backend_pid()',
      `insert into writers (node, last) values (${pg.escapeLiteral(node)}, '') on conflict (node) do nothing`,
      `listen ${this.#channel}`,
    ])
    this.#past = own?.rows[0]
  }

  /** Waits a little for the server to notice that a Regent which is gone is gone. */
  async #takeNode(client: pg.Client): Promise<void> {
    const { address, node } = this.#o
    try {
      await client.query(`select pg_advisory_lock(${this.#nodeKey})`)
    } catch (error) {
      if (storeError(error, '').details.what !== 'lock') throw error
      const holder = await holderOf(client, this.#nodeKey)
      throw new RegentError('UNAVAILABLE', `another Regent writes for the node '${node}' in this database: ${holder} (${address.place})`, {
        hint: 'Stop it first, or give this Regent a schema of its own: add ?schema=NAME to the database URL.',
        retryAfter: 5,
        details: { what: 'node' },
        cause: error,
      })
    }
  }

  #lost(session: Session): void {
    if (this.#closed || session !== this.#session) return
    this.#o.logger.warn({ store: this.#o.address.place }, 'the connection to the database was lost')
    void this.#comeBack()
  }

  /** Also when nobody writes: the node must stay held, and the commits of others be heard. */
  async #comeBack(): Promise<void> {
    for (let at = 0; !this.#closed && this.#session?.isLost; at++) {
      await new Promise<void>((resolve) => {
        const cancel = this.#o.clock.after(PAUSES_MS[Math.min(at, PAUSES_MS.length - 1)] ?? 0, resolve)
        this.#wakeUp = () => {
          cancel()
          resolve()
        }
      })
      if (this.#closed) return
      await this.session().catch((error: unknown) => this.#o.logger.warn({ reason: reasonOf(error) }, 'the database is not there yet'))
    }
  }
}

/** One message; one result for each statement. */
async function all<Row extends pg.QueryResultRow>(client: pg.Client, statements: readonly string[]): Promise<pg.QueryResult<Row>[]> {
  return (await client.query<Row>(statements.join('; '))) as unknown as pg.QueryResult<Row>[]
}

async function holderOf(client: pg.Client, key: string): Promise<string> {
  const text = `select application_name as name, client_addr::text as address from pg_locks join pg_stat_activity using (pid)
    where locktype = 'advisory' and granted and objsubid = 1 and (classid::bigint << 32) | objid::bigint = ${key}`
  const { rows } = await client.query<{ name: string; address: string | null }>(text).catch(() => ({ rows: [] }))
  const [holder] = rows
  return holder === undefined ? 'it cannot be seen which' : `${holder.name}${holder.address === null ? '' : ` from ${holder.address}`}`
}
