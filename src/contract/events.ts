import { z } from 'zod'

/** Everything that can happen, in the past tense. A door translates these; nothing is told that is not one of them. */
export const eventTypes = [
  'agent.created',
  'agent.updated',
  'agent.deleted',
  'agent.start_requested',
  'agent.stop_requested',
  'agent.restart_requested',
  'agent.start_held',
  'agent.activity_changed',
  'agent.condition_raised',
  'agent.condition_cleared',
  'agent.health_changed',
  'agent.ready_changed',
  'agent.stalled',
  'agent.schedule_fired',
  'agent.signalled',
  'agent.logs_cleared',
  'run.starting',
  'run.running',
  'run.stopping',
  'run.stopped',
  'run.exited',
  'run.backoff',
  'run.fatal',
  'run.unknown',
  'run.adopted',
  'message.queued',
  'message.delivered',
  'message.acknowledged',
  'message.dead',
  'message.requeued',
  'message.dropped',
  'message.sent',
  'approval.requested',
  'approval.answered',
  'usage.recorded',
  'worker.queued',
  'worker.started',
  'worker.adopted',
  'worker.session',
  'worker.said',
  'worker.tool_called',
  'worker.usage',
  'worker.limited',
  'worker.cancel_requested',
  'worker.completed',
  'worker.failed',
  'worker.cancelled',
  'worker.claimed',
  'worker.deleted',
  'race.started',
  'race.judged',
  'race.decided',
  'race.failed',
  'race.cancelled',
  'command.refused',
  'token.created',
  'token.revoked',
  'runtime.part_lost',
  'runtime.part_restored',
  'broker.lost',
  'broker.restored',
  'regent.started',
  'regent.stopping',
] as const
export type EventType = (typeof eventTypes)[number]

/**
 * What tells how things are and not what became of them: of these, and of no others, the oldest are forgotten where a broker is away
 * for so long that the journal grows over its bounds.
 */
export const droppableEvents: readonly EventType[] = [
  'agent.activity_changed',
  'agent.condition_raised',
  'agent.condition_cleared',
  'agent.health_changed',
  'agent.ready_changed',
  'usage.recorded',
  'worker.said',
  'worker.tool_called',
  'worker.usage',
]

/** One thing that happened. `number` only grows; events become visible in its order. */
export const eventView = z
  .object({
    number: z.number().int(),
    at: z.number().int().describe('epoch ms'),
    type: z.enum(eventTypes),
    agent_id: z.string().nullable().describe('of the agent or worker that it tells of: one space of ids'),
    agent: z.string().nullable().describe('owner/name'),
    owner: z.string().nullable().describe('whose it is; null for events that only admins see'),
    actor: z.string().describe('who caused it: a user, `regent`, `agent`, or `schedule`'),
    data: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'Event' })
export type EventView = z.output<typeof eventView>

/** Passed on while they happen and not journalled: pieces of an answer that is being written. */
export interface Delta {
  readonly agentId: string
  readonly owner: string
  readonly agent: string
  readonly messageId: string
  readonly author: string
  readonly text: string
}
