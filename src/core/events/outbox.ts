import type { RelayView } from '../../contract/bus-operations.ts'
import { droppableEvents, type EventType } from '../../contract/events.ts'
import type { Check } from '../../contract/system.ts'
import { reasonOf } from '../../kernel/errors.ts'
import { type Relay, type RelayOptions, RelayRun } from './relay-run.ts'

export type { Relay } from './relay-run.ts'

export interface OutboxOptions extends RelayOptions {
  /** Events that are kept for readers, whatever the relays do; default none. */
  readonly eventsKept?: number
  readonly bounds?: { readonly events: number; readonly bytes: number }
}

/** What may wait for the slowest relay before events of health and logs are dropped. */
const BOUNDS = { events: 100_000, bytes: 256 * 1024 * 1024 }
/** How often that is looked at. */
const GUARD_MS = 30_000
/** Below so many events their size is not asked for. */
const SIZED_FROM = 0.1

/**
 * Carries the journal out to buses: at least once, in order for each topic and key, from where each relay stood at the last stop. A
 * message counts as sent when the bus has confirmed it; a failing bus is tried again for ever, with growing pauses, and holds back
 * only its own relays. What waits for them is kept in the journal: without bounds for what became of agents and messages, within
 * bounds for what tells of their health.
 */
export class Outbox {
  readonly #o: OutboxOptions
  readonly #stop = new AbortController()
  readonly #runs: RelayRun[] = []
  readonly #running: Promise<void>[] = []
  #cancelGuard = () => {}
  #over = false

  constructor(options: OutboxOptions) {
    this.#o = options
  }

  /** Goes on where it stood; one that never ran begins with what happens from now on. */
  async start(relay: Relay): Promise<void> {
    const run = await RelayRun.create(relay, this.#o, this.#stop.signal)
    if (this.#stop.signal.aborted) return
    this.#runs.push(run)
    this.#running.push(run.run())
    if (this.#runs.length === 1) this.#guardAgain()
  }

  async close(): Promise<void> {
    this.#stop.abort()
    this.#cancelGuard()
    await Promise.all(this.#running)
  }

  relays(): RelayView[] {
    return this.#runs.map((run) => run.view())
  }

  /** The last event that no relay needs any more; what follows it must not be forgotten. */
  get settled(): number {
    return Math.min(this.#o.journal.newest, ...this.#runs.map(({ position }) => position))
  }

  /** A warning for each relay that is behind by more than the bounds. */
  checks(): Check[] {
    const { events } = this.#o.bounds ?? BOUNDS
    return this.relays()
      .filter(({ backlog }) => this.#over || backlog > events)
      .map(({ name, broker, backlog, dropped, retrying }) => ({
        name: `relay ${name}`,
        ok: false,
        required: false,
        message: `${backlog} events wait for ${broker}${retrying ? ` (${retrying})` : ''}, ${dropped} of health were dropped; the rest is kept, so the database grows until it is back`,
      }))
  }

  /** Drops, of what no relay has sent yet, health and log events that are over the bounds, and counts them for each relay. Answers how many. */
  async guard(): Promise<number> {
    const { store, journal, eventsKept = 0, bounds = BOUNDS } = this.#o
    const { newest } = journal
    const settled = this.settled
    const waiting = newest - settled
    const isSized = waiting > bounds.events * SIZED_FROM
    const bytes = isSized ? (await store.read.events.measure({ after: settled })).bytes : 0
    this.#over = bytes > bounds.bytes
    if (waiting <= bounds.events && !this.#over) return 0
    const upTo = newest - Math.max(eventsKept, this.#over ? 0 : bounds.events)
    return upTo > settled ? this.#drop(settled, upTo) : 0
  }

  async #drop(settled: number, upTo: number): Promise<number> {
    const { store, logger } = this.#o
    const told = new Map<string, number>()
    const dropped = await store.transaction(async (tables) => {
      told.clear()
      const counts: (() => void)[] = []
      for (const run of this.#runs) {
        const types = wanted(run.relay.types)
        const { events } = await tables.events.measure({ after: run.position, upTo, types })
        if (events === 0) continue
        told.set(run.relay.name, events)
        const { cursor, value, count } = run.droppedWith(events)
        await tables.cursors.set(cursor, value)
        counts.push(count)
      }
      const count = await tables.events.thin({ after: settled, upTo, types: droppableEvents })
      return { count, counts }
    })
    for (const count of dropped.counts) count()
    if (dropped.count > 0)
      logger.warn(
        { events: dropped.count, relays: Object.fromEntries(told), upTo },
        'health events were dropped: too much waits for a broker',
      )
    return dropped.count
  }

  #guardAgain(): void {
    this.#cancelGuard = this.#o.clock.after(GUARD_MS, () => {
      this.guard()
        .catch((error: unknown) => this.#o.logger.warn({ error: reasonOf(error) }, 'the backlog of relays was not looked at'))
        .finally(() => {
          if (!this.#stop.signal.aborted) this.#guardAgain()
        })
    })
  }
}

const wanted = (types: readonly EventType[] | undefined): readonly EventType[] =>
  types === undefined ? droppableEvents : droppableEvents.filter((type) => types.includes(type))
