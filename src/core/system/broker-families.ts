import type { BrokerView, RelayView } from '../../contract/bus-operations.ts'
import type { Family, Sample } from './families.ts'

/** Brokers as they were at the last look, and how far the outbox is. */
export function brokerFamilies(brokers: readonly BrokerView[], relays: readonly RelayView[]): Family[] {
  const ofBroker = (pick: (broker: BrokerView) => number | null): Sample[] =>
    brokers.flatMap((broker) => {
      const value = pick(broker)
      return value === null ? [] : [{ labels: { broker: broker.name }, value }]
    })
  const ofRelay = (pick: (relay: RelayView) => number): Sample[] =>
    relays.map((relay) => ({ labels: { relay: relay.name }, value: pick(relay) }))
  const family = (name: string, type: Family['type'], help: string, samples: readonly Sample[]): Family => ({ name, type, help, samples })
  return [
    family(
      'regent_broker_up',
      'gauge',
      '1 while the broker answers.',
      ofBroker(({ connected }) => (connected ? 1 : 0)),
    ),
    family(
      'regent_broker_waiting',
      'gauge',
      "Messages that wait for Regent's own subscriptions there, as far as the broker tells.",
      ofBroker(({ lag }) => lag.reduce((sum, { waiting }) => sum + (waiting ?? 0), 0)),
    ),
    family(
      'regent_broker_dead_letters',
      'gauge',
      'Dead letters there, up to 1000.',
      ofBroker(({ dead_letters }) => dead_letters),
    ),
    family(
      'regent_broker_reconnects_total',
      'counter',
      'Connections that were made anew.',
      ofBroker(({ reconnects }) => reconnects),
    ),
    family(
      'regent_outbox_backlog',
      'gauge',
      'Events that a relay has not dealt with.',
      ofRelay(({ backlog }) => backlog),
    ),
    family(
      'regent_outbox_sent_total',
      'counter',
      'Messages of a relay that its broker confirmed.',
      ofRelay(({ sent }) => sent),
    ),
    family(
      'regent_outbox_refused_total',
      'counter',
      'Messages of a relay that its broker will never take.',
      ofRelay(({ refused }) => refused),
    ),
    family(
      'regent_outbox_dropped_total',
      'counter',
      'Health events that were dropped before a relay had sent them.',
      ofRelay(({ dropped }) => dropped),
    ),
  ]
}
