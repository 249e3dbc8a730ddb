import type { BrokerSettings } from '../contract/brokers.ts'
import type { ChannelPlace } from '../contract/channels.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Logger } from '../kernel/logger.ts'
import type { Bus } from '../ports/bus.ts'
import type { Approvals } from './approvals.ts'
import type { Conditions } from './conditions.ts'
import type { Inbox } from './inbox.ts'
import type { Journal } from './journal.ts'

export interface ChannelOptions {
  readonly place: ChannelPlace
  readonly broker: BrokerSettings
  /** The agent's name. */
  readonly name: string
  readonly agentId: string
  readonly runId: string
  /** Whether Regent listens on fleeting topics in the agent's stead while it does not run. */
  readonly relieved: boolean
  /** Rejects only where the settings are not right. */
  readonly openBroker: (settings: BrokerSettings) => Promise<Bus>
  readonly journal: Journal
  readonly inbox: Pick<Inbox, 'room' | 'take'>
  readonly approvals: Pick<Approvals, 'answer'>
  readonly conditions: Conditions
  readonly clock: Clock
  readonly logger: Logger
}
