import { describeBroker } from '../contract/brokers.ts'
import { RegentError, reasonOf } from '../kernel/errors.ts'
import type { Bus, BusStatus } from '../ports/bus.ts'
import { Ear } from './channel-ear.ts'
import type { ChannelOptions } from './channel-options.ts'
import { Voice } from './channel-voice.ts'

interface Live {
  readonly bus: Bus
  readonly ear: Ear
  readonly voice: Voice
}

/** How long a broker may take to be reached before its absence is told. */
const SILENT_MS = 2_000
/** How long a stop waits for the broker. */
const CLOSE_MS = 600

/**
 * The agent's own channel at a broker: it is heard there and speaks there, whether Regent is up or not. What is missing is a condition
 * and is tried for ever; it never stops the agent.
 */
export class Channel {
  readonly #options: ChannelOptions
  #live: Live | null = null
  #wanted = false
  #closed = false
  #turn: Promise<void> = Promise.resolve()

  constructor(options: ChannelOptions) {
    this.#options = options
    const { journal } = options
    if (journal.state.unspoken.position === null) journal.note({ e: 'spoken', seq: journal.state.seq })
    journal.onDurable(() => this.#live?.voice.wake())
  }

  /** Whether the agent holds the channel that begins with `topic`, its own by default: else it neither listens nor speaks there. */
  hold(held: boolean, topic?: string): void {
    const own = topic === undefined || topic === this.#options.place.inbound[0]?.name
    if (this.#closed) return
    this.#wanted = held && own
    this.#turn = this.#turn.then(() => this.#settle())
  }

  /** Hands the channel over and says what is said already, as far as the broker lets it in a short time; the rest is said by the next run. */
  async close(): Promise<void> {
    this.#closed = true
    this.#wanted = false
    this.#turn = this.#turn.then(() => this.#settle())
    await this.#turn
  }

  async #settle(): Promise<void> {
    if (this.#wanted && this.#live === null && !this.#closed) this.#live = await this.#open()
    else if (!this.#wanted && this.#live !== null) {
      const live = this.#live
      this.#live = null
      await this.#end(live)
    }
  }

  async #open(): Promise<Live | null> {
    const { broker, place, openBroker, conditions, logger } = this.#options
    try {
      const bus = await openBroker(broker)
      const live = { bus, ear: new Ear(bus, this.#options), voice: new Voice(bus, this.#options) }
      this.#watch(bus)
      live.ear.open()
      live.voice.wake()
      return live
    } catch (error) {
      const hint = error instanceof RegentError && error.hint !== undefined ? `; ${error.hint}` : ''
      logger.warn({ broker: describeBroker(broker), reason: reasonOf(error) }, 'the channel cannot be opened; the agent goes on without it')
      conditions.raise('broker', place.backend, `${describeBroker(broker)}: ${reasonOf(error)}${hint}. ${MEANWHILE}`)
      return null
    }
  }

  async #end({ bus, ear, voice }: Live): Promise<void> {
    const { clock, conditions, place, logger } = this.#options
    const ended = (async () => {
      await ear.close()
      await voice.close()
      await bus.close()
    })().catch((error: unknown) => logger.warn({ reason: reasonOf(error) }, 'the channel did not close in order'))
    const late = new AbortController()
    await Promise.race([ended, clock.sleep(CLOSE_MS, late.signal).catch(() => undefined)])
    late.abort()
    conditions.clear('broker', place.backend)
  }

  #watch(bus: Bus): void {
    const { clock } = this.#options
    bus.onStatus((status) => this.#tell(bus, status))
    clock.after(SILENT_MS, () => this.#tell(bus, bus.status()))
  }

  #tell(bus: Bus, { connected, reason }: BusStatus): void {
    const { broker, place, conditions } = this.#options
    if (this.#closed || (this.#live !== null && this.#live.bus !== bus)) return
    if (connected) {
      conditions.clear('broker', place.backend)
      this.#live?.voice.retry()
    } else
      conditions.raise('broker', place.backend, `${describeBroker(broker)} cannot be reached${reason ? ` (${reason})` : ''}. ${MEANWHILE}`)
  }
}

const MEANWHILE = 'It is tried again and again; messages can be sent through Regent meanwhile'
