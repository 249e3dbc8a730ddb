import type { Clock } from '../../../kernel/clock.ts'
import { reasonOf } from '../../../kernel/errors.ts'
import type { Handler, Incoming } from '../../../ports/bus.ts'
import type { Delivery } from './delivery.ts'

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 10_000

export interface MemberOptions {
  readonly handler: Handler
  readonly concurrency: number
  readonly maxAttempts: number
  readonly exclusive: boolean
}

class Member {
  readonly options: MemberOptions
  readonly stop = new AbortController()
  busy = 0
  readonly #idle = Promise.withResolvers<void>()

  constructor(options: MemberOptions) {
    this.options = options
  }

  get free(): boolean {
    return !this.stop.signal.aborted && this.busy < this.options.concurrency
  }

  settleIdle(): void {
    if (this.stop.signal.aborted && this.busy === 0) this.#idle.resolve()
  }

  get idle(): Promise<void> {
    return this.#idle.promise
  }
}

/**
 * Subscribers that share the messages of a topic; one without a group's name is a group of its own. Messages of one key are
 * handled one after the other, those that wait for another try included; otherwise in the order of publishing.
 */
export class Group {
  readonly #clock: Clock
  readonly #bury: (message: Incoming, reason: string) => void
  readonly #members = new Set<Member>()
  /** May be handled now, in the order of publishing. */
  #ready: Delivery[] = []
  /** What waits behind a message of the same key. */
  readonly #lanes = new Map<string, Delivery[]>()
  readonly #pauses = new Map<Delivery, () => void>()
  #waiting = 0

  constructor(clock: Clock, bury: (message: Incoming, reason: string) => void) {
    this.#clock = clock
    this.#bury = bury
  }

  get size(): number {
    return this.#members.size
  }

  /** Messages that were published and are not done with. */
  get waiting(): number {
    return this.#waiting
  }

  /** The answer takes it out again and resolves when its handler is idle. */
  join(options: MemberOptions): () => Promise<void> {
    const member = new Member(options)
    this.#members.add(member)
    this.#dispatch()
    return () => {
      this.#leave(member)
      return member.idle
    }
  }

  offer(delivery: Delivery): void {
    this.#waiting += 1
    const { key } = delivery
    const lane = key === undefined ? undefined : this.#lanes.get(key)
    if (lane) {
      lane.push(delivery)
      return
    }
    if (key !== undefined) this.#lanes.set(key, [])
    this.#makeReady(delivery)
  }

  #leave(member: Member): void {
    if (!this.#members.delete(member)) return
    member.stop.abort(new Error('the subscription was closed'))
    member.settleIdle()
    if (this.#members.size === 0) this.#abandon()
  }

  /** Nobody is left: what waits is let go of. */
  #abandon(): void {
    for (const cancel of this.#pauses.values()) cancel()
    const left = [...this.#ready, ...this.#pauses.keys(), ...[...this.#lanes.values()].flat()]
    this.#ready = []
    this.#pauses.clear()
    this.#lanes.clear()
    this.#waiting -= left.length
    for (const delivery of left) delivery.finish()
  }

  #makeReady(delivery: Delivery): void {
    let at = this.#ready.length
    while (at > 0 && (this.#ready[at - 1]?.sequence ?? 0) > delivery.sequence) at -= 1
    this.#ready.splice(at, 0, delivery)
    this.#dispatch()
  }

  #dispatch(): void {
    for (let member = this.#freeMember(); member; member = this.#freeMember()) {
      const delivery = this.#ready.shift()
      if (!delivery) return
      void this.#handle(member, delivery)
    }
  }

  /** The least busy; undefined when all have enough. */
  #freeMember(): Member | undefined {
    let best: Member | undefined
    const [first] = this.#members
    if (first?.options.exclusive) return first.free ? first : undefined
    for (const member of this.#members) if (member.free && member.busy < (best?.busy ?? Number.POSITIVE_INFINITY)) best = member
    return best
  }

  async #handle(member: Member, delivery: Delivery): Promise<void> {
    member.busy += 1
    let failure: { readonly error: unknown } | undefined
    try {
      // A turn of its own: a handler may publish and subscribe.
      await undefined
      await member.options.handler(delivery.incoming(), member.stop.signal)
    } catch (error) {
      failure = { error }
    }
    member.busy -= 1
    member.settleIdle()
    if (failure === undefined || this.#members.size === 0) this.#finish(delivery)
    else this.#retry(delivery, failure.error, member)
    this.#dispatch()
  }

  #retry(delivery: Delivery, error: unknown, member: Member): void {
    // One that was cut off by the end of its subscriber has not failed.
    if (!member.stop.signal.aborted && delivery.attempt >= member.options.maxAttempts) {
      this.#bury(delivery.incoming(), reasonOf(error))
      this.#finish(delivery)
      return
    }
    const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (delivery.attempt - 1))
    delivery.attempt += 1
    delivery.markTried()
    const cancel = this.#clock.after(pause, () => {
      this.#pauses.delete(delivery)
      this.#makeReady(delivery)
    })
    this.#pauses.set(delivery, cancel)
  }

  #finish(delivery: Delivery): void {
    this.#waiting -= 1
    delivery.finish()
    if (delivery.key === undefined) return
    const next = this.#lanes.get(delivery.key)?.shift()
    if (next) this.#makeReady(next)
    else this.#lanes.delete(delivery.key)
  }
}
