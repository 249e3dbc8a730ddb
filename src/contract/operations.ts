import { z } from 'zod'
import { agentDetail, agentView, limits, newAgent } from './agents.ts'
import { approvalView } from './approvals.ts'
import { busOperations } from './bus-operations.ts'
import { agent, count, define, flag, nextCursor, page, timeout, wait } from './define.ts'
import { eventTypes, eventView } from './events.ts'
import { messageView } from './messages.ts'
import { agentRef, userName } from './names.ts'
import type { OperationShape } from './operation.ts'
import { policyInput } from './policy.ts'
import { supervisionOperations } from './supervision-operations.ts'
import { systemStatus } from './system.ts'
import { roles, tokenView } from './tokens.ts'
import { workerOperations } from './worker-operations.ts'

const list = z.preprocess((value) => (typeof value === 'string' ? value.split(',') : value), z.array(z.enum(eventTypes)))

export const operations = {
  'agents.create': define({
    name: 'agents.create',
    summary: 'Create an agent',
    effect: 'change',
    role: 'user',
    reply: 'value',
    http: { method: 'POST', path: '/api/v1/agents' },
    input: z.object({ agent: newAgent, start: flag.default(false).describe('start it at once') }).strict(),
    output: agentDetail,
  }),
  'agents.apply': define({
    name: 'agents.apply',
    summary: 'Create an agent, or change it to what is given; takes effect at its next start',
    effect: 'change',
    role: 'user',
    reply: 'value',
    http: { method: 'POST', path: '/api/v1/agents/apply' },
    input: z.object({ agent: newAgent }).strict(),
    output: z.object({ agent: agentDetail, outcome: z.enum(['created', 'changed', 'unchanged']), notes: z.array(z.string()) }),
  }),
  'agents.list': define({
    name: 'agents.list',
    summary: 'List agents',
    effect: 'read',
    role: 'read-only',
    reply: 'value',
    http: { method: 'GET', path: '/api/v1/agents' },
    input: z.object({ owner: userName.optional(), ...page }).strict(),
    output: z.object({ agents: z.array(agentView), next_cursor: nextCursor }),
  }),
  'agents.get': define({
    name: 'agents.get',
    summary: 'Show an agent with its definition',
    effect: 'read',
    role: 'read-only',
    reply: 'value',
    http: { method: 'GET', path: '/api/v1/agents/:agent' },
    input: z.object(agent).strict(),
    output: agentDetail,
  }),
  'agents.update': define({
    name: 'agents.update',
    summary: "Change parts of an agent's definition; takes effect at its next start",
    effect: 'change',
    role: 'user',
    reply: 'value',
    http: { method: 'PATCH', path: '/api/v1/agents/:agent' },
    input: z
      .object({
        ...agent,
        definition: z.record(z.string(), z.unknown()).optional().describe('keys of the definition to replace; null removes one'),
        policy: policyInput.optional(),
        limits: limits.optional(),
        if_revision: count(1, Number.MAX_SAFE_INTEGER).optional().describe('refuse when the definition has another revision'),
      })
      .strict(),
    output: agentDetail,
  }),
  'agents.start': define({
    name: 'agents.start',
    summary: 'Start an agent; starting a running one succeeds',
    effect: 'change',
    role: 'user',
    reply: 'value',
    http: { method: 'POST', path: '/api/v1/agents/:agent/start' },
    input: z.object({ ...agent, wait, timeout }).strict(),
    output: agentView,
  }),
  'agents.stop': define({
    name: 'agents.stop',
    summary: 'Stop an agent with everything it started; stopping a stopped one succeeds',
    effect: 'change',
    role: 'user',
    reply: 'value',
    http: { method: 'POST', path: '/api/v1/agents/:agent/stop' },
    input: z.object({ ...agent, wait, timeout }).strict(),
    output: agentView.extend({ survivors: z.array(z.number().int()).describe('pids that could not be ended at this stop level') }),
  }),
  'agents.restart': define({
    name: 'agents.restart',
    summary: 'Stop an agent, if it runs, and start it',
    effect: 'change',
    role: 'user',
    reply: 'value',
    http: { method: 'POST', path: '/api/v1/agents/:agent/restart' },
    input: z.object({ ...agent, wait, timeout }).strict(),
    output: agentView,
  }),
  'agents.delete': define({
    name: 'agents.delete',
    summary: 'Stop an agent and remove it with its files',
    effect: 'destroy',
    role: 'user',
    reply: 'value',
    http: { method: 'DELETE', path: '/api/v1/agents/:agent' },
    input: z.object({ ...agent, wait, timeout }).strict(),
    output: z.object({ id: z.string(), owner: z.string(), name: z.string(), deleted: z.boolean() }),
  }),
  ...supervisionOperations,
  'messages.send': define({
    name: 'messages.send',
    summary: 'Send a message to an agent; it waits while the agent is stopped or busy',
    effect: 'change',
    role: 'user',
    reply: 'value',
    http: { method: 'POST', path: '/api/v1/agents/:agent/messages' },
    input: z
      .object({
        ...agent,
        content: z.string().min(1).max(1_000_000),
        id: z.uuid().optional().describe('the same id again has one effect'),
        conversation: z.string().min(1).max(200).default('main'),
        metadata: z.record(z.string(), z.unknown()).default({}),
        wait,
        timeout,
      })
      .strict(),
    output: z.object({ message: messageView, reply: messageView.nullable().describe('with wait: the final reply') }),
  }),
  'messages.send_many': define({
    name: 'messages.send_many',
    summary: 'Send many messages to an agent at once, in their order: all of them are accepted, or none',
    effect: 'change',
    role: 'user',
    reply: 'value',
    http: { method: 'POST', path: '/api/v1/agents/:agent/messages/batch' },
    input: z
      .object({
        ...agent,
        messages: z
          .array(
            z.strictObject({
              content: z.string().min(1).max(1_000_000),
              id: z.uuid().optional().describe('the same id again has one effect'),
              conversation: z.string().min(1).max(200).default('main'),
              metadata: z.record(z.string(), z.unknown()).default({}),
            }),
          )
          .min(1)
          .max(1000),
      })
      .strict(),
    output: z.object({
      ids: z.array(z.string()).describe('of the messages, in their order; what they answer: messages.list, or the events'),
    }),
  }),
  'messages.list': define({
    name: 'messages.list',
    summary: 'Read the conversation with an agent',
    effect: 'read',
    role: 'read-only',
    reply: 'value',
    http: { method: 'GET', path: '/api/v1/agents/:agent/messages' },
    input: z
      .object({
        ...agent,
        conversation: z.string().optional(),
        after: count(0, Number.MAX_SAFE_INTEGER).optional(),
        limit: count(1, 500).default(100),
      })
      .strict(),
    output: z.object({ messages: z.array(messageView) }),
  }),
  'messages.get': define({
    name: 'messages.get',
    summary: 'One message, and its final reply where there is one',
    effect: 'read',
    role: 'read-only',
    reply: 'value',
    http: { method: 'GET', path: '/api/v1/messages/:id' },
    input: z.object({ id: z.string().min(1).max(200) }).strict(),
    output: z.object({ message: messageView, reply: messageView.nullable() }),
  }),
  'events.list': define({
    name: 'events.list',
    summary: 'Read the journal from a position',
    effect: 'read',
    role: 'read-only',
    reply: 'value',
    http: { method: 'GET', path: '/api/v1/events/history' },
    input: z
      .object({
        after: count(0, Number.MAX_SAFE_INTEGER).default(0),
        limit: count(1, 1000).default(100),
        agent: agentRef.optional(),
        types: list.optional(),
      })
      .strict(),
    output: z.object({ events: z.array(eventView), oldest: z.number().int(), newest: z.number().int() }),
  }),
  'events.stream': define({
    name: 'events.stream',
    summary: 'Follow the journal; answers being written come as deltas',
    effect: 'read',
    role: 'read-only',
    reply: 'stream',
    http: { method: 'GET', path: '/api/v1/events' },
    input: z
      .object({
        after: count(0, Number.MAX_SAFE_INTEGER).optional().describe('replay what came after this event; default: from now on'),
        agent: agentRef.optional(),
        types: list.optional(),
        deltas: flag.default(false),
      })
      .strict(),
    output: z.discriminatedUnion('kind', [
      z.object({ kind: z.literal('event'), event: eventView }),
      z.object({
        kind: z.literal('delta'),
        agent: z.string(),
        agent_id: z.string(),
        message_id: z.string(),
        author: z.string(),
        text: z.string(),
      }),
      z
        .object({ kind: z.literal('resync'), oldest: z.number().int(), newest: z.number().int() })
        .describe('the position fell out of the kept window: read the state anew'),
    ]),
  }),
  'approvals.list': define({
    name: 'approvals.list',
    summary: 'Tool calls that wait for a yes or a no',
    effect: 'read',
    role: 'read-only',
    reply: 'value',
    http: { method: 'GET', path: '/api/v1/approvals' },
    input: z
      .object({
        agent: agentRef.optional(),
        state: z.enum(['pending', 'confirmed', 'rejected', 'all']).default('pending'),
        limit: count(1, 500).default(100),
      })
      .strict(),
    output: z.object({ approvals: z.array(approvalView) }),
  }),
  'approvals.get': define({
    name: 'approvals.get',
    summary: 'Show an approval',
    effect: 'read',
    role: 'read-only',
    reply: 'value',
    http: { method: 'GET', path: '/api/v1/approvals/:id' },
    input: z.object({ id: z.string().min(1).max(200) }).strict(),
    output: approvalView,
  }),
  'approvals.approve': define({
    name: 'approvals.approve',
    summary: 'Let the tool call run',
    effect: 'change',
    role: 'user',
    reply: 'value',
    http: { method: 'POST', path: '/api/v1/approvals/:id/approve' },
    input: z.object({ id: z.string().min(1).max(200) }).strict(),
    output: approvalView,
  }),
  'approvals.reject': define({
    name: 'approvals.reject',
    summary: 'Refuse the tool call; the agent is told',
    effect: 'change',
    role: 'user',
    reply: 'value',
    http: { method: 'POST', path: '/api/v1/approvals/:id/reject' },
    input: z.object({ id: z.string().min(1).max(200) }).strict(),
    output: approvalView,
  }),
  'tokens.create': define({
    name: 'tokens.create',
    summary: 'Create a token; it is shown once',
    effect: 'change',
    role: 'admin',
    reply: 'value',
    http: { method: 'POST', path: '/api/v1/tokens' },
    input: z.object({ user: userName, role: z.enum(roles).default('user') }).strict(),
    output: tokenView.extend({ token: z.string() }),
  }),
  'tokens.list': define({
    name: 'tokens.list',
    summary: 'List tokens',
    effect: 'read',
    role: 'admin',
    reply: 'value',
    http: { method: 'GET', path: '/api/v1/tokens' },
    input: z.object({}).strict(),
    output: z.object({ tokens: z.array(tokenView) }),
  }),
  'tokens.revoke': define({
    name: 'tokens.revoke',
    summary: 'Revoke a token, or all of a user',
    effect: 'destroy',
    role: 'admin',
    reply: 'value',
    http: { method: 'DELETE', path: '/api/v1/tokens/:token' },
    input: z.object({ token: z.string().min(1).max(200).describe('its id, a unique prefix of it, or a user') }).strict(),
    output: z.object({ revoked: z.array(tokenView) }),
  }),
  ...busOperations,
  ...workerOperations,
  'system.status': define({
    name: 'system.status',
    summary: 'What this Regent is, what it can do here, and what is missing',
    effect: 'read',
    role: 'read-only',
    reply: 'value',
    http: { method: 'GET', path: '/api/v1/status' },
    input: z.object({}).strict(),
    output: systemStatus,
  }),
} as const

export type OperationName = keyof typeof operations
export type Input<N extends OperationName> = z.output<(typeof operations)[N]['input']>
export type Output<N extends OperationName> = z.output<(typeof operations)[N]['output']>
export type StreamName = { [N in OperationName]: (typeof operations)[N]['reply'] extends 'stream' ? N : never }[OperationName]
export type ValueName = Exclude<OperationName, StreamName>

/** The table as the doors read it: one erased type, since a union of the exact ones cannot be called. */
export const operationList: readonly OperationShape[] = Object.values(operations)
