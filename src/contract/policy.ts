import { z } from 'zod'
import { agentName } from './names.ts'

const variableText = z.string().refine((value) => !value.includes('\0'), 'must not contain NUL')
const seconds = (least: number, most: number) => z.number().min(least).max(most)

/** What another agent of the same owner must have reached before this one is started. */
const dependencyConditions = ['started', 'healthy', 'exited'] as const
const dependency = z
  .object({
    condition: z
      .enum(dependencyConditions)
      .default('started')
      .describe('started: RUNNING; healthy: RUNNING, and its probes succeed; exited: its last run ended with 0'),
  })
  .strict()
  .meta({ id: 'Dependency' })

/** All of them are looked at with each change of one. */
const MOST_DEPENDENCIES = 1000

const timing = {
  interval: seconds(0.1, 86_400).default(10).describe('seconds from one look to the next'),
  timeout: seconds(0.1, 3600).default(5).describe('seconds until a look counts as failed'),
  failures: z.number().int().min(1).max(1000).default(3).describe('failed looks in a row that make it unhealthy'),
  successes: z.number().int().min(1).max(1000).default(1).describe('good looks in a row that make it healthy again'),
  delay: seconds(0, 86_400).default(0).describe('seconds after its start until the first look'),
}

/** One way of looking whether an agent works. */
export const probe = z
  .discriminatedUnion('type', [
    z
      .object({
        type: z.literal('exec'),
        command: z.array(variableText).min(1).max(1000).describe('run where the agent runs; 0 is well'),
        ...timing,
      })
      .strict(),
    z
      .object({
        type: z.literal('http'),
        url: z.string().regex(/^https?:\/\/[^\s/]+/, 'must be an http:// or https:// address'),
        status: z.number().int().min(100).max(599).optional().describe('the status that is well; default: any from 200 to 399'),
        ...timing,
      })
      .strict(),
    z
      .object({
        type: z.literal('tcp'),
        host: z.string().min(1).max(253).default('127.0.0.1'),
        port: z.number().int().min(1).max(65_535),
        ...timing,
      })
      .strict(),
    z.object({ type: z.literal('heartbeat').describe('its runner answers; for kinds that have one'), ...timing }).strict(),
  ])
  .meta({ id: 'Probe' })
export type Probe = z.output<typeof probe>

const probes = z
  .object({
    liveness: probe.optional().describe('unhealthy: restarted, where its restart policy is not never'),
    readiness: probe.optional().describe('unhealthy: shown, and whoever depends on it waits'),
  })
  .strict()

const stallSteps = ['warn', 'nudge', 'restart'] as const
const stalled = z
  .object({
    after: seconds(1, 604_800).describe('seconds without output or any other sign of work while it should work'),
    every: seconds(1, 604_800).optional().describe('seconds between the steps; default: as `after`'),
    steps: z.array(z.enum(stallSteps)).min(1).max(10).default(['warn', 'nudge', 'restart']).describe('taken one after the other'),
    nudge: z.string().min(1).max(4000).optional().describe('message for kinds with a runner; a plain program is sent SIGCONT'),
  })
  .strict()
  .meta({ id: 'StalledRule' })

const schedule = z
  .object({
    cron: z.string().min(1).max(200).describe('five or six fields, or @hourly, @daily, …'),
    timezone: z.string().min(1).max(100).default('UTC').describe('IANA name, such as Europe/Berlin'),
    action: z.enum(['start', 'restart', 'stop']).default('start'),
    missed: z.enum(['skip', 'once']).default('skip').describe('what becomes of times that passed while Regent was down'),
  })
  .strict()
  .meta({ id: 'Schedule' })

/** How its life is watched; every kind has it. Times in seconds, as supervisord's users write them. */
export const policy = z
  .object({
    restart: z.enum(['always', 'on-failure', 'never']).describe('when it is started again after it ended by itself'),
    startsecs: z.number().min(0).max(3600).default(1).describe('seconds alive until STARTING becomes RUNNING'),
    startretries: z.number().int().min(0).max(1000).default(3).describe('deaths before RUNNING, one more is FATAL'),
    stop_signal: z.enum(['TERM', 'INT', 'HUP', 'QUIT', 'KILL', 'USR1', 'USR2']).default('TERM'),
    stop_grace: z.number().min(0).max(3600).default(10).describe('seconds between the stop signal and KILL'),
    exit_codes: z
      .array(z.number().int().min(0).max(255))
      .max(256)
      .optional()
      .describe('exit codes that on-failure takes for success; default: 0'),
    autostart: z.boolean().optional().describe('start again after a reboot, where it was wanted before; default: true'),
    depends_on: z
      .record(agentName, dependency)
      .refine((all) => Object.keys(all).length <= MOST_DEPENDENCIES, `must name at most ${MOST_DEPENDENCIES} agents`)
      .optional()
      .describe('agents of the same owner, by name'),
    probes: probes.optional(),
    stalled: stalled.optional().describe('what to do when it lives and does nothing; off unless given'),
    schedules: z.array(schedule).max(20).optional().describe('when it is started, restarted or stopped'),
  })
  .meta({ id: 'Policy' })
export type Policy = z.output<typeof policy>
export const policyInput = policy.partial().strict()
