import type { Clock } from '../../../kernel/clock.ts'
import { RegentError, reasonOf } from '../../../kernel/errors.ts'
import type { BusStatus } from '../../../ports/bus.ts'
import type { Connection } from './connection.ts'
import { StandingBy } from './refusal.ts'

const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 30_000
/** A connection that lasted so long was a good one: the next pause is a short one. */
const GOOD_MS = 10_000
const STANDBY_MS = 1000

export interface LinkOptions {
  /** Makes the nth connection, from 0, and whatever is asked on it first. Rejects for good with INVALID and FORBIDDEN. */
  readonly connect: (turn: number, signal: AbortSignal) => Promise<Connection>
  /** The connection is over. */
  readonly lost?: () => void
  readonly changed?: (status: BusStatus) => void
  readonly clock: Clock
  readonly random: () => number
}

/** Keeps a connection: makes it anew, with full jitter, until it is closed or refused for good. */
export class Link {
  readonly #options: LinkOptions
  readonly #stop = new AbortController()
  readonly #first = Promise.withResolvers<void>()
  #up = Promise.withResolvers<Connection>()
  #current: Connection | undefined
  #status: BusStatus
  #failed: unknown
  #wasUp = false
  readonly #ended: Promise<void>

  constructor(options: LinkOptions) {
    this.#options = options
    this.#status = { connected: false, since: options.clock.now(), reason: 'not connected yet', reconnects: 0 }
    this.#first.promise.catch(() => undefined)
    this.#up.promise.catch(() => undefined)
    this.#ended = this.#run()
  }

  get current(): Connection | undefined {
    return this.#current?.alive ? this.#current : undefined
  }

  get status(): BusStatus {
    return this.#status
  }

  /** Resolves when it was connected for the first time, or stands by; rejects when it is refused for good. */
  get settled(): Promise<void> {
    return this.#first.promise
  }

  /** The connection, waited for at most `withinMs`; then UNAVAILABLE with what is known of the reason. */
  async ready(withinMs: number, signal?: AbortSignal): Promise<Connection> {
    const { current } = this
    if (current) return current
    if (this.#failed !== undefined) throw this.#failed
    signal?.throwIfAborted()
    const late = Promise.withResolvers<never>()
    const cancel = this.#options.clock.after(withinMs, () => late.reject(this.#unavailable()))
    const abort = () => late.reject(signal?.reason)
    signal?.addEventListener('abort', abort, { once: true })
    return Promise.race([this.#up.promise, late.promise]).finally(() => {
      cancel()
      signal?.removeEventListener('abort', abort)
    })
  }

  async close(): Promise<void> {
    if (!this.#stop.signal.aborted) {
      this.#stop.abort(new RegentError('UNAVAILABLE', 'the bus is closed'))
      this.#up.reject(this.#stop.signal.reason)
      this.#first.reject(this.#stop.signal.reason)
    }
    await this.#current?.end()
    await this.#ended
  }

  async #run(): Promise<void> {
    const { clock, random } = this.#options
    let failures = 0
    for (let turn = 0; !this.#stopped; turn += 1) {
      const begun = clock.elapsed()
      const problem = await this.#live(turn)
      if (this.#stopped || this.#isFinal(problem)) return
      failures = clock.elapsed() - begun > GOOD_MS && !(problem instanceof Error) ? 0 : failures + 1
      const pause =
        problem instanceof StandingBy
          ? STANDBY_MS * (0.5 + random())
          : random() * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures - 1, 10))
      await clock.sleep(pause, this.#stop.signal).catch(() => undefined)
    }
  }

  get #stopped(): boolean {
    return this.#stop.signal.aborted
  }

  /** One connection from its beginning to its end; the answer is why it ended, or the error why there was none. */
  async #live(turn: number): Promise<unknown> {
    try {
      const connection = await this.#options.connect(turn, this.#stop.signal)
      this.#current = connection
      if (this.#stopped) await connection.end()
      else this.#tellUp(connection)
      return await connection.closed.then((reason) => this.#tellDown(reason))
    } catch (error) {
      if (error instanceof StandingBy) this.#first.resolve()
      this.#tellDown(reasonOf(error))
      return error
    }
  }

  #isFinal(problem: unknown): boolean {
    if (!(problem instanceof RegentError) || (problem.code !== 'INVALID' && problem.code !== 'FORBIDDEN')) return false
    this.#failed = problem
    this.#first.reject(problem)
    this.#up.reject(problem)
    return true
  }

  #tellUp(connection: Connection): void {
    if (!connection.alive) return
    const { reconnects } = this.#status
    this.#first.resolve()
    this.#up.resolve(connection)
    this.#tell({ connected: true, since: this.#options.clock.now(), reason: null, reconnects: this.#wasUp ? reconnects + 1 : reconnects })
    this.#wasUp = true
  }

  #tellDown(reason: string): string {
    this.#current = undefined
    if (!this.#stopped && this.#status.connected) this.#renewUp()
    this.#options.lost?.()
    const { connected, since, reconnects } = this.#status
    const next = {
      connected: false,
      since: connected ? this.#options.clock.now() : since,
      reason: this.#stopped ? 'the bus is closed' : reason,
      reconnects,
    }
    if (connected) this.#tell(next)
    else this.#status = next
    return reason
  }

  #renewUp(): void {
    this.#up = Promise.withResolvers()
    this.#up.promise.catch(() => undefined)
  }

  #tell(status: BusStatus): void {
    this.#status = status
    this.#options.changed?.(status)
  }

  #unavailable(): RegentError {
    return new RegentError('UNAVAILABLE', `the broker is away: ${this.#status.reason}`, { retryAfter: 1 })
  }
}
