import type { Clock } from '../../../kernel/clock.ts'
import { reasonOf } from '../../../kernel/errors.ts'
import { type Handler, type Incoming, MOST_BODY } from '../../../ports/bus.ts'
import type { RawMessage } from './library.ts'

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 10_000
/** Of how many messages it is remembered how often they failed, or that they are done with though the broker does not know. */
const MOST_REMEMBERED = 1000

/**
 * Where deliveries came from and are acknowledged. Dead once its channel is closed; what was not acknowledged goes back to the queue
 * then, all at once and in its order.
 */
export interface Session {
  readonly alive: boolean
  acknowledge(delivery: Delivery): void
}

export interface Delivery {
  readonly session: Session
  readonly raw: RawMessage
  readonly message: Incoming
}

export interface WorkOptions {
  readonly handler: Handler
  readonly concurrency: number
  readonly maxAttempts: number
  readonly clock: Clock
  /** Keeps a message that is given up; rejects when it could not be kept. */
  readonly bury: (delivery: Delivery, attempts: number, reason: string) => Promise<void>
}

/** Hands one subscription's deliveries to its handler, in order, at most `concurrency` at once, over all its channels. */
export class Work {
  readonly #options: WorkOptions
  readonly #stop = new AbortController()
  readonly #idle = Promise.withResolvers<void>()
  #queue: Delivery[] = []
  #busy = 0
  /** What is being handled, by id. */
  readonly #running = new Map<string, Promise<void>>()
  /** Attempts at messages whose channel was lost between two of them, by id. */
  readonly #failed = new Map<string, number>()
  /** Bodies that were handled when their channel was gone already, by id: the broker brings them again. */
  readonly #unacknowledged = new Map<string, string>()

  constructor(options: WorkOptions) {
    this.#options = options
  }

  /** Delivered to this client and not answered. */
  get size(): number {
    return this.#queue.length + this.#busy
  }

  take(delivery: Delivery): void {
    if (this.#stop.signal.aborted) return
    this.#queue.push(delivery)
    this.#pump()
  }

  /** What waits of a session that is gone comes again. */
  forget(session: Session): void {
    this.#queue = this.#queue.filter((delivery) => delivery.session !== session)
  }

  /** Lets go of what waits, tells the handlers, and resolves when none runs. */
  async close(): Promise<void> {
    this.#stop.abort(new Error('the subscription was closed'))
    this.#queue = []
    if (this.#busy === 0) this.#idle.resolve()
    await this.#idle.promise
  }

  #pump(): void {
    while (this.#busy < this.#options.concurrency) {
      const next = this.#queue.shift()
      if (!next) return
      this.#busy += 1
      void this.#handle(next)
    }
  }

  async #handle(delivery: Delivery): Promise<void> {
    const { id } = delivery.message
    // The same, from a channel that was lost meanwhile, may still be at work.
    for (let before = this.#running.get(id); before; before = this.#running.get(id)) await before
    const done = this.#settle(delivery)
    this.#running.set(id, done)
    await done
    this.#running.delete(id)
    this.#busy -= 1
    if (this.#busy === 0 && this.#stop.signal.aborted) this.#idle.resolve()
    this.#pump()
  }

  /** Never rejects. */
  async #settle(delivery: Delivery): Promise<void> {
    const { session, raw, message } = delivery
    if (!session.alive || this.#stop.signal.aborted) return
    if (raw.redelivered && this.#unacknowledged.get(message.id) === message.body) {
      this.#unacknowledged.delete(message.id)
      return session.acknowledge(delivery)
    }
    const handled = await this.#attempt(delivery)
    if (!handled) return
    this.#failed.delete(message.id)
    if (session.alive) return session.acknowledge(delivery)
    return this.untold(delivery)
  }

  /** Done with, though the broker does not know and brings it again. */
  untold({ message }: Delivery): void {
    remember(this.#unacknowledged, message.id, message.body)
  }

  /** Whether it is done with: handled, or buried. */
  async #attempt(delivery: Delivery): Promise<boolean> {
    const { session, message, raw } = delivery
    const { handler, maxAttempts, clock } = this.#options
    const { signal } = this.#stop
    let attempt = Math.max(message.attempt, (this.#failed.get(message.id) ?? 0) + 1)
    if (raw.body.length > MOST_BODY) return this.#bury(delivery, 0, `it has ${raw.body.length} bytes, the most is ${MOST_BODY}`)
    // One more than there are attempts, since the broker may have counted one that was only on its way to a handler.
    if (attempt > maxAttempts + 1) return this.#bury(delivery, attempt - 1, `its handler did not come to an end ${attempt - 1} times`)
    for (; ; attempt++) {
      try {
        await handler({ ...message, attempt }, signal)
        return true
      } catch (error) {
        if (signal.aborted) return false
        if (attempt >= maxAttempts) return this.#bury(delivery, attempt, reasonOf(error))
      }
      remember(this.#failed, message.id, attempt)
      if (!session.alive || !(await this.#pause(clock, attempt))) return false
      if (!session.alive) return false
    }
  }

  async #bury(delivery: Delivery, attempts: number, reason: string): Promise<boolean> {
    const { bury, clock } = this.#options
    for (let round = 1; delivery.session.alive; round++) {
      try {
        await bury(delivery, attempts, reason)
        return true
      } catch {
        if (!(await this.#pause(clock, round + 3))) return false
      }
    }
    return false
  }

  /** Whether it ended by itself. */
  async #pause(clock: Clock, round: number): Promise<boolean> {
    try {
      await clock.sleep(Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (round - 1)), this.#stop.signal)
      return true
    } catch {
      return false
    }
  }
}

function remember<T>(map: Map<string, T>, id: string, value: T): void {
  map.delete(id)
  map.set(id, value)
  const [oldest] = map.keys()
  if (map.size > MOST_REMEMBERED && oldest !== undefined) map.delete(oldest)
}
