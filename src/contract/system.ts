import { z } from 'zod'
import { condition } from './agents.ts'

/** One thing that Regent stands on, as `/readyz` and `regent doctor` tell it. */
export const check = z
  .object({
    name: z.string().describe('store, runtime, bus, disk, model, …'),
    ok: z.boolean(),
    message: z.string().describe('what it is, or what is wrong and what to do'),
    /** false: Regent serves without it. */
    required: z.boolean(),
  })
  .meta({ id: 'Check' })
export type Check = z.output<typeof check>

export const systemStatus = z
  .object({
    version: z.string(),
    node: z.string(),
    home: z.string(),
    project: z.string(),
    pid: z.number().int(),
    started_at: z.number().int(),
    uptime_ms: z.number().int(),
    auth: z.enum(['auto', 'token', 'none']),
    store: z.string(),
    bus: z.string(),
    runtime: z.string(),
    stop_level: z.enum(['A', 'B', 'C', 'D']),
    agents: z.object({ total: z.number().int(), by_state: z.record(z.string(), z.number().int()) }),
    workers: z
      .object({ active: z.number().int(), by_state: z.record(z.string(), z.number().int()) })
      .describe('that are queued, run, or wait for their provider'),
    messages_waiting: z.number().int(),
    approvals_pending: z.number().int(),
    newest_event: z.number().int(),
    process: z
      .object({
        memory_bytes: z.number().int(),
        open_files: z.number().int().nullable(),
        event_loop_lag_ms: z.number().nullable().describe('how late 99 of 100 timers fire at most; null for the first who asks'),
      })
      .describe('what Regent itself takes'),
    checks: z.array(check),
    conditions: z.array(condition.extend({ agent: z.string() })).describe('of all agents the caller may see'),
    ready: z.boolean(),
  })
  .meta({ id: 'SystemStatus' })
export type SystemStatus = z.output<typeof systemStatus>
