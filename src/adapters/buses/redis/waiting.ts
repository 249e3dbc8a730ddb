import { reasonOf } from '../../../kernel/errors.ts'
import type { Logger } from '../../../kernel/logger.ts'
import type { Context, Subscriber } from './context.ts'
import type { Job } from './lanes.ts'
import { Refusal } from './refusal.ts'

const PAUSE_MS = 500

/** Wakes who waits for it; one that rings while nobody waits is heard by the next. */
export class Bell {
  #next = Promise.withResolvers<void>()

  ring(): void {
    this.#next.resolve()
  }

  async wait(): Promise<void> {
    await this.#next.promise
    this.#next = Promise.withResolvers()
  }
}

/** Tells of what goes wrong again and again: what Redis refuses as a warning, once until it changes. */
export class Complaints {
  readonly #logger: Logger
  readonly #fields: object
  #last: string | undefined

  constructor(logger: Logger, fields: object) {
    this.#logger = logger
    this.#fields = fields
  }

  tell(error: unknown, what: string): void {
    const reason = reasonOf(error)
    if (error instanceof Refusal && error.prefix !== 'NOGROUP' && reason !== this.#last) {
      this.#last = reason
      this.#logger.warn({ ...this.#fields, reason }, what)
    } else this.#logger.debug({ ...this.#fields, reason }, what)
  }
}

/** Writes a dead letter, however long Redis is away; false when the subscription is closed before that is done. */
export async function buryAtLast(
  { graveyard, logger, clock }: Context,
  { topic }: Subscriber,
  { entry, attempt }: Pick<Job, 'entry' | 'attempt'>,
  group: string | null,
  reason: string,
  closing: AbortSignal,
): Promise<boolean> {
  const message = { ...entry.message, topic, attempt }
  logger.warn({ topic: topic.name, group, id: message.id, attempts: attempt, reason }, 'a message was given up')
  while (!closing.aborted) {
    try {
      await graveyard.bury(message, group, reason, clock.now())
      return true
    } catch (error) {
      logger.debug({ topic: topic.name, id: message.id, reason: reasonOf(error) }, 'a dead letter could not be written yet')
      await clock.sleep(PAUSE_MS, closing).catch(() => {})
    }
  }
  return false
}
