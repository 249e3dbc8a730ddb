import type { Clock } from '../../../kernel/clock.ts'
import { RegentError, reasonOf } from '../../../kernel/errors.ts'
import type { BusStatus } from '../../../ports/bus.ts'
import type { Link, OpenLink } from './open-link.ts'
import { explain, isForbidden, Refusal } from './refusal.ts'

const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 30_000
const TICK_MS = 250
const HEARTBEAT_MS = 2000
/** How long a command may be without an answer. */
const PATIENCE_MS = 4500
/** Answers that say that this server is of no use now. */
const unfit = ['READONLY', 'LOADING', 'MASTERDOWN']

export interface ConnectionOptions {
  readonly open: OpenLink
  readonly clock: Clock
  /** Whether one command's answer shows that those before it were answered: false for several nodes, of which one may hang. */
  readonly inOrder: boolean
  /** What commands of this connection may take beyond that, in ms: for those that wait at the server. */
  readonly blocking?: number
}

interface Waiting {
  readonly since: number
  readonly reject: (error: unknown) => void
}

/** Keeps one link to Redis: opens it again, with full jitter, when it is lost or gives no answer. */
export class Connection {
  readonly #o: ConnectionOptions
  readonly #clock: Clock
  readonly #waiting = new Set<Waiting>()
  readonly #listeners = new Set<(status: BusStatus) => void>()
  readonly #ended = new AbortController()
  #link: Link | undefined
  #next = Promise.withResolvers<Link>()
  #status: BusStatus
  #failed: unknown
  /** Links so far. */
  #epoch = 0
  #turn = 0
  #lastAnswer = 0
  #upSince = 0
  #lastTick = 0
  #stopTicking: (() => void) | undefined

  constructor(options: ConnectionOptions) {
    this.#o = options
    this.#clock = options.clock
    this.#status = { connected: false, since: this.#clock.now(), reason: 'not connected yet', reconnects: 0 }
    this.#next.promise.catch(() => {})
    void this.#connect()
    this.#tick()
  }

  get status(): BusStatus {
    return this.#status
  }

  get closed(): boolean {
    return this.#ended.signal.aborted
  }

  /** Counts the links: a change means that the connection was lost meanwhile. */
  get epoch(): number {
    return this.#epoch
  }

  /** For how long the link has been there, in ms; 0 without one. */
  get upFor(): number {
    return this.#link ? this.#clock.elapsed() - this.#upSince : 0
  }

  onStatus(listener: (status: BusStatus) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** Rejects with a Refusal, or UNAVAILABLE after 5 s at most. */
  async send(key: string | undefined, args: string[]): Promise<unknown> {
    const link = this.#link
    if (link) return this.#guarded(link, () => link.send(key, args))
    return this.#inTime(async (over) => {
      const next = await this.#soon()
      // Whoever asked was told that it was not sent.
      over.throwIfAborted()
      return this.#guarded(next, () => next.send(key, args))
    })
  }

  /** The link, however long it takes. Rejects when closed, when the signal aborts, or FORBIDDEN when the account is refused. */
  async up(signal?: AbortSignal): Promise<Link> {
    signal?.throwIfAborted()
    for (;;) {
      if (this.closed) throw closedError()
      if (this.#link) return this.#link
      if (isForbidden(this.#failed)) throw explain(this.#failed, 'the connection')
      const pause = new AbortController()
      const stop = () => pause.abort()
      signal?.addEventListener('abort', stop, { once: true })
      await Promise.race([this.#next.promise, this.#clock.sleep(TICK_MS, pause.signal)]).catch(() => {})
      signal?.removeEventListener('abort', stop)
      pause.abort()
      signal?.throwIfAborted()
    }
  }

  /** As `send`, for other work on the link of now; rejects at once without one. */
  async with<T>(work: (link: Link) => Promise<T>): Promise<T> {
    const link = this.#link
    if (!link) throw this.#awayError()
    return this.#guarded(link, () => work(link))
  }

  close(): void {
    if (this.closed) return
    this.#ended.abort()
    this.#stopTicking?.()
    this.#next.reject(closedError())
    this.#drop(closedError())
    this.#tell({ connected: false, reason: 'the bus is closed' })
  }

  /** The next link, if it comes soon; at once an error where it has been away for long. */
  async #soon(): Promise<Link> {
    if (this.closed) throw closedError()
    if (isForbidden(this.#failed) || this.#clock.now() - this.#status.since > PATIENCE_MS) throw this.#awayError()
    return this.#next.promise
  }

  async #inTime<T>(work: (over: AbortSignal) => Promise<T>): Promise<T> {
    const pause = new AbortController()
    const late = this.#clock.sleep(PATIENCE_MS, pause.signal).then(() => Promise.reject(this.#awayError()))
    late.catch(() => {})
    return Promise.race([work(pause.signal), late]).finally(() => pause.abort())
  }

  #guarded<T>(link: Link, work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { since: this.#clock.elapsed(), reject }
      this.#waiting.add(waiting)
      work().then(
        (value) => {
          this.#answered(waiting)
          resolve(value)
        },
        (error: unknown) => {
          if (!(error instanceof Refusal)) {
            this.#waiting.delete(waiting)
            this.#lost(link, error)
            return reject(this.#awayError(error))
          }
          this.#answered(waiting)
          if (unfit.includes(error.prefix)) this.#lost(link, error)
          return reject(error)
        },
      )
    })
  }

  #answered(waiting: Waiting): void {
    this.#waiting.delete(waiting)
    this.#lastAnswer = this.#clock.elapsed()
  }

  async #connect(): Promise<void> {
    for (let tries = 0; !this.closed; tries++) {
      if (tries > 0 || this.#epoch > 0) await this.#pause(tries)
      if (this.closed) return
      try {
        const link = await this.#open()
        if (this.closed) return link.destroy()
        return this.#have(link)
      } catch (error) {
        this.#failed = error
        this.#tell({ connected: false, reason: reasonOf(error) })
        // Waiting does not heal it.
        if (isForbidden(error)) this.#renewNext(this.#awayError())
      }
    }
  }

  async #open(): Promise<Link> {
    const seen: { link?: Link; lost?: unknown } = {}
    const link = await this.#o.open(this.#turn++, (error) => {
      seen.lost ??= error ?? new Error('the connection ended')
      if (seen.link) this.#lost(seen.link, seen.lost)
    })
    if (seen.lost !== undefined) {
      link.destroy()
      throw seen.lost
    }
    seen.link = link
    return link
  }

  #have(link: Link): void {
    this.#link = link
    this.#failed = undefined
    this.#epoch += 1
    this.#upSince = this.#clock.elapsed()
    this.#lastAnswer = this.#upSince
    this.#next.resolve(link)
    this.#tell({ connected: true, reason: null, reconnects: this.#epoch - 1 })
  }

  #lost(link: Link, error: unknown): void {
    if (this.#link !== link) return
    this.#renewNext(this.#awayError(error))
    this.#failed = error
    this.#drop(this.#awayError(error))
    this.#tell({ connected: false, reason: reasonOf(error) })
    if (!this.closed) void this.#connect()
  }

  /** Who waits for a link is told why there is none; others wait for the next. */
  #renewNext(why: unknown): void {
    this.#next.reject(why)
    this.#next = Promise.withResolvers()
    this.#next.promise.catch(() => {})
  }

  #drop(error: unknown): void {
    const link = this.#link
    this.#link = undefined
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const one of waiting) one.reject(error)
    link?.destroy()
  }

  /** Full jitter; the first try comes soon. */
  async #pause(tries: number): Promise<void> {
    const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** tries)
    const pause = tries === 0 ? Math.random() * FIRST_PAUSE_MS : FIRST_PAUSE_MS + Math.random() * (longest - FIRST_PAUSE_MS)
    await this.#clock.sleep(pause, this.#ended.signal).catch(() => {})
  }

  /** Finds a server that has stopped answering. */
  #tick(): void {
    const now = this.#clock.elapsed()
    // After a standstill of this process its answers may wait to be read.
    const awake = now - this.#lastTick < TICK_MS * 4
    this.#lastTick = now
    const [oldest] = this.#waiting
    const patience = PATIENCE_MS + (this.#o.blocking ?? 0)
    const silentSince = oldest && (this.#o.inOrder ? Math.max(oldest.since, this.#lastAnswer) : oldest.since)
    if (silentSince !== undefined && awake && now - silentSince > patience && this.#link)
      this.#lost(this.#link, new Error(`Redis has not answered for ${Math.round(patience / 100) / 10} s`))
    else if (this.#link && !oldest && now - this.#lastAnswer > HEARTBEAT_MS) this.send(undefined, ['PING']).catch(() => {})
    this.#stopTicking = this.#clock.after(TICK_MS, () => this.#tick())
  }

  #tell(change: Partial<BusStatus>): void {
    const before = this.#status
    const connected = change.connected ?? before.connected
    this.#status = { ...before, ...change, since: connected === before.connected ? before.since : this.#clock.now() }
    if (connected !== before.connected) for (const listener of this.#listeners) listener(this.#status)
  }

  #awayError(error: unknown = this.#failed): RegentError {
    const why = error === undefined ? '' : `: ${reasonOf(error)}`
    return new RegentError('UNAVAILABLE', `Redis is away${why}`, { retryAfter: 1 })
  }
}

const closedError = () => new RegentError('UNAVAILABLE', 'the bus is closed')
