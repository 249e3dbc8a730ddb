import { z } from 'zod'
import { from, seconds, words } from './setting.ts'

const many = z.int().min(1).max(10_000)
const bound = (text: string) => z.number().positive().optional().describe(text)

/** `[workers]` */
export const workers = z
  .strictObject({
    max_active: from(many.default(10).describe('active workers of a client, beyond which create_async_worker refuses; others are queued'), {
      env: ['REGENT_WORKERS_MAX_ACTIVE'],
    }),
    running: from(many.default(32).describe('workers that run at once'), { env: ['REGENT_WORKERS_RUNNING'] }),
    running_per_owner: from(many.default(32).describe('of them, of one owner'), { env: ['REGENT_WORKERS_RUNNING_PER_OWNER'] }),
    running_per_namespace: from(many.default(10).describe('of them, of one namespace of an owner'), {
      env: ['REGENT_WORKERS_RUNNING_PER_NAMESPACE'],
    }),
    running_per_agent: from(
      words('of them, of one coding agent: "claude=5", "codex=2"').refine(
        (list) => list.every((word) => /^[a-z][a-z0-9-]*=[1-9]\d{0,4}$/.test(word)),
        'must be such as "claude=5"',
      ),
      { env: ['REGENT_WORKERS_RUNNING_PER_AGENT'] },
    ),
    api: from(
      z
        .enum(['readme', 'state'])
        .default('readme')
        .describe('what `wait` of the worker tools answers: one winner, and an error when time is over; or the state of all'),
      { env: ['REGENT_WORKERS_API'] },
    ),
    owner_usd_per_day: from(bound('money that an owner may spend on workers in 24 hours, in US dollars'), {
      env: ['REGENT_WORKERS_OWNER_USD_PER_DAY'],
    }),
    owner_tokens_per_day: from(z.int().positive().optional().describe('tokens, likewise'), {
      env: ['REGENT_WORKERS_OWNER_TOKENS_PER_DAY'],
    }),
    owner_seconds_per_day: from(bound('seconds of running, likewise'), { env: ['REGENT_WORKERS_OWNER_SECONDS_PER_DAY'] }),
    keep: from(
      z
        .union([seconds(60, 315_360_000), z.literal('off')])
        .default('30d')
        .describe('time after which workers that have ended, and were claimed, are forgotten'),
      { env: ['REGENT_WORKERS_KEEP'] },
    ),
  })
  .prefault({})
  .describe('tasks for coding agents')
