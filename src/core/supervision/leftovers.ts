import { reasonOf } from '../../kernel/errors.ts'
import type { Run } from '../../ports/runtime.ts'
import { restarts } from './restart.ts'
import type { Record } from './situation.ts'
import type { Supervision } from './supervision.ts'

/**
 * Ends what a run left behind that died by itself and is to be restarted, so that it does not live on beside the next one. A program
 * that is not started again may leave something behind.
 */
export async function endLeftovers(
  { agent, life }: Record,
  run: Run,
  exit: Parameters<typeof restarts>[1],
  { logger }: Supervision,
): Promise<void> {
  if (life.state === 'STOPPING' || exit.unfit !== undefined || !restarts(agent.policy, exit)) return
  try {
    const { survivors } = await run.stop({ signal: 'SIGKILL', graceMs: 0 })
    if (survivors.length > 0)
      logger.warn({ agent: agent.id, run: run.handle.runId, survivors }, 'what a run left behind could not be ended')
  } catch (error) {
    logger.warn({ agent: agent.id, run: run.handle.runId, reason: reasonOf(error) }, 'what a run left behind could not be ended')
  }
}

/** Removes a run that is over, and keeps nobody waiting for that: what a crash or a failure leaves of it goes with a later run of its agent. */
export function removeBehind(agentId: string, run: Run, { logger }: Pick<Supervision, 'logger'>): void {
  run.remove().catch((error: unknown) => {
    logger.warn({ agent: agentId, run: run.handle.runId, reason: reasonOf(error) }, 'a run that is over could not be removed')
  })
}
