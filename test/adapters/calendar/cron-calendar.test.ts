import { describe, expect, it } from 'vitest'
import { createCronCalendar } from '../../../src/adapters/calendar/cron-calendar.ts'

const calendar = createCronCalendar()

/** The next times after one, in ISO without what is always zero. */
function times(cron: string, timezone: string, after: string, count: number): string[] {
  let at = Date.parse(after)
  return Array.from({ length: count }, () => {
    at = calendar.next(cron, timezone, at) ?? Number.NaN
    return new Date(at).toISOString().replace(':00.000Z', 'Z')
  })
}

describe('the next time', () => {
  it('is after the one that is given, in the zone of the schedule', () => {
    expect(times('0 12 * * *', 'UTC', '2026-01-01T12:00:00Z', 1)).toEqual(['2026-01-02T12:00Z'])
    expect(times('0 12 * * *', 'Europe/Berlin', '2026-01-01T00:00:00Z', 1)).toEqual(['2026-01-01T11:00Z'])
    expect(times('30 9 * * MON-FRI', 'America/New_York', '2026-01-02T15:00:00Z', 1)).toEqual(['2026-01-05T14:30Z'])
    expect(times('@daily', 'UTC', '2026-01-01T00:00:00Z', 1)).toEqual(['2026-01-02T00:00Z'])
    expect(calendar.next('*/10 * * * * *', 'UTC', 1)).toBe(10_000)
  })

  it('comes once when the clocks go forward, though its time of day is left out', () => {
    expect(times('30 2 * * *', 'Europe/Berlin', '2026-03-28T02:00:00Z', 2)).toEqual(['2026-03-29T01:00Z', '2026-03-30T00:30Z'])
    expect(times('30 * * * *', 'Europe/Berlin', '2026-03-28T23:45:00Z', 3)).toEqual([
      '2026-03-29T00:30Z',
      '2026-03-29T01:30Z',
      '2026-03-29T02:30Z',
    ])
  })

  it('comes once when the clocks go back, though its time of day comes twice; every half hour goes on', () => {
    expect(times('30 2 * * *', 'Europe/Berlin', '2026-10-24T02:00:00Z', 2)).toEqual(['2026-10-25T00:30Z', '2026-10-26T01:30Z'])
    expect(times('*/30 * * * *', 'Europe/Berlin', '2026-10-25T00:10:00Z', 4)).toEqual([
      '2026-10-25T00:30Z',
      '2026-10-25T01:00Z',
      '2026-10-25T01:30Z',
      '2026-10-25T02:00Z',
    ])
  })
})

describe('what is no schedule', () => {
  it.each([
    ['nope', 'UTC', 'five or six fields'],
    ['', 'UTC', 'five or six fields'],
    ['* * * *', 'UTC', 'is not a cron expression'],
    ['61 * * * *', 'UTC', 'Invalid value for minute: 61'],
    ['* * * * * * 2030', 'UTC', 'is not a cron expression'],
    ['2026-01-01T00:00:00', 'UTC', 'five or six fields'],
    ['@reboot', 'UTC', 'is not a cron expression'],
    ['0 0 30 2 *', 'UTC', 'never comes'],
    ['* * * * *', 'Mars/Base', "'Mars/Base' is not a time zone"],
  ])('%j in %s', (cron, timezone, words) => {
    expect(calendar.problem(cron, timezone)).toContain(words)
    expect(calendar.next(cron, timezone, 0)).toBe(null)
  })

  it('and what is one', () => {
    for (const cron of ['* * * * *', '*/5 8-18 * * 1-5', '0 0 1 1 *', '0 0 29 2 *', '@hourly', '*/10 * * * * *'])
      expect(calendar.problem(cron, 'Europe/Berlin')).toBe(undefined)
  })
})
