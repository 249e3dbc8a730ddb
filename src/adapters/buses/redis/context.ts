import type { Clock } from '../../../kernel/clock.ts'
import type { Logger } from '../../../kernel/logger.ts'
import type { Handler, Topic } from '../../../ports/bus.ts'
import type { Connection } from './connection.ts'
import type { Graveyard } from './graveyard.ts'

/** How long a read waits at the server for something to come, in ms. */
export const BLOCK_MS = 1000

/** What subscriptions share. */
export interface Context {
  readonly clock: Clock
  readonly logger: Logger
  /** For all that is answered at once. */
  readonly main: Connection
  readonly graveyard: Graveyard
  /** A connection for reads that wait. */
  readonly openReader: () => Connection
}

export interface Subscriber {
  readonly topic: Topic
  /** Of the stream. */
  readonly key: string
  readonly handler: Handler
  readonly concurrency: number
  readonly maxAttempts: number
}
