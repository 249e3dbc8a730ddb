/** Reads cron expressions. */
export interface Calendar {
  /** Why this cannot be a schedule, in words; undefined when it can. */
  problem(cron: string, timezone: string): string | undefined
  /** The first time after `after` (epoch ms), null when there is none. */
  next(cron: string, timezone: string, after: number): number | null
}
