import { Cron } from 'croner'
import { reasonOf } from '../../kernel/errors.ts'
import type { Calendar } from '../../ports/calendar.ts'

/**
 * Cron expressions of five fields (six: seconds first) and @hourly, @daily, … in a time zone. A time of day that a change to summer time leaves out
 * comes at the change; one that a change back repeats comes once, while `*` and steps go on through both.
 */
export function createCronCalendar(): Calendar {
  return {
    problem(cron, timezone) {
      if (!isZone(timezone)) return `'${timezone}' is not a time zone; use an IANA name such as Europe/Berlin`
      try {
        if (read(cron, timezone).nextRun(new Date()) === null) return 'never comes'
        return undefined
      } catch (error) {
        return `is not a cron expression: ${reasonOf(error).replace(/^Cron\w+: /, '')}`
      }
    },
    next(cron, timezone, after) {
      try {
        return read(cron, timezone).nextRun(new Date(after))?.getTime() ?? null
      } catch {
        // Only what `problem` let pass is stored; a time zone that this machine's data have lost since has no next time.
        return null
      }
    },
  }
}

function read(cron: string, timezone: string): Cron {
  // The library reads a point in time, too, which is no schedule.
  if (!cron.trim().startsWith('@') && !/\s/.test(cron.trim())) throw new TypeError('five or six fields are needed, or @hourly, @daily, …')
  return new Cron(cron, { timezone, paused: true, mode: '5-or-6-parts' })
}

function isZone(timezone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: timezone })
    return true
  } catch {
    return false
  }
}
