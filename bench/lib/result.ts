import { z } from 'zod'

const number = z.number()
const summary = z.object({ n: z.number().int(), min: number, median: number, p95: number, p99: number, max: number }).strict()

/** One measured thing: Regent itself, or what it is compared with in the same run. */
export const figure = z
  .object({
    what: z.string(),
    /** ours: Regent. peer: a program that people would take in its stead. limit: what the machine and the runtime alone cost. */
    of: z.enum(['ours', 'peer', 'limit']),
    unit: z.enum(['ms', '/s', 'MiB', '%']),
    /** The figure itself: of times their median, of rates the median of the rounds. Null where it could not be measured. */
    value: number.nullable(),
    /** Times in ms behind it. */
    times: summary.optional(),
    /** MiB, its share of shared pages counted once among all that share them. */
    proportional: number.optional(),
    /** What the value should be: at most (of ms, MiB and %), at least (of rates). */
    goal: number.optional(),
    missing: z.string().optional().describe('why there is no value'),
  })
  .strict()
export type Figure = z.output<typeof figure>

export const machine = z
  .object({
    cpu: z.string(),
    cores: number,
    memory_mib: number,
    kernel: z.string(),
    file_system: z.string(),
    node: z.string(),
    /** Of the minute before: above 0.3 or so somebody else was at work and the figures are noisy. */
    load: number,
  })
  .strict()
export type Machine = z.output<typeof machine>

/** What one bench measured, as it is kept in bench/results. */
export const result = z
  .object({ bench: z.string(), at: z.iso.datetime(), command: z.string(), commit: z.string(), machine, figures: z.array(figure) })
  .strict()
export type Result = z.output<typeof result>

/** Undefined where there is no goal or no value. */
export function meetsGoal({ unit, value, goal }: Figure): boolean | undefined {
  if (goal === undefined || value === null) return undefined
  return unit === '/s' ? value >= goal : value <= goal
}
