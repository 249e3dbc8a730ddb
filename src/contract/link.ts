import { z } from 'zod'
import { condition } from './agents.ts'
import { sayTypes } from './messages.ts'
import { activities } from './states.ts'

/**
 * The frames between a runner and Regent: JSON texts on a WebSocket at `/link`, opened by the runner with the address and
 * run token of `link.json` in its run directory (`Authorization: Bearer`). The runner's journal is the truth of what it did: its
 * outgoing rows are numbered, resent from Regent's cursor after every reconnect, and taken in exactly once. A runner of version 1 gets each
 * message in a frame of its own and tells each acceptance so; from 2 on both travel in lists.
 */
export const LINK_VERSION = 2

/** `link.json`. */
export const linkFile = z.object({ url: z.string(), token: z.string() })
export type LinkInfo = z.output<typeof linkFile>

const approval = z.object({
  id: z.string(),
  message_id: z.string().nullable(),
  subagent: z.string(),
  server: z.string(),
  tool: z.string(),
  arguments: z.record(z.string(), z.unknown()),
  default: z.enum(['confirm', 'reject']),
  requested_at: z.number().int(),
  expires_at: z.number().int(),
})

/** One thing that a runner did, as its journal has it. */
export const outRow = z.object({
  seq: z.number().int().positive(),
  at: z.number().int(),
  body: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('say'),
      id: z.string(),
      type: z.enum(sayTypes),
      content: z.unknown(),
      metadata: z.record(z.string(), z.unknown()).default({}),
      author: z.string(),
      reply_to: z.string().nullable(),
      final: z.boolean().default(false),
    }),
    /** A message that the runner took from its own channel, in the place of Regent's inbox; `via` is the topic. */
    z.object({
      kind: z.literal('heard'),
      message_id: z.string(),
      conversation: z.string(),
      sender: z.string(),
      content: z.string(),
      metadata: z.record(z.string(), z.unknown()).default({}),
      via: z.string(),
    }),
    z.object({ kind: z.literal('tried'), message_id: z.string(), tries: z.number().int() }),
    z.object({ kind: z.literal('done'), message_id: z.string() }),
    z.object({ kind: z.literal('failed'), message_id: z.string(), reason: z.string() }),
    z.object({ kind: z.literal('approval_requested'), approval }),
    z.object({ kind: z.literal('approval_closed'), id: z.string(), confirmed: z.boolean(), by: z.string(), via: z.string() }),
    z.object({
      kind: z.literal('usage'),
      model: z.string(),
      input_tokens: z.number().int(),
      output_tokens: z.number().int(),
      cost_usd: z.number().nullable(),
    }),
  ]),
})
export type OutRow = z.output<typeof outRow>
export type OutBody = OutRow['body']

/** What the ids of messages begin with that a runner took from its own channel: it has them, whatever Regent knows of them. */
export const heardIds = (agentId: string): string => `heard:${agentId}:`

/** Runner to Regent. */
export const fromRunner = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('hello'),
    version: z.number().int(),
    agent_id: z.string(),
    run_id: z.string(),
    activity: z.enum(activities),
    conditions: z.array(condition),
  }),
  /** The message stands in the runner's journal; Regent need not send it again. */
  z.object({ type: z.literal('accepted'), message_id: z.string() }),
  /** What was done, in order, and messages that stand in the journal: told with the end of their work where that comes soon. */
  z.object({ type: z.literal('out'), rows: z.array(outRow).max(500), accepted: z.array(z.string()).max(1000).optional() }),
  z.object({ type: z.literal('activity'), activity: z.enum(activities) }),
  /** All conditions that hold now. */
  z.object({ type: z.literal('conditions'), conditions: z.array(condition) }),
  z.object({ type: z.literal('delta'), message_id: z.string(), author: z.string(), text: z.string() }),
  /** What became of an answer that Regent brought: `outcome` late = already closed otherwise. */
  z.object({
    type: z.literal('answered'),
    approval_id: z.string(),
    nonce: z.string(),
    outcome: z.enum(['accepted', 'late', 'unknown']),
    confirmed: z.boolean().nullable(),
    by: z.string().nullable(),
  }),
])
export type FromRunner = z.output<typeof fromRunner>

const sentMessage = z.object({
  id: z.string(),
  number: z.number().int(),
  conversation: z.string(),
  sender: z.string(),
  content: z.string(),
  metadata: z.record(z.string(), z.unknown()),
})
export type SentMessage = z.output<typeof sentMessage>

/** Regent to runner. */
export const fromRegent = z.discriminatedUnion('type', [
  /** `cursor`: the last out row that Regent has taken in; the runner resends from there. */
  z.object({ type: z.literal('welcome'), version: z.number().int(), cursor: z.number().int() }),
  sentMessage.extend({ type: z.literal('message') }),
  /** From version 2 on. */
  z.object({ type: z.literal('messages'), messages: z.array(sentMessage).max(1000) }),
  z.object({ type: z.literal('confirmed'), cursor: z.number().int() }),
  z.object({
    type: z.literal('answer'),
    approval_id: z.string(),
    nonce: z.string(),
    confirmed: z.boolean(),
    by: z.string(),
    via: z.string(),
  }),
  /**
   * Whether the agent holds the channel that its definition names now, and the first topic of that, '' for none at a broker: a run of an older
   * definition has lost its own. Said after the welcome and when it changes.
   */
  z.object({ type: z.literal('channel'), held: z.boolean(), topic: z.string() }),
  /** The run is not the agent's present one: it must end. */
  z.object({ type: z.literal('refused'), reason: z.string() }),
])
export type FromRegent = z.output<typeof fromRegent>

/** Variables of a runner's environment that are its own, never its MCP servers'. */
export const runnerVariables = {
  runId: 'REGENT_RUN_ID',
  agentId: 'REGENT_AGENT_ID',
  agent: 'REGENT_AGENT',
  /** Folder for the runner's journal, kept over restarts. */
  stateDir: 'REGENT_AGENT_STATE',
  /** The run directory, where link.json is. */
  runDir: 'REGENT_RUN_DIR',
  /** Number of the start that a caller asked for: the same over automatic restarts, so that an initial task runs once per start. */
  start: 'REGENT_START',
  /** `refused` where another owner holds the channel of the definition. */
  channel: 'REGENT_CHANNEL',
  /** Secrets of the definition as a JSON object, key to value. */
  secrets: 'REGENT_AGENT_SECRETS',
} as const
