import type { Incoming, Outgoing, Topic } from '../../../ports/bus.ts'

/** One published message, held until every group that it was meant for has let go of it. */
export class Held {
  readonly topic: Topic
  readonly message: Outgoing
  readonly size: number
  readonly #release: (held: Held) => void
  readonly #tried = Promise.withResolvers<void>()
  #groups: number
  #untried: number

  constructor(topic: Topic, message: Outgoing, size: number, groups: number, release: (held: Held) => void) {
    this.topic = topic
    this.message = message
    this.size = size
    this.#groups = groups
    this.#untried = groups
    this.#release = release
  }

  /** Resolves once every group has tried it, or will not. */
  get tried(): Promise<void> {
    return this.#tried.promise
  }

  groupTried(): void {
    this.#untried -= 1
    if (this.#untried === 0) this.#tried.resolve()
  }

  groupDone(): void {
    this.#groups -= 1
    if (this.#groups === 0) this.#release(this)
  }
}

/** A message on its way to one group. */
export class Delivery {
  readonly held: Held
  /** Place in the order of publishing. */
  readonly sequence: number
  attempt = 1
  #tried = false

  constructor(held: Held, sequence: number) {
    this.held = held
    this.sequence = sequence
  }

  get key(): string | undefined {
    return this.held.message.key
  }

  incoming(): Incoming {
    return { ...this.held.message, topic: this.held.topic, attempt: this.attempt }
  }

  markTried(): void {
    if (this.#tried) return
    this.#tried = true
    this.held.groupTried()
  }

  /** Acknowledged, dead, or nobody left to have it. */
  finish(): void {
    this.markTried()
    this.held.groupDone()
  }
}
