import { z } from 'zod'

const approvalStates = ['pending', 'confirmed', 'rejected'] as const

/** A tool call that waits for a yes or a no; `answered_by` is `timeout` where its default was taken. */
export const approvalView = z
  .object({
    id: z.string(),
    agent: z.string().describe('owner/name; of a worker: what it is and the beginning of its id'),
    agent_id: z.string().nullable(),
    worker_id: z.string().nullable().describe('where it is what the CLI of a worker wants to do'),
    subagent: z.string(),
    message_id: z.string().nullable().describe('the message it is worked on for'),
    server: z.string(),
    tool: z.string(),
    arguments: z.record(z.string(), z.unknown()),
    state: z.enum(approvalStates),
    default: z.enum(['confirm', 'reject']).describe('what happens when nobody answers'),
    requested_at: z.number().int(),
    expires_at: z.number().int().describe('epoch ms'),
    answered_at: z.number().int().nullable(),
    answered_by: z.string().nullable(),
    via: z.string().nullable().describe('the door that brought the answer'),
  })
  .meta({ id: 'Approval' })
export type ApprovalView = z.output<typeof approvalView>
