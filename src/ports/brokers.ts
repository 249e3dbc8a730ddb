import type { BrokerSettings } from '../contract/brokers.ts'
import type { Bus } from './bus.ts'

/** One broker that the configuration names. */
export interface NamedBroker {
  /** `bus` for Regent's own, else the broker's kind. */
  readonly name: string
  /** Its address, without secrets. */
  readonly address: string
  readonly bus: Bus
}

/** The brokers that Regent speaks with. */
export interface Brokers {
  /** Regent's own bus first, then what else the configuration names; each broker once. */
  readonly configured: readonly NamedBroker[]
  /** The configured broker of a kind; undefined where there is none. */
  ofKind(kind: Bus['kind']): Bus | undefined
  /** The client of an address that an agent names, made at its first use and shared; one that is configured already is that one. */
  at(settings: BrokerSettings): Promise<Bus>
  /** Lets go of an address of `at` that nobody needs any more. */
  release(settings: BrokerSettings): Promise<void>
}
