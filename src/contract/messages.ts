import { z } from 'zod'

/** Types of the envelope on an agent's channel, outbound (CONTRACT.md 1.4). */
export const sayTypes = ['user', 'assistant', 'tool_call', 'tool_result', 'prompt_loaded', 'tool_update', 'notice'] as const
export type SayType = (typeof sayTypes)[number]

/** What travels on a channel: `{"type","content","channel_id","metadata"}`. */
export const envelope = z.looseObject({
  type: z.string(),
  content: z.unknown(),
  channel_id: z.string().optional(),
  metadata: z.record(z.string(), z.unknown()).optional(),
})
export type Envelope = z.output<typeof envelope>

/** queued: accepted, not with the agent. delivered: in the agent's own journal. acknowledged: worked through. dead: given up, with a reason. */
export const inboxStates = ['queued', 'delivered', 'acknowledged', 'dead'] as const
export type InboxState = (typeof inboxStates)[number]

/** A message to an agent (`direction` in) or from it (out). */
export const messageView = z
  .object({
    id: z.string(),
    number: z.number().int().describe('grows in the order of acceptance'),
    agent: z.string().describe('owner/name'),
    agent_id: z.string(),
    conversation: z.string(),
    direction: z.enum(['in', 'out']),
    type: z.enum(sayTypes),
    content: z.unknown().describe('text, or an object for tool_call and tool_result'),
    metadata: z.record(z.string(), z.unknown()),
    sender: z.string(),
    reply_to: z.string().nullable().describe('id of the message that it answers'),
    final: z.boolean().describe('true for the reply that ends the work on reply_to'),
    state: z.enum(inboxStates).nullable().describe('of an inbound message'),
    tries: z.number().int(),
    reason: z.string().nullable().describe('why it is dead'),
    at: z.number().int().describe('epoch ms'),
  })
  .meta({ id: 'Message' })
export type MessageView = z.output<typeof messageView>
