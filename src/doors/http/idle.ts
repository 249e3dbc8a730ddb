import type { FastifyInstance } from 'fastify'
import type { Clock } from '../../kernel/clock.ts'
import { reasonOf } from '../../kernel/errors.ts'
import type { Logger } from '../../kernel/logger.ts'

export interface IdleParts {
  readonly app: Pick<FastifyInstance, 'requestsUnderWay'>
  readonly core: { busy(): Promise<boolean> }
  readonly clock: Clock
  readonly logger: Logger
}

/** How often to look, of the time that has to pass. */
const LOOKS = 20

/** Calls `end` once nobody has asked for anything, and nothing was to be done, for so long; the answer stops looking. */
export function endWhenIdle(afterMs: number, { app, core, clock, logger }: IdleParts, end: () => void): () => void {
  let since = clock.elapsed()
  let cancel = (): void => {}
  const look = async (): Promise<void> => {
    const { count, lastAt } = app.requestsUnderWay()
    if (count > 0 || (await core.busy())) since = clock.elapsed()
    since = Math.max(since, lastAt)
    if (clock.elapsed() - since < afterMs) return again()
    logger.info({ ms: afterMs }, 'nobody has needed Regent: it ends')
    end()
  }
  const again = (): void => {
    cancel = clock.after(afterMs / LOOKS, () => {
      look().catch((error: unknown) => {
        logger.warn({ reason: reasonOf(error) }, 'whether Regent is needed could not be found out')
        again()
      })
    })
  }
  again()
  return () => cancel()
}
