import type { RelayView } from '../../contract/bus-operations.ts'
import type { EventType } from '../../contract/events.ts'
import type { Clock } from '../../kernel/clock.ts'
import { reasonOf } from '../../kernel/errors.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Bus, Outgoing, Topic } from '../../ports/bus.ts'
import type { EventRow, Store } from '../../ports/store.ts'
import type { Journal } from './journal.ts'
import { Lane } from './lane.ts'

/** What one relay makes of an event: nothing, or messages for a bus. Must be the same each time it is asked for one event. */
export interface Relay {
  /** Its cursor in the store is `relay:` and this. */
  readonly name: string
  /** Where it sends; default Regent's own bus. A bus that is away holds back the relays to it and no others. */
  readonly bus?: Bus
  /** The events that it asks to see; default all. Others are never counted as dropped for it. */
  readonly types?: readonly EventType[]
  messages(event: EventRow): Promise<readonly { readonly topic: Topic; readonly message: Outgoing }[]>
}

export interface RelayOptions {
  readonly store: Store
  readonly journal: Journal
  readonly bus: Bus
  readonly clock: Clock
  readonly logger: Logger
  /** Default Math.random. */
  readonly random?: () => number
}

const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 30_000
/** How long a sent position may stand in memory only; a crash sends what lies behind it again, under the same ids. */
const CURSOR_MS = 250
/** Events that are being sent at once. */
const MOST_OPEN = 100

const relayCursor = (name: string): string => `relay:${name}`
const droppedCursor = (name: string): string => `dropped:${name}`

/** One relay at work. Messages of one topic and key go out in order; others side by side. */
export class RelayRun {
  readonly relay: Relay
  readonly #o: RelayOptions
  readonly #bus: Bus
  readonly #stop: AbortSignal
  /** The last event that was read. */
  #head: number
  #stored: number
  /** Numbers of events that are being sent, in ascending order. */
  readonly #open = new Set<number>()
  readonly #lanes = new Map<string, Lane>()
  #roomMade = () => {}
  #trouble: { readonly reason: string; readonly over: Promise<void>; readonly end: () => void } | undefined
  /** Failures since the last success, and in which round of tries the present one is. */
  #failures = 0
  #round = 0
  #sent = 0
  #refused = 0
  #dropped: number
  #cancelKeep: (() => void) | undefined

  private constructor(relay: Relay, options: RelayOptions, stop: AbortSignal, from: number, dropped: number) {
    this.relay = relay
    this.#o = options
    this.#bus = relay.bus ?? options.bus
    this.#stop = stop
    this.#head = from
    this.#stored = from
    this.#dropped = dropped
  }

  /** One that never ran begins with what happens from now on. */
  static async create(relay: Relay, options: RelayOptions, stop: AbortSignal): Promise<RelayRun> {
    const { store, journal } = options
    const known = await store.read.cursors.get(relayCursor(relay.name))
    const from = known === 0 ? journal.newest : known
    if (known === 0) await store.transaction((tables) => tables.cursors.set(relayCursor(relay.name), from))
    return new RelayRun(relay, options, stop, from, await store.read.cursors.get(droppedCursor(relay.name)))
  }

  /** Everything up to here was sent, or was nothing to send. */
  get position(): number {
    const [first] = this.#open
    return first === undefined ? this.#head : first - 1
  }

  view(): RelayView {
    const position = this.position
    return {
      name: this.relay.name,
      broker: this.#bus.kind,
      position,
      backlog: Math.max(0, this.#o.journal.newest - position),
      sent: this.#sent,
      refused: this.#refused,
      dropped: this.#dropped,
      retrying: this.#trouble?.reason ?? null,
    }
  }

  /** So many of its events are being forgotten; the count is to be kept with it, in the same transaction. */
  droppedWith(count: number): { readonly cursor: string; readonly value: number; readonly count: () => void } {
    const value = this.#dropped + count
    return {
      cursor: droppedCursor(this.relay.name),
      value,
      count: () => {
        this.#dropped = value
      },
    }
  }

  /** Until the signal aborts. Never rejects. */
  async run(): Promise<void> {
    const { logger } = this.#o
    const forget = this.#bus.onStatus((status) => {
      if (status.connected) this.#trouble?.end()
    })
    while (!this.#stop.aborted) {
      try {
        await this.#follow()
      } catch (error) {
        if (this.#stop.aborted) break
        logger.error({ relay: this.relay.name, error: reasonOf(error) }, 'the journal could not be read for a relay; read again')
        await this.#pause(LONGEST_PAUSE_MS / 10)
      }
    }
    forget()
    await this.#keep()
  }

  /** Ends where the journal begins later than the relay stands; it then goes on with the oldest event that is kept. */
  async #follow(): Promise<void> {
    const { journal, logger } = this.#o
    for await (const batch of journal.batches(this.#head, {}, this.#stop)) {
      if (batch.kind === 'events') {
        await this.#takeAll(batch.events)
        continue
      }
      const { newest, oldest } = batch
      const next = this.#head > newest ? newest : oldest - 1
      if (this.#dropped === 0)
        logger.error({ relay: this.relay.name, from: this.#head, oldest }, 'events were forgotten before this relay had sent them')
      this.#head = next
      return
    }
  }

  async #takeAll(events: readonly EventRow[]): Promise<void> {
    const { types } = this.relay
    for (const event of events) {
      if (types?.includes(event.type) === false) this.#head = event.number
      else await this.#take(event)
      if (this.#stop.aborted) return
    }
    this.#keepSoon()
  }

  async #take(event: EventRow): Promise<void> {
    const messages = await this.#messagesOf(event)
    if (messages.length > 0) {
      while (this.#open.size >= MOST_OPEN && !this.#stop.aborted) await this.#room()
      this.#stop.throwIfAborted()
      this.#open.add(event.number)
      void Promise.all(messages.map(({ topic, message }) => this.#inLane(topic, message))).then(
        () => {
          this.#open.delete(event.number)
          this.#roomMade()
          this.#keepSoon()
        },
        () => undefined, // Regent stops: it is sent again at the next start.
      )
    }
    // Not before it counts as being sent: the position must never pass one that is not.
    this.#head = event.number
  }

  async #messagesOf(event: EventRow): Promise<Awaited<ReturnType<Relay['messages']>>> {
    for (let failures = 0; ; failures++) {
      try {
        return await this.relay.messages(event)
      } catch (error) {
        this.#stop.throwIfAborted()
        this.#o.logger.error({ relay: this.relay.name, event: event.number, error: reasonOf(error) }, 'a relay failed; tried again')
        await this.#pause(this.#jitter(failures))
      }
    }
  }

  #room(): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#stop.removeEventListener('abort', done)
        resolve()
      }
      this.#roomMade = done
      this.#stop.addEventListener('abort', done, { once: true })
    })
  }

  #inLane(topic: Topic, message: Outgoing): Promise<void> {
    // Behind an exchange the names are kinds of events: those of one key stay in order whatever they tell.
    const name = JSON.stringify([topic.exchange || topic.name, message.key ?? null])
    const lane = this.#lanes.get(name) ?? this.#openLane(name)
    return lane.add(topic, message)
  }

  #openLane(name: string): Lane {
    const lane = new Lane({
      bus: this.#bus,
      stop: this.#stop,
      ready: async () => {
        await this.#trouble?.over
        return this.#round
      },
      failed: (round, topic, error) => {
        if (round === this.#round) this.#fail(topic, error)
      },
      sent: () => {
        this.#sent++
        this.#failures = 0
      },
      refused: (topic, message, error) => this.#refuse(topic, message, error),
      empty: () => this.#lanes.delete(name),
    })
    this.#lanes.set(name, lane)
    return lane
  }

  #refuse(topic: Topic, { id }: Outgoing, error: unknown): void {
    this.#refused++
    this.#o.logger.error({ relay: this.relay.name, topic: topic.name, id, error: reasonOf(error) }, 'the broker refused a message for good')
  }

  /** Everybody waits together, so that a broker that comes back is not met by a crowd. */
  #fail(topic: Topic, error: unknown): void {
    const { clock, logger } = this.#o
    this.#round++
    const pause = this.#jitter(this.#failures++)
    logger.warn({ relay: this.relay.name, topic: topic.name, error: reasonOf(error) }, `not published; tried again in ${pause} ms`)
    const { promise, resolve } = Promise.withResolvers<void>()
    const end = () => {
      cancel()
      this.#stop.removeEventListener('abort', end)
      this.#trouble = undefined
      resolve()
    }
    const cancel = clock.after(pause, end)
    this.#stop.addEventListener('abort', end, { once: true })
    this.#trouble = { reason: reasonOf(error), over: promise, end }
  }

  /** Full jitter over a bound that doubles. */
  #jitter(failures: number): number {
    const { random = Math.random } = this.#o
    const most = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (failures + 1))
    return Math.round(FIRST_PAUSE_MS + random() * (most - FIRST_PAUSE_MS))
  }

  async #pause(ms: number): Promise<void> {
    await this.#o.clock.sleep(ms, this.#stop).catch(() => undefined)
  }

  #keepSoon(): void {
    if (this.#stop.aborted) return
    this.#cancelKeep ??= this.#o.clock.after(CURSOR_MS, () => void this.#keep())
  }

  async #keep(): Promise<void> {
    const { store, logger } = this.#o
    this.#cancelKeep?.()
    this.#cancelKeep = undefined
    const reached = this.position
    if (reached === this.#stored) return
    try {
      await store.transaction((tables) => tables.cursors.set(relayCursor(this.relay.name), reached))
      this.#stored = reached
    } catch (error) {
      logger.warn({ relay: this.relay.name, error: reasonOf(error) }, 'the position of a relay was not kept')
    }
  }
}
