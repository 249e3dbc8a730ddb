import type { Clock } from '../../kernel/clock.ts'
import { reasonOf } from '../../kernel/errors.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Bus, Outgoing, Topic } from '../../ports/bus.ts'
import type { EventRow, Store } from '../../ports/store.ts'
import type { Journal } from './journal.ts'

/** What one relay makes of an event: nothing, or messages for a bus. Must be the same each time it is asked for one event. */
export interface Relay {
  /** Its cursor in the store is `relay:` and this. */
  readonly name: string
  messages(event: EventRow): Promise<readonly { readonly topic: Topic; readonly message: Outgoing }[]>
}

const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 30_000
/** How long a sent position may stand in memory only; a crash sends what lies behind it again, under the same ids. */
const CURSOR_MS = 250

/**
 * Carries the journal out to a bus: at least once, in order, from where it stood at the last stop. A message counts as sent when the
 * bus has confirmed it; a failing bus is tried again for ever, with growing pauses, and holds back only this relay.
 */
export class Outbox {
  readonly #options: { readonly store: Store; readonly journal: Journal; readonly bus: Bus; readonly clock: Clock; readonly logger: Logger }
  readonly #stop = new AbortController()
  readonly #running: Promise<void>[] = []

  constructor(options: { store: Store; journal: Journal; bus: Bus; clock: Clock; logger: Logger }) {
    this.#options = options
  }

  /** A relay that never ran begins with what happens from now on. */
  async start(relay: Relay): Promise<void> {
    const { store, journal } = this.#options
    const name = `relay:${relay.name}`
    const known = await store.read.cursors.get(name)
    const from = known === 0 ? journal.newest : known
    if (known === 0) await store.transaction((tables) => tables.cursors.set(name, from))
    this.#running.push(this.#run(relay, name, from))
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#running)
  }

  async #run(relay: Relay, name: string, from: number): Promise<void> {
    const { journal, logger, store, clock } = this.#options
    let position = from
    let stored = from
    let cancel: (() => void) | undefined
    const keep = async () => {
      cancel?.()
      cancel = undefined
      const reached = position
      if (reached > stored) await store.transaction((tables) => tables.cursors.set(name, reached))
      stored = reached
    }
    const unkept = (error: unknown) => logger.warn({ relay: relay.name, error: reasonOf(error) }, 'the position of a relay was not kept')
    try {
      for await (const item of journal.read(from, {}, this.#stop.signal)) {
        if (item.kind === 'resync') {
          logger.error({ relay: relay.name, from: position, oldest: item.oldest }, 'events were forgotten before this relay had sent them')
          position = item.newest
        } else {
          await this.#send(relay, item.event)
          position = item.event.number
        }
        cancel ??= clock.after(CURSOR_MS, () => void keep().catch(unkept))
      }
    } catch (error) {
      if (!this.#stop.signal.aborted)
        logger.error({ relay: relay.name, error: reasonOf(error) }, 'a relay ended; it goes on at the next start')
    }
    await keep().catch((error: unknown) =>
      logger.warn({ relay: relay.name, error: reasonOf(error) }, 'the position of a relay was not kept'),
    )
  }

  async #send(relay: Relay, event: EventRow): Promise<void> {
    const { bus, clock, logger } = this.#options
    for (const { topic, message } of await relay.messages(event)) {
      for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
        try {
          await bus.publish(topic, message, this.#stop.signal)
          break
        } catch (error) {
          if (this.#stop.signal.aborted) throw error
          logger.warn({ relay: relay.name, topic: topic.name, error: reasonOf(error) }, `not published; tried again in ${pause} ms`)
          await clock.sleep(pause, this.#stop.signal)
        }
      }
    }
  }
}
