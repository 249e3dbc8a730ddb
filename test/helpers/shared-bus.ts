import { onTestFinished } from 'vitest'
import { createMemoryBus } from '../../src/adapters/buses/memory/memory-bus.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { RegentError } from '../../src/kernel/errors.ts'
import { silentLogger } from '../../src/kernel/logger.ts'
import type { Bus, BusStatus, Subscription } from '../../src/ports/bus.ts'

/** A broker in this process for several clients: closing a client leaves the others connected. */
export class SharedBroker {
  readonly bus = createMemoryBus({ clock: systemClock, logger: silentLogger })
  readonly #listeners = new Set<(status: BusStatus) => void>()
  #status: BusStatus = { connected: true, since: 0, reason: null, reconnects: 0 }
  /** So many publishes of clients reject, as on a lost connection. */
  refusals = 0

  constructor() {
    onTestFinished(() => this.bus.close())
  }

  /** How many are told of the connection. */
  get listeners(): number {
    return this.#listeners.size
  }

  /** For clients: the connection is lost, or there again. */
  tell(connected: boolean, reason: string | null = null): void {
    this.#status = { ...this.#status, connected, reason }
    for (const listener of this.#listeners) listener(this.#status)
  }

  client(): Bus {
    const own = new Set<Subscription>()
    const { bus } = this
    return Object.assign(Object.create(bus) as Bus, {
      kind: bus.kind,
      can: bus.can,
      publish: async (...given: Parameters<Bus['publish']>) => {
        if (this.refusals > 0 || !this.#status.connected) {
          this.refusals = Math.max(0, this.refusals - 1)
          throw new RegentError('UNAVAILABLE', 'the broker is away')
        }
        await bus.publish(...given)
      },
      subscribe: async (...given: Parameters<Bus['subscribe']>) => {
        const subscription = await bus.subscribe(...given)
        own.add(subscription)
        return subscription
      },
      status: () => this.#status,
      onStatus: (listener: (status: BusStatus) => void) => {
        this.#listeners.add(listener)
        return () => void this.#listeners.delete(listener)
      },
      close: async () => {
        for (const subscription of own) await subscription.close()
      },
    })
  }
}
