import type { Clock } from '../../../kernel/clock.ts'
import { RegentError } from '../../../kernel/errors.ts'
import type { DeadLetter, Incoming, Lag, Outgoing, Topic } from '../../../ports/bus.ts'
import { Delivery, Held } from './delivery.ts'
import { Group, type MemberOptions } from './group.ts'

const MOST_MESSAGES = 10_000
const MOST_BYTES = 64 * 1024 * 1024
const MOST_DEAD = 1000

/** A topic's groups, and what is held for them. */
export class MemoryTopic {
  readonly topic: Topic
  readonly #clock: Clock
  readonly #onDead: (letter: DeadLetter) => void
  #buried = 0
  /** Under their name; a subscriber without one stands under itself. */
  readonly #groups = new Map<unknown, Group>()
  #dead: DeadLetter[] = []
  #sequence = 0
  #waiting = 0
  #bytes = 0

  constructor(topic: Topic, clock: Clock, onDead: (letter: DeadLetter) => void) {
    this.topic = topic
    this.#clock = clock
    this.#onDead = onDead
  }

  get subscribers(): number {
    let members = 0
    for (const group of this.#groups.values()) members += group.size
    return members
  }

  get waiting(): number {
    return this.#waiting
  }

  get dead(): readonly DeadLetter[] {
    return this.#dead
  }

  /** Nobody listens and nothing is kept. */
  get empty(): boolean {
    return this.#groups.size === 0 && this.#dead.length === 0
  }

  /** Hands the message to every group; resolves once each has tried it. Throws UNAVAILABLE when too much waits. */
  publish(message: Outgoing, size: number): Promise<void> {
    if (this.#groups.size === 0) return Promise.resolve()
    if (this.#waiting >= MOST_MESSAGES || this.#bytes + size > MOST_BYTES) {
      throw new RegentError('UNAVAILABLE', `too much waits on topic ${this.topic.name}: ${this.#waiting} messages, ${this.#bytes} bytes`, {
        hint: 'Its subscribers are slow or fail: see the dead letters and the log.',
        retryAfter: 1,
      })
    }
    return this.#hand(message, size, [...this.#groups.values()])
  }

  #hand(message: Outgoing, size: number, groups: readonly Group[]): Promise<void> {
    if (groups.length === 0) return Promise.resolve()
    this.#waiting += 1
    this.#bytes += size
    this.#sequence += 1
    const held = new Held(this.topic, message, size, groups.length, (done) => {
      this.#waiting -= 1
      this.#bytes -= done.size
    })
    for (const group of groups) group.offer(new Delivery(held, this.#sequence))
    return held.tried
  }

  /** The answer ends the subscription; it may be called again. */
  subscribe(name: string | undefined, options: MemberOptions): () => Promise<void> {
    const key = name ?? Symbol('alone')
    const group = this.#groups.get(key) ?? new Group(this.#clock, (message, reason) => this.#bury(message, reason, name ?? null))
    this.#groups.set(key, group)
    const leave = group.join(options)
    return () => {
      const idle = leave()
      if (group.size === 0 && this.#groups.get(key) === group) this.#groups.delete(key)
      return idle
    }
  }

  /** Takes a dead letter out; with `again` its group, or everybody where that is gone, has it once more. */
  exhume(id: string, again: boolean): boolean {
    const letter = this.#dead.find((one) => one.id === id)
    if (!letter) return false
    this.#dead = this.#dead.filter((one) => one !== letter)
    if (!again) return true
    const { topic: _, attempt: __, ...message } = letter.message
    const group = letter.group === null ? undefined : this.#groups.get(letter.group)
    void this.#hand(message, 0, group ? [group] : [...this.#groups.values()])
    return true
  }

  lag(): Lag[] {
    return [...this.#groups].map(([name, group]) => ({
      topic: this.topic.name,
      group: typeof name === 'string' ? name : null,
      waiting: group.waiting,
    }))
  }

  #bury(message: Incoming, reason: string, group: string | null): void {
    this.#buried += 1
    const letter = { id: `${this.topic.name}/${this.#buried}`, message, group, reason, at: this.#clock.now() }
    this.#dead.push(letter)
    if (this.#dead.length > MOST_DEAD) this.#dead = this.#dead.slice(-MOST_DEAD)
    this.#onDead(letter)
  }
}
