import { z } from 'zod'
import { count, define, flag, nextCursor, page, timeout } from './define.ts'
import { userName } from './names.ts'
import {
  namespaceName,
  newRace,
  newWorker,
  outputItem,
  pendingPermission,
  promptText,
  raceStates,
  raceView,
  workerStates,
  workerView,
} from './workers.ts'

const workerRef = z.string().min(1).max(200).describe('id, or a unique prefix of 4 or more characters')
const worker = { worker: workerRef }
const race = { race: z.string().min(1).max(200) }
const listOf = <T extends z.ZodType>(item: T, most: number) =>
  z.preprocess((value) => (typeof value === 'string' ? value.split(',') : value), z.array(item).max(most))
const crew = { owner: userName.optional().describe('default: the caller'), namespace: namespaceName.default('default') }
const waits = flag.default(true).describe('false: answer what there is now')

/** What may be asked about workers and races. */
export const workerOperations = {
  'workers.create': define({
    name: 'workers.create',
    summary: 'Give a task to a coding agent; it is queued, and runs when there is room',
    effect: 'change',
    role: 'user',
    reply: 'value',
    http: { method: 'POST', path: '/api/v1/workers' },
    input: z.object({ worker: newWorker }).strict(),
    output: workerView,
  }),
  'workers.list': define({
    name: 'workers.list',
    summary: 'List workers, newest first',
    effect: 'read',
    role: 'read-only',
    reply: 'value',
    http: { method: 'GET', path: '/api/v1/workers' },
    input: z
      .object({
        owner: userName.optional(),
        namespace: namespaceName.optional(),
        states: listOf(z.enum(workerStates), 10).optional(),
        claimed: flag.optional(),
        race: z.string().optional(),
        ...page,
      })
      .strict(),
    output: z.object({ workers: z.array(workerView), next_cursor: nextCursor }),
  }),
  'workers.get': define({
    name: 'workers.get',
    summary: 'Show a worker',
    effect: 'read',
    role: 'read-only',
    reply: 'value',
    http: { method: 'GET', path: '/api/v1/workers/:worker' },
    input: z.object(worker).strict(),
    output: workerView,
  }),
  'workers.resume': define({
    name: 'workers.resume',
    summary: 'Go on with a worker that has ended, in its session; its timeout stays unless another is given',
    effect: 'change',
    role: 'user',
    reply: 'value',
    http: { method: 'POST', path: '/api/v1/workers/:worker/resume' },
    input: z
      .object({
        ...worker,
        prompt: promptText,
        timeout: z.number().positive().max(86_400).optional().describe('seconds'),
        claimed_only: flag.default(false).describe('refuse one whose end nobody has claimed'),
      })
      .strict(),
    output: workerView,
  }),
  'workers.cancel': define({
    name: 'workers.cancel',
    summary: 'End a worker with everything it started; cancelling one that has ended succeeds',
    effect: 'change',
    role: 'user',
    reply: 'value',
    http: { method: 'POST', path: '/api/v1/workers/:worker/cancel' },
    input: z.object({ ...worker, wait: waits, timeout }).strict(),
    output: workerView,
  }),
  'workers.delete': define({
    name: 'workers.delete',
    summary: 'Forget a worker that has ended, with its output and its worktree',
    effect: 'destroy',
    role: 'user',
    reply: 'value',
    http: { method: 'DELETE', path: '/api/v1/workers/:worker' },
    input: z.object(worker).strict(),
    output: z.object({ id: z.string(), deleted: z.boolean() }),
  }),
  'workers.wait': define({
    name: 'workers.wait',
    summary: 'Wait until a worker of a crew, or of a list, has ended, and claim its end: nobody who waits for the crew is told of it again',
    effect: 'change',
    role: 'user',
    reply: 'value',
    http: { method: 'POST', path: '/api/v1/workers/wait' },
    input: z
      .object({
        ...crew,
        workers: listOf(workerRef, 1000).optional().describe('only these; those that are claimed already are told too'),
        mode: z
          .enum(['first', 'some', 'all'])
          .default('some')
          .describe('first: one, the others stay for the next; some: whatever has ended by then; all: when none is active any more'),
        claim: z
          .enum(['now', 'later', 'no'])
          .default('now')
          .describe('later: by `workers.claim` with the lease of the answer, once the answer has arrived; else it is given back'),
        permissions: flag.default(false).describe('return for a permission that waits for an answer, too'),
        wait: waits,
        timeout: count(0, 86_400_000).default(30_000).describe('ms to wait at most'),
      })
      .strict(),
    output: z.object({
      outcome: z.enum(['ended', 'permission', 'timeout', 'none']).describe('none: no worker of it is active, and no end is unclaimed'),
      workers: z.array(workerView).describe('that have ended'),
      active: z.number().int().describe('how many are still active'),
      pending_permissions: z.array(pendingPermission),
      lease: z.string().nullable(),
    }),
  }),
  'workers.claim': define({
    name: 'workers.claim',
    summary: 'Settle a lease of `workers.wait`: the ends are claimed, or given back for the next who waits',
    effect: 'change',
    role: 'user',
    reply: 'value',
    http: { method: 'POST', path: '/api/v1/workers/claim' },
    input: z.object({ lease: z.string().min(1).max(200), keep: flag.default(true).describe('false: given back') }).strict(),
    output: z.object({ claimed: z.array(z.string()).describe('ids of workers') }),
  }),
  'workers.output': define({
    name: 'workers.output',
    summary: 'A page of what a worker printed, also while it runs',
    effect: 'read',
    role: 'read-only',
    reply: 'value',
    http: { method: 'GET', path: '/api/v1/workers/:worker/output' },
    input: z
      .object({
        ...worker,
        turn: count(1, 1_000_000).optional().describe('default: the last'),
        stream: z.enum(['stdout', 'stderr']).default('stdout'),
        from: count(0, Number.MAX_SAFE_INTEGER).default(0).describe('`next` of the page before: a number of lines'),
        limit: count(1, 1_000_000).default(65_536).describe('characters at most, but at least one line'),
      })
      .strict(),
    output: z.object({
      text: z.string(),
      from: z.number().int(),
      next: z.number().int().describe('line to go on with'),
      more: z.boolean().describe('there is more now'),
      ended: z.boolean().describe('no more will come for this turn'),
    }),
  }),
  'workers.follow': define({
    name: 'workers.follow',
    summary: 'What a worker says and does in its present or last turn, from its start, as it comes; ends with the turn',
    effect: 'read',
    role: 'read-only',
    reply: 'stream',
    http: { method: 'GET', path: '/api/v1/workers/:worker/follow' },
    input: z
      .object({
        ...worker,
        turn: count(1, 1_000_000).optional().describe('default: the present or last'),
        follow: flag.default(true).describe('false: what is there now'),
      })
      .strict(),
    output: outputItem,
  }),
  'workers.budget': define({
    name: 'workers.budget',
    summary: 'What an owner has spent on workers in the last 24 hours, and what he may spend',
    effect: 'read',
    role: 'read-only',
    reply: 'value',
    http: { method: 'GET', path: '/api/v1/workers/budget' },
    input: z.object({ owner: userName.optional() }).strict(),
    output: z.object({
      owner: z.string(),
      spent: z.object({ usd: z.number(), tokens: z.number().int(), seconds: z.number() }),
      limits: z.object({ usd: z.number().nullable(), tokens: z.number().int().nullable(), seconds: z.number().nullable() }),
    }),
  }),
  'races.create': define({
    name: 'races.create',
    summary: 'Have several attempts made at one task; a judge picks the winner, the losers are ended and cleaned up',
    effect: 'change',
    role: 'user',
    reply: 'value',
    http: { method: 'POST', path: '/api/v1/races' },
    input: z.object({ race: newRace }).strict(),
    output: raceView,
  }),
  'races.list': define({
    name: 'races.list',
    summary: 'List races, newest first',
    effect: 'read',
    role: 'read-only',
    reply: 'value',
    http: { method: 'GET', path: '/api/v1/races' },
    input: z
      .object({ owner: userName.optional(), namespace: namespaceName.optional(), states: listOf(z.enum(raceStates), 10).optional(), ...page })
      .strict(),
    output: z.object({ races: z.array(raceView), next_cursor: nextCursor }),
  }),
  'races.get': define({
    name: 'races.get',
    summary: 'Show a race; with wait, once it is decided',
    effect: 'read',
    role: 'read-only',
    reply: 'value',
    http: { method: 'GET', path: '/api/v1/races/:race' },
    input: z.object({ ...race, wait: flag.default(false), timeout }).strict(),
    output: raceView,
  }),
  'races.cancel': define({
    name: 'races.cancel',
    summary: 'End a race and all its attempts',
    effect: 'change',
    role: 'user',
    reply: 'value',
    http: { method: 'POST', path: '/api/v1/races/:race/cancel' },
    input: z.object(race).strict(),
    output: raceView,
  }),
} as const
