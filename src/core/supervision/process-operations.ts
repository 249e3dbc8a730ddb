import type { EventType } from '../../contract/events.ts'
import type { Clock } from '../../kernel/clock.ts'
import { RegentError } from '../../kernel/errors.ts'
import type { JsonObject } from '../../kernel/json.ts'
import type { Runtime } from '../../ports/runtime.ts'
import type { AgentRow, Store } from '../../ports/store.ts'
import { findAgent } from '../agents/find.ts'
import type { Handlers, Handling } from '../handling.ts'
import { tell } from './situation.ts'
import type { Supervisor } from './supervisor.ts'

export interface ProcessOptions {
  readonly store: Store
  readonly runtime: Runtime
  readonly supervisor: Pick<Supervisor, 'run'>
  readonly clock: Clock
}

/** What is done to the process of an agent, or to what it left, without a change of what is wanted. */
export function processOperations(options: ProcessOptions): Handlers<'agents.signal' | 'agents.clear_logs'> {
  const { store, runtime, supervisor } = options
  return {
    async 'agents.signal'({ agent, signal }, handling) {
      const row = await findAgent(store.read, agent, handling.caller)
      const run = supervisor.run(row.id)
      if (!run) throw notRunning(row)
      const { pid } = run
      const { isNew, answer } = await acceptOnce(handling, { pid })
      if (!isNew) return { sent: true, pid: answer.pid }
      if (!(await run.signal(`SIG${signal}`)))
        throw new RegentError('ILLEGAL_STATE', `the process of ${row.owner}/${row.name} is no longer the one on record: nothing was sent`)
      await told(options, row, 'agent.signalled', handling, { signal: `SIG${signal}`, pid })
      return { sent: true, pid }
    },
    async 'agents.clear_logs'({ agent }, handling) {
      const row = await findAgent(store.read, agent, handling.caller)
      const { isNew } = await acceptOnce(handling, {})
      if (!isNew) return { cleared: true }
      await runtime.clearLogs(row.id)
      await told(options, row, 'agent.logs_cleared', handling, {})
      return { cleared: true }
    },
  }
}

/** What was done outside of the store must not be done again for a key that was seen. */
async function acceptOnce<T>(handling: Handling, answer: T): Promise<{ isNew: boolean; answer: T }> {
  let isNew = false
  const accepted = await handling.accept(async () => {
    isNew = true
    return answer
  })
  return { isNew, answer: accepted }
}

async function told(
  { store, clock }: ProcessOptions,
  row: AgentRow,
  type: EventType,
  { caller }: Handling,
  data: JsonObject,
): Promise<void> {
  await store.transaction((tables) => tell(tables, row, type, clock.now(), caller.user, data))
}

function notRunning({ owner, name }: AgentRow): RegentError {
  return new RegentError('ILLEGAL_STATE', `${owner}/${name} does not run`, { hint: `start it: regent start ${owner}/${name}` })
}
