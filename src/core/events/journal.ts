import type { EventType } from '../../contract/events.ts'
import { reasonOf } from '../../kernel/errors.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { EventRow, Store } from '../../ports/store.ts'

const RING = 4096
const PAGE = 500

export interface JournalFilter {
  readonly owner?: string
  readonly agentId?: string
  readonly types?: readonly EventType[]
}

/** The position is older than what is kept (or newer than what ever was): the reader must look at the state anew. */
export interface Resync {
  readonly kind: 'resync'
  readonly oldest: number
  readonly newest: number
}
export type JournalItem = { readonly kind: 'event'; readonly event: EventRow } | Resync
/** Never none. */
export type JournalBatch = { readonly kind: 'events'; readonly events: readonly EventRow[] } | Resync

/**
 * Follows the store's events in commit order and hands them to any number of readers. The newest stand in memory; a reader
 * that is further behind reads pages from the store, so a slow one costs nothing but its own time.
 */
export class Journal {
  readonly #store: Store
  readonly #logger: Logger
  #ring: EventRow[] = []
  #newest = 0
  #pulling = false
  #pullAgain = false
  readonly #waiters = new Set<() => void>()

  constructor(store: Store, logger: Logger) {
    this.#store = store
    this.#logger = logger
  }

  /** Starts to follow. To be called once, before anything is written. */
  async open(): Promise<void> {
    this.#newest = (await this.#store.read.events.window()).newest
    this.#store.onCommit((events) => {
      if (!events || !this.#follows(events)) void this.#pull()
    })
  }

  get newest(): number {
    return this.#newest
  }

  /** Events after `after` (default: from now on), then those to come, until the signal aborts. */
  async *read(after: number | undefined, filter: JournalFilter, signal: AbortSignal): AsyncGenerator<JournalItem> {
    for await (const batch of this.batches(after, filter, signal)) {
      if (batch.kind === 'resync') yield batch
      else
        for (const event of batch.events) {
          yield { kind: 'event', event }
          if (signal.aborted) return
        }
    }
  }

  /** The same, as many at a time as there are. */
  async *batches(after: number | undefined, filter: JournalFilter, signal: AbortSignal): AsyncGenerator<JournalBatch> {
    let position = after ?? this.#newest
    if (after !== undefined) {
      const { oldest, newest } = await this.#store.read.events.window()
      if (after > newest || (after > 0 && after < oldest - 1) || (after === 0 && oldest > 1)) {
        yield { kind: 'resync', oldest, newest }
        position = newest
      }
    }
    while (!signal.aborted) {
      const batch = await this.#after(position)
      const [first] = batch
      if (first && first.number > position + 1) {
        const { oldest, newest } = await this.#store.read.events.window()
        if (oldest > position + 1) {
          yield { kind: 'resync', oldest, newest }
          position = newest
          continue
        }
      }
      position = batch.at(-1)?.number ?? position
      const events = selected(batch, filter)
      if (events.length > 0) yield { kind: 'events', events }
      if (batch.length === 0) await this.#more(position, signal)
    }
  }

  async #after(position: number): Promise<readonly EventRow[]> {
    if (position >= this.#newest) return []
    const first = this.#ring[0]
    if (first && first.number <= position + 1) return this.#ring.slice(this.#indexAfter(position), this.#indexAfter(position) + PAGE)
    // What was committed since may not be on the disk yet.
    return this.#store.read.events.list({ after: position, before: this.#newest + 1, limit: PAGE })
  }

  #indexAfter(position: number): number {
    let low = 0
    let high = this.#ring.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#ring[middle]?.number ?? 0) <= position) low = middle + 1
      else high = middle
    }
    return low
  }

  #more(position: number, signal: AbortSignal): Promise<void> {
    if (position < this.#newest || signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const done = () => {
        this.#waiters.delete(done)
        signal.removeEventListener('abort', done)
        resolve()
      }
      this.#waiters.add(done)
      signal.addEventListener('abort', done, { once: true })
    })
  }

  /** Takes the events of a commit as they are; false where they are not the next ones, which must then be read. */
  #follows(events: readonly EventRow[]): boolean {
    const [first] = events
    if (first === undefined) return true
    const last = events.at(-1)?.number ?? 0
    if (this.#pulling || first.number !== this.#newest + 1 || last !== this.#newest + events.length) return false
    this.#append(events, last)
    return true
  }

  #append(events: readonly EventRow[], last: number): void {
    this.#ring.push(...events)
    if (this.#ring.length > RING * 2) this.#ring = this.#ring.slice(-RING)
    this.#newest = last
    for (const wake of [...this.#waiters]) wake()
  }

  async #pull(): Promise<void> {
    this.#pullAgain = true
    if (this.#pulling) return
    this.#pulling = true
    while (this.#pullAgain) {
      this.#pullAgain = false
      try {
        await this.#take()
      } catch (error) {
        this.#logger.error({ error: reasonOf(error) }, 'the journal could not be read; read again at the next change')
      }
    }
    this.#pulling = false
  }

  async #take(): Promise<void> {
    for (;;) {
      const page = await this.#store.read.events.list({ after: this.#newest, limit: PAGE })
      const last = page.at(-1)
      if (!last) return
      this.#append(page, last.number)
      if (page.length < PAGE) return
    }
  }
}

function selected(events: readonly EventRow[], filter: JournalFilter): readonly EventRow[] {
  const isAll = filter.owner === undefined && filter.agentId === undefined && filter.types === undefined
  return isAll ? events : events.filter((event) => matches(event, filter))
}

function matches(event: EventRow, { owner, agentId, types }: JournalFilter): boolean {
  return (
    (owner === undefined || event.owner === owner) &&
    (agentId === undefined || event.agentId === agentId) &&
    (types === undefined || types.includes(event.type))
  )
}
