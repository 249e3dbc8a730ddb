import { describe, expect, it } from 'vitest'
import { limitIn } from '../../../src/adapters/coding-agents/shared/limits.ts'
import { NOON } from '../../helpers/turns.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const at = (...time: [number, number, number, number, number?]) => Date.UTC(...time)

describe('limits in the words of providers and their CLIs', () => {
  it.each([
    ['Claude AI usage limit reached|1796140800', 1_796_140_800_000],
    ["You've hit your session limit · resets 3pm (Europe/Berlin)", at(2026, 11, 1, 14)],
    ["You've hit your session limit · resets 3:45am (Europe/Berlin)", at(2026, 11, 2, 2, 45)],
    ["You've hit your weekly limit · resets Dec 6, 1pm (America/New_York)", at(2026, 11, 6, 18)],
    ["You've hit your weekly limit · resets Jan 2, 12am (UTC)", at(2027, 0, 2, 0)],
    ["You've hit your monthly limit · resets Jan 1, 2028, 1:30pm (UTC)", at(2028, 0, 1, 13, 30)],
    ["You've hit your session limit · resets 12pm (Nowhere/Land)", expect.any(Number)],
    ['API Error: Request rejected (429) · rate limited', null],
    ['API Error: 429 {"type":"error"} Retry-After: 30', NOON + 30_000],
    ['429 Too Many Requests, "retry-after": "12.5"', NOON + 12_500],
    ['Rate limit reached for gpt-5 in organization org-x. Please try again in 1.2s.', NOON + 1_200],
    ['Rate limit reached. Please try again in 250ms.', NOON + 250],
    ['You’ve hit your usage limit. Try again in 3 hours 12 minutes.', NOON + 3 * HOUR + 12 * MINUTE],
    ['You’ve hit your usage limit. Try again in 2 days, 1 hour and 5 minutes.', NOON + 49 * HOUR + 5 * MINUTE],
    ['You have exhausted your daily quota on this model. Your quota will reset after 4h10m20s.', NOON + 4 * HOUR + 10 * MINUTE + 20_000],
    ['You exceeded your current quota, please check your plan and billing details. Please retry in 24.5s.', NOON + 24_500],
    ['RESOURCE_EXHAUSTED: resets at 2026-12-01T15:30:00Z', at(2026, 11, 1, 15, 30)],
    ['{"error":{"type":"rate_limit_error","message":"slow down"}}', null],
  ])('%s', (text, until) => {
    expect(limitIn(text, NOON)).toEqual({ until })
  })

  it.each([
    'API Error: 400 bad thing',
    'Invalid API key · Fix external API key',
    'Credit balance is too low. 429',
    'You exceeded your current quota, please check your plan and billing details. (insufficient_quota)',
    'The file has 429 lines',
    'Not logged in · Please run /login',
    'Context limit of the model',
    '',
  ])('is none: %s', (text) => {
    expect(limitIn(text, NOON)).toBeUndefined()
  })

  it('takes a time of day that has just passed for now, not for tomorrow', () => {
    expect(limitIn("You've hit your session limit · resets 12pm (UTC)", NOON + MINUTE)).toEqual({ until: NOON })
  })

  it('knows the hour that a zone skips and repeats', () => {
    const before = at(2027, 2, 27, 12)
    expect(limitIn('usage limit reached, resets Mar 28, 5am (Europe/Berlin)', before)).toEqual({ until: at(2027, 2, 28, 3) })
    expect(limitIn('usage limit reached, resets Oct 31, 5am (Europe/Berlin)', at(2027, 9, 30, 12))).toEqual({ until: at(2027, 9, 31, 4) })
  })

  it('takes no time from years beyond', () => {
    expect(limitIn('usage limit reached|9999999999', NOON)).toEqual({ until: null })
  })
})
