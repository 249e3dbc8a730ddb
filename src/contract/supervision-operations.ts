import { z } from 'zod'
import { agentView } from './agents.ts'
import { agent, count, define, flag, timeout, wait } from './define.ts'
import { agentRef, userName } from './names.ts'

/** A moment as people write it: epoch ms, an ISO time, or how long ago: `10m`. */
const moment = z
  .union([z.number().int().min(0), z.string().min(1).max(100)])
  .describe('epoch ms, an ISO 8601 time, or a duration ago such as 10m')

const logQuery = {
  tail: count(0, 1_000_000)
    .optional()
    .describe('the last lines of each agent that the other conditions leave; default 100, with since all of them'),
  follow: flag.default(false),
  since: moment.optional().describe('only what was printed from then on'),
  stream: z.enum(['stdout', 'stderr']).optional(),
  contains: z.string().min(1).max(1000).optional().describe('only lines that hold this text'),
}

const logLine = z
  .object({
    run_id: z.string(),
    stream: z.enum(['stdout', 'stderr']),
    at: z.number().nullable().describe('epoch ms, with fractions: the order of lines'),
    text: z.string(),
  })
  .meta({ id: 'LogLine' })

const refs = z.preprocess((value) => (typeof value === 'string' ? value.split(',') : value), z.array(agentRef).min(1).max(10_000))

/** What may be asked about an agent's life beside start, stop, restart and delete. */
export const supervisionOperations = {
  'agents.logs': define({
    name: 'agents.logs',
    summary: "Read an agent's output",
    effect: 'read',
    role: 'read-only',
    reply: 'stream',
    http: { method: 'GET', path: '/api/v1/agents/:agent/logs' },
    input: z.object({ ...agent, ...logQuery }).strict(),
    output: logLine,
  }),
  'logs.stream': define({
    name: 'logs.stream',
    summary: 'Read the output of several agents, merged in the order of time',
    effect: 'read',
    role: 'read-only',
    reply: 'stream',
    http: { method: 'GET', path: '/api/v1/logs' },
    input: z
      .object({ agents: refs.optional().describe('default: all that the caller may see'), owner: userName.optional(), ...logQuery })
      .strict(),
    output: logLine.extend({ agent: z.string().describe('owner/name'), agent_id: z.string() }),
  }),
  'agents.clear_logs': define({
    name: 'agents.clear_logs',
    summary: "Forget an agent's output",
    effect: 'destroy',
    role: 'user',
    reply: 'value',
    http: { method: 'POST', path: '/api/v1/agents/:agent/logs/clear' },
    input: z.object(agent).strict(),
    output: z.object({ cleared: z.boolean() }),
  }),
  'agents.signal': define({
    name: 'agents.signal',
    summary: "Send a signal to an agent's main process",
    effect: 'change',
    role: 'user',
    reply: 'value',
    http: { method: 'POST', path: '/api/v1/agents/:agent/signal' },
    input: z.object({ ...agent, signal: z.enum(['HUP', 'INT', 'QUIT', 'USR1', 'USR2', 'TERM', 'KILL', 'STOP', 'CONT', 'WINCH']) }).strict(),
    output: z.object({ sent: z.boolean(), pid: z.number().int().nullable() }),
  }),
  'agents.stop_all': define({
    name: 'agents.stop_all',
    summary: 'Stop several agents at once; who depends on another is stopped before it',
    effect: 'change',
    role: 'user',
    reply: 'value',
    http: { method: 'POST', path: '/api/v1/agents/stop' },
    input: z.object({ agents: refs.optional().describe('default: all that the caller may touch'), wait, timeout }).strict(),
    output: z.object({ agents: z.array(agentView.extend({ survivors: z.array(z.number().int()) })) }),
  }),
  'agents.timeline': define({
    name: 'agents.timeline',
    summary: 'Why an agent is in its state: each change with its cause, in words; newest last',
    effect: 'read',
    role: 'read-only',
    reply: 'value',
    http: { method: 'GET', path: '/api/v1/agents/:agent/timeline' },
    input: z.object({ ...agent, limit: count(1, 500).default(50), before: count(1, Number.MAX_SAFE_INTEGER).optional() }).strict(),
    output: z.object({
      state: z.string(),
      why: z.string().describe('one sentence on the present state'),
      entries: z.array(
        z
          .object({
            number: z.number().int().describe('of the event'),
            at: z.number().int(),
            type: z.string(),
            actor: z.string(),
            state: z.string().nullable().describe('the state it led to'),
            text: z.string(),
          })
          .meta({ id: 'TimelineEntry' }),
      ),
    }),
  }),
  'system.backup': define({
    name: 'system.backup',
    summary: 'Write a backup of the home to a file on the machine of this Regent, while it runs',
    effect: 'change',
    role: 'admin',
    reply: 'value',
    http: { method: 'POST', path: '/api/v1/backup' },
    input: z
      .object({
        file: z.string().min(1).max(4096).startsWith('/', 'must be an absolute path').describe('absolute; must not be there yet'),
        logs: flag.default(false).describe('with what agents printed'),
      })
      .strict(),
    output: z.object({ file: z.string(), bytes: z.number().int(), agents: z.number().int() }),
  }),
} as const
