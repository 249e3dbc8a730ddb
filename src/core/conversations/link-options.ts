import type { ChannelHold } from '../../contract/channels.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Ids } from '../../kernel/ids.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Store } from '../../ports/store.ts'
import type { Deltas } from '../events/deltas.ts'
import type { RunTokens } from '../identity/run-tokens.ts'
import type { Presence } from '../supervision/presence.ts'

export interface LinkOptions {
  readonly store: Store
  readonly clock: Clock
  readonly ids: Ids
  readonly logger: Logger
  readonly presence: Presence
  readonly deltas: Deltas
  readonly runTokens: RunTokens
  readonly channelOf: (agentId: string) => ChannelHold
  /** A runner gave a sign of work: something it did, said or began. */
  readonly worked: (agentId: string) => void
}

export type AnswerOutcome = {
  readonly outcome: 'accepted' | 'late' | 'unknown'
  readonly confirmed: boolean | null
  readonly by: string | null
}
