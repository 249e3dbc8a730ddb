import type { Lag, Subscription } from '../../../ports/bus.ts'
import { Acks } from './acks.ts'
import type { Connection } from './connection.ts'
import { BLOCK_MS, type Context, type Subscriber } from './context.ts'
import { Holder } from './holder.ts'
import { type Job, Lanes } from './lanes.ts'
import { type Claimed, Members } from './members.ts'
import { type Entry, entryOf } from './messages.ts'
import { Pace } from './pace.ts'
import { Refusal } from './refusal.ts'
import { compareIds, groupsOf, listOf } from './replies.ts'
import { trim } from './trimming.ts'
import { Bell, buryAtLast, Complaints } from './waiting.ts'

const TROUBLE_PAUSE_MS = 250
const TICK_MS = 1000
const TICKS_BETWEEN_LOOKS = 3
const TICKS_BETWEEN_TRIMS = 15
/** Entries taken over from one dead member at a time. */
const MOST_TAKEN = 100
/** A delivery that has not arrived for this long was lost with its connection. */
const LOST_MS = 3000

export interface GroupOptions extends Subscriber {
  readonly group: string
  readonly from: 'latest' | 'earliest'
  readonly exclusive: boolean
}

/** One consumer of a group. */
export class GroupSubscription implements Subscription {
  readonly #c: Context
  readonly #s: GroupOptions
  readonly #reader: Connection
  readonly #members: Members
  readonly #holder: Holder | undefined
  readonly #acks: Acks
  readonly #lanes: Lanes
  readonly #pace: Pace
  readonly #room = new Bell()
  readonly #closing = new AbortController()
  readonly #complaints: Complaints
  #settledAt = 0
  #ticks = 0
  #ticking: Promise<void> = Promise.resolve()
  #ran: Promise<void> = Promise.resolve()
  #closed: Promise<void> | undefined

  constructor(context: Context, subscriber: GroupOptions) {
    const { clock, main } = context
    const { key, group, concurrency } = subscriber
    this.#c = context
    this.#s = subscriber
    this.#reader = context.openReader()
    this.#members = new Members(clock, main, key, group, concurrency)
    this.#holder = subscriber.exclusive ? new Holder(clock, main, key, group, this.#members.consumer) : undefined
    this.#complaints = new Complaints(context.logger, { topic: subscriber.topic.name, group })
    this.#acks = new Acks(clock, main, key, group)
    this.#pace = new Pace(clock, concurrency)
    this.#lanes = new Lanes({
      ...subscriber,
      clock,
      onDone: ({ entry }) => this.#acks.add(entry.id),
      onRetry: ({ entry, attempt }) => void this.#members.mark(entry.id, attempt).catch(() => {}),
      onDead: (job, reason) => this.#bury(job, reason),
      mayBegin: () => !this.#members.lapsed && this.#holder?.holds !== false,
      onRoom: () => this.#room.ring(),
    })
  }

  get key(): string {
    return this.#s.key
  }

  async lag(): Promise<Lag> {
    const { key, group, topic } = this.#s
    const groups = groupsOf(await this.#c.main.send(key, ['XINFO', 'GROUPS', key]))
    const found = groups.find(({ name }) => name === group)
    return { topic: topic.name, group, waiting: found && found.lag !== null ? found.lag + found.pending : null }
  }

  async begin(): Promise<void> {
    await this.#createGroup(this.#s.from === 'earliest' ? '0' : '$')
    await this.#members.renew()
    this.#members.trust()
    this.#ran = this.#run()
    this.#tick()
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#closing.abort()
    this.#room.ring()
    this.#reader.close()
    const left = await this.#lanes.close()
    await Promise.all([this.#ran, this.#ticking])
    try {
      if (await this.#acks.flush()) await this.#leave(left)
    } catch (error) {
      this.#complaints.tell(error, 'what was not done could not be handed over')
    }
  }

  /** What was not done goes back; others of the group take it at once. */
  async #leave(left: readonly Job[]): Promise<void> {
    // An attempt that was cut off by the close has not failed, and one that waits for its time has not begun.
    const tries = new Map(left.map(({ entry, attempt }) => [entry.id, attempt - 1]))
    await this.#giveBack(() => true, tries)
    await this.#holder?.release()
    await this.#members.leave()
    await trim(this.#c.main, this.#c.clock, this.#s.key)
  }

  async #giveBack(which: (id: string) => boolean, tries: ReadonlyMap<string, number> = new Map()): Promise<void> {
    const mine = (await this.#members.mine()).filter(({ id }) => which(id) && !this.#acks.has(id))
    await this.#members.handOver(new Map(mine.map(({ id, count }) => [id, tries.get(id) ?? Math.max(0, count - 1)])))
  }

  async #createGroup(from: string): Promise<void> {
    const { key, group } = this.#s
    try {
      await this.#c.main.send(key, ['XGROUP', 'CREATE', key, group, from, 'MKSTREAM'])
    } catch (error) {
      if (!(error instanceof Refusal) || error.prefix !== 'BUSYGROUP') throw error
    }
  }

  async #run(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      try {
        await this.#reader.up(this.#closing.signal)
        if (this.#holder) await this.#hold(this.#holder)
        await this.#settle()
        const count = this.#pace.next(this.#lanes)
        if (count === 0) await this.#room.wait()
        else await this.#read(count)
      } catch (error) {
        if (!this.#closing.signal.aborted) await this.#inTrouble(error)
      }
    }
  }

  async #inTrouble(error: unknown): Promise<void> {
    // The stream is gone, or Redis lost it: all that it has now is new.
    const gone = error instanceof Refusal && error.prefix === 'NOGROUP'
    this.#complaints.tell(error, 'a stream could not be read')
    try {
      if (gone) await this.#createGroup('0')
    } catch {
      // The next read tells.
    }
    await this.#c.clock.sleep(TROUBLE_PAUSE_MS, this.#closing.signal).catch(() => {})
  }

  /** Waits its turn. */
  async #hold(holder: Holder): Promise<void> {
    if (holder.holds) return
    this.#lanes.drop(this.#lanes.waiting())
    await this.#giveBack((id) => !this.#lanes.has(id))
    await holder.acquire(this.#closing.signal)
    this.#settledAt = 0
  }

  /** Before the first read on a new connection: what was given to this consumer and got lost, then what the dead of its group held. */
  async #settle(): Promise<void> {
    if (this.#settledAt === this.#reader.epoch) return
    const epoch = this.#reader.epoch
    await this.#members.renew()
    await this.#reconcile(0)
    this.#members.trust()
    this.#lanes.wake()
    await this.#members.settle((claimed) => this.#take(claimed), this.#closing.signal)
    this.#settledAt = epoch
  }

  async #read(count: number): Promise<void> {
    const { key, group } = this.#s
    const limits = ['COUNT', String(count), 'BLOCK', String(BLOCK_MS)]
    const reply = await this.#reader.send(key, ['XREADGROUP', 'GROUP', group, this.#members.consumer, ...limits, 'STREAMS', key, '>'])
    const raw = listOf(listOf(listOf(reply)[0])[1])
    const entries: Entry[] = []
    for (const one of raw) {
      const entry = entryOf(key, one)
      if (entry) entries.push(entry)
      else this.#acks.add(String(listOf(one)[0]))
    }
    this.#pace.took(count, entries)
    for (const entry of entries) this.#add(entry, 1)
  }

  #add(entry: Entry, attempt: number): void {
    const { onlyFor } = entry
    if (onlyFor !== undefined && onlyFor !== this.#s.group) this.#acks.add(entry.id)
    else if (!this.#acks.has(entry.id)) this.#lanes.add(entry, attempt)
  }

  #take(claimed: readonly Claimed[]): void {
    for (const { entry, attempt } of [...claimed].sort((a, b) => compareIds(a.entry.id, b.entry.id))) {
      if (attempt <= this.#s.maxAttempts) this.#add(entry, attempt)
      else void this.#bury({ entry, attempt: attempt - 1 }, 'each subscriber that had it died')
    }
  }

  async #bury(job: Pick<Job, 'entry' | 'attempt'>, reason: string): Promise<boolean> {
    const buried = await buryAtLast(this.#c, this.#s, job, this.#s.group, reason, this.#closing.signal)
    if (buried) this.#acks.add(job.entry.id)
    return buried
  }

  /** Makes what is held here that which Redis says is this consumer's. */
  async #reconcile(minIdle: number): Promise<void> {
    const waiting = new Set(this.#lanes.waiting())
    const mine = await this.#members.mine()
    for (const { id } of mine) waiting.delete(id)
    this.#lanes.drop(waiting)
    const lost = mine.filter(({ id, idle }) => idle >= minIdle && !this.#lanes.has(id) && !this.#acks.has(id))
    if (lost.length > 0) this.#take(await this.#members.again(lost, minIdle))
  }

  #tick(): void {
    if (this.#closing.signal.aborted) return
    this.#c.clock.after(TICK_MS, () => {
      this.#ticking = this.#watch()
        .catch((error: unknown) => this.#complaints.tell(error, 'a group could not be looked after'))
        .finally(() => this.#tick())
    })
  }

  async #watch(): Promise<void> {
    if (this.#closing.signal.aborted) return
    if (this.#holder?.lapsed) this.#lanes.drop(this.#lanes.waiting())
    const inTime = await this.#members.renew()
    await this.#holder?.renew()
    if (!inTime) {
      await this.#reconcile(LOST_MS)
      this.#members.trust()
    }
    this.#lanes.wake()
    if (this.#settledAt !== this.#reader.epoch || this.#holder?.holds === false) return
    if (this.#pace.next(this.#lanes) > 0) this.#take(await this.#members.abandoned(MOST_TAKEN))
    this.#ticks += 1
    if (this.#ticks % TICKS_BETWEEN_LOOKS === 0) await this.#reconcile(LOST_MS)
    if (this.#ticks % TICKS_BETWEEN_TRIMS === 0) await trim(this.#c.main, this.#c.clock, this.#s.key)
  }
}
