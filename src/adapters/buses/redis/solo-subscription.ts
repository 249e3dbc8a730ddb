import type { Lag, Subscription } from '../../../ports/bus.ts'
import type { Connection } from './connection.ts'
import { BLOCK_MS, type Context, type Subscriber } from './context.ts'
import { Lanes } from './lanes.ts'
import { type Entry, entryOf } from './messages.ts'
import { Pace } from './pace.ts'
import { Refusal } from './refusal.ts'
import { listOf, recordOf } from './replies.ts'
import { Bell, buryAtLast, Complaints } from './waiting.ts'

const TROUBLE_PAUSE_MS = 250

/** Has all that is added to a stream from its own beginning on, or from the stream's. Its place is kept in memory: it outlives the connection, not the process. */
export class SoloSubscription implements Subscription {
  readonly #c: Context
  readonly #s: Subscriber
  readonly #reader: Connection
  readonly #lanes: Lanes
  readonly #pace: Pace
  readonly #room = new Bell()
  readonly #closing = new AbortController()
  readonly #complaints: Complaints
  readonly #from: 'latest' | 'earliest'
  #place = '0-0'
  #closed: Promise<void> | undefined
  #ran: Promise<void> = Promise.resolve()

  constructor(context: Context, subscriber: Subscriber & { readonly from: 'latest' | 'earliest' }) {
    this.#c = context
    this.#from = subscriber.from
    this.#s = subscriber
    this.#reader = context.openReader()
    this.#complaints = new Complaints(context.logger, { topic: subscriber.topic.name })
    this.#pace = new Pace(context.clock, subscriber.concurrency)
    this.#lanes = new Lanes({
      ...subscriber,
      clock: context.clock,
      onDone: () => {},
      onRetry: () => {},
      onDead: (job, reason) => buryAtLast(context, subscriber, job, null, reason, this.#closing.signal),
      mayBegin: () => true,
      onRoom: () => this.#room.ring(),
    })
  }

  get key(): string {
    return this.#s.key
  }

  async lag(): Promise<Lag> {
    return { topic: this.#s.topic.name, group: null, waiting: null }
  }

  /** Finds where the stream ends now. */
  async begin(): Promise<void> {
    if (this.#from === 'latest') await this.#goToEnd()
    this.#ran = this.#run()
  }

  async #goToEnd(): Promise<void> {
    try {
      const info = recordOf(await this.#c.main.send(this.#s.key, ['XINFO', 'STREAM', this.#s.key]))
      this.#place = String(info['last-generated-id'] ?? '0-0')
    } catch (error) {
      if (!(error instanceof Refusal) || !error.message.includes('no such key')) throw error
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#closing.abort()
    this.#room.ring()
    this.#reader.close()
    await this.#lanes.close()
    await this.#ran
  }

  async #run(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      const count = this.#pace.next(this.#lanes)
      if (count === 0) {
        await this.#room.wait()
        continue
      }
      try {
        await this.#reader.up(this.#closing.signal)
        await this.#read(count)
      } catch (error) {
        if (this.#closing.signal.aborted) return
        this.#complaints.tell(error, 'a stream could not be read')
        await this.#c.clock.sleep(TROUBLE_PAUSE_MS, this.#closing.signal).catch(() => {})
      }
    }
  }

  async #read(count: number): Promise<void> {
    const { key } = this.#s
    const args = ['XREAD', 'COUNT', String(count), 'BLOCK', String(BLOCK_MS), 'STREAMS', key, this.#place]
    const [stream] = listOf(await this.#reader.send(key, args))
    const raw = listOf(listOf(stream)[1])
    const entries = raw.map((one) => entryOf(key, one)).filter((one): one is Entry => one !== undefined)
    this.#pace.took(count, entries)
    for (const entry of entries) {
      this.#place = entry.id
      if (entry.onlyFor === undefined) this.#lanes.add(entry, 1)
    }
  }
}
