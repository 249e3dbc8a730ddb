export interface StatedLimit {
  /** Epoch ms; null where it is not said. */
  readonly until: number | null
}

/** What providers and their CLIs say when they serve no more for a while. What only money ends is none: waiting does not help. */
const statements = [
  /\b(usage|session|weekly|hourly|daily|monthly|rate|request|token|quota|opus|sonnet|fable)[ _-]?limits? (was |is |has been )?(reached|exceeded|hit)\b/i,
  /\b(hit|reached|exceeded) (your|the) .{0,60}\b(limit|quota|allowance)\b/i,
  /\blimit reached\|\d{10}/i,
  /\brate[ _-]?limit(ed|_error|_exceeded)?\b/i,
  /\b(request rejected |error:? ?|status:? ?|code:? ?|http )\(?429\b/i,
  /\btoo many requests\b/i,
  /\bquota (was |is |has been )?(exceeded|exhausted)\b|\bexceeded your (current )?quota\b|\bexhausted your .{0,40}\b(quota|capacity)\b/i,
  /\bRESOURCE_EXHAUSTED\b/,
]
const paid = /\binsufficient_quota\b|\bcredit balance\b|\bcheck your plan and billing\b|\bout of (usage )?credits\b/i

const MINUTE = 60_000
const DAY = 86_400_000
const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: MINUTE, h: 60 * MINUTE, d: DAY, w: 7 * DAY }

/** The limit that a text states, as of `now`; undefined where it states none. */
export function limitIn(text: string, now: number): StatedLimit | undefined {
  const known = text.slice(0, 20_000)
  if (!statements.some((statement) => statement.test(known))) return undefined
  const until = resetIn(known, now)
  return until === null && paid.test(known) ? undefined : { until }
}

/** When a text says that it goes on; null where it does not. */
function resetIn(text: string, now: number): number | null {
  const told = [epoch(text), stamp(text), lapse(text, now), wallClock(text, now)].find((time) => time !== null) ?? null
  return told !== null && Number.isFinite(told) && told < now + 400 * DAY ? told : null
}

/** `limit reached|1735689600` */
function epoch(text: string): number | null {
  const [, seconds, more = ''] = /\|\s*(\d{10})(\d{3})?\b/.exec(text) ?? []
  return seconds === undefined ? null : Number(seconds) * 1000 + Number(more)
}

/** `reset at 2026-12-01T15:00:00Z` */
function stamp(text: string): number | null {
  const [, found] =
    /\b(?:resets?|again|until|after)\b[^.\n]{0,40}?(\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d))/i.exec(text) ?? []
  return found === undefined ? null : Date.parse(found)
}

const duration = new RegExp(
  '\\b(?:resets?|again|retry|wait)[- ]?(?:in|after|for)?[:\\s]+(?:about )?' +
    '((?:\\d+(?:\\.\\d+)?\\s*(?:ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?)(?![a-z])[\\s,]*(?:and )?)+)',
  'i',
)

/** `Retry-After: 30`, `try again in 3 hours 12 minutes`, `will reset after 4h10m20s`, `retry in 1.2s` */
function lapse(text: string, now: number): number | null {
  const [, seconds] = /\bretry[- ]?after["']?[:=\s]+["']?(\d+(?:\.\d+)?)["']?(?!\s*[a-z])/i.exec(text) ?? []
  if (seconds !== undefined) return now + Number(seconds) * 1000
  const [, words] = duration.exec(text) ?? []
  if (words === undefined) return null
  let sum = 0
  for (const [, count, unit = ''] of words.matchAll(/(\d+(?:\.\d+)?)\s*(ms|milli|[smhdw])/gi))
    sum += Number(count) * (units[unit.toLowerCase() === 'milli' ? 'ms' : unit.toLowerCase()] ?? 0)
  return sum > 0 ? now + sum : null
}

const clockTime =
  /\b(?:resets?|again|until|reset)\b(?: at| on)? ?(?:(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]* (\d{1,2})(?:st|nd|rd|th)?(?:,? (\d{4}))?(?:,| at)? )?(\d{1,2})(?::(\d\d))? ?([ap])\.?m\b\.?(?: \(([A-Za-z0-9_+\-/]+)\))?/i

/** `resets 3pm (Europe/Berlin)`, `resets Oct 6, 1:30pm`, `try again at Nov 26th, 2026 1:04 AM` */
function wallClock(text: string, now: number): number | null {
  const found = clockTime.exec(text)
  if (found === null) return null
  const [, month, day, year, hour = '0', minute = '0', half = 'a', zone] = found
  const here = zoned(now, zone)
  const hours = (Number(hour) % 12) + (half.toLowerCase() === 'p' ? 12 : 0)
  const date =
    month === undefined ? here : { month: months.indexOf(month.toLowerCase()), day: Number(day), year: Number(year ?? here.year) }
  const time = instant({ ...date, hours, minutes: Number(minute) }, zone)
  if (time > now - 5 * MINUTE || year !== undefined) return time
  // What lies behind is meant of the next day, or of the next year.
  if (month === undefined) return instant({ ...date, day: date.day + 1, hours, minutes: Number(minute) }, zone)
  return time > now - 2 * DAY ? time : instant({ ...date, year: date.year + 1, hours, minutes: Number(minute) }, zone)
}

interface WallTime {
  readonly year: number
  readonly month: number
  readonly day: number
  readonly hours: number
  readonly minutes: number
}

/** The instant at which clocks of a zone show this; of the system's zone where none, or an unknown one, is named. */
function instant({ year, month, day, hours, minutes }: WallTime, zone: string | undefined): number {
  const wanted = Date.UTC(year, month, day, hours, minutes)
  // Twice, as the offset may be another at the instant that was first guessed.
  const guess = wanted - offset(wanted, zone)
  return wanted - offset(guess, zone)
}

function offset(time: number, zone: string | undefined): number {
  const { year, month, day, hours, minutes } = zoned(time, zone)
  return Date.UTC(year, month, day, hours, minutes) - Math.floor(time / MINUTE) * MINUTE
}

function zoned(time: number, zone: string | undefined): WallTime {
  const fields = { year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', hourCycle: 'h23' } as const
  const parts = formatter(fields, zone).formatToParts(time)
  const part = (type: string): number => Number(parts.find((one) => one.type === type)?.value)
  return { year: part('year'), month: part('month') - 1, day: part('day'), hours: part('hour'), minutes: part('minute') }
}

function formatter(fields: Intl.DateTimeFormatOptions, zone: string | undefined): Intl.DateTimeFormat {
  try {
    return new Intl.DateTimeFormat('en-US', { ...fields, ...(zone !== undefined && { timeZone: zone }) })
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    return new Intl.DateTimeFormat('en-US', fields)
  }
}
