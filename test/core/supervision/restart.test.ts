import { describe, expect, it } from 'vitest'
import { policy } from '../../../src/contract/policy.ts'
import { judge, restartDelay } from '../../../src/core/supervision/restart.ts'
import type { Exit } from '../../../src/ports/runtime.ts'

const always = policy.parse({ restart: 'always' })
const failed: Exit = { kind: 'exited', code: 1, at: 0 }
const life = (state: 'STARTING' | 'RUNNING', deaths = 0, earlyDeaths = 0) => ({ state, deaths, earlyDeaths })

describe('restart delays', () => {
  it('wait 0, 1, 2, 4 … 60 seconds in the middle of their jitter', () => {
    expect([1, 2, 3, 4, 5, 6, 7, 8, 9, 20].map((death) => restartDelay(death, 0.5) / 1000)).toEqual([0, 1, 2, 4, 8, 16, 32, 60, 60, 60])
  })

  it('spread by a fifth to both sides', () => {
    expect(restartDelay(4, 0)).toBeCloseTo(3200)
    expect(restartDelay(4, 0.999_999)).toBeLessThanOrEqual(4800)
  })
})

describe('what follows a death', () => {
  it('[part of F01] takes the exit codes of its policy for success, 126 and 127 included', () => {
    const given = policy.parse({ restart: 'on-failure', exit_codes: [3, 127] })
    const ended = (code: number) =>
      judge({ life: life('RUNNING'), policy: given, exit: { kind: 'exited', code, at: 0 }, livedMs: 2000, random: 0.5 }).verdict.to
    expect([3, 127, 0, 1, 126].map(ended)).toEqual(['EXITED', 'EXITED', 'BACKOFF', 'BACKOFF', 'FATAL'])
  })

  it('restarts at once after the first death of a row', () => {
    expect(judge({ life: life('RUNNING'), policy: always, exit: failed, livedMs: 2000, random: 0.5 })).toMatchObject({
      verdict: { to: 'BACKOFF', delayMs: 0 },
      deaths: 1,
      earlyDeaths: 0,
    })
  })

  it('ends the row after a life of ten times startsecs', () => {
    expect(judge({ life: life('RUNNING', 5), policy: always, exit: failed, livedMs: 10_000, random: 0.5 })).toMatchObject({ deaths: 1 })
    expect(judge({ life: life('RUNNING', 5), policy: always, exit: failed, livedMs: 9_999, random: 0.5 })).toMatchObject({ deaths: 6 })
  })

  it('gives up at the startretries + 1st death before RUNNING', () => {
    const at = (early: number) => judge({ life: life('STARTING', early, early), policy: always, exit: failed, livedMs: 10, random: 0.5 })
    expect([0, 1, 2].map((early) => at(early).verdict.to)).toEqual(['BACKOFF', 'BACKOFF', 'BACKOFF'])
    expect(at(3).verdict.to).toBe('FATAL')
  })

  it('does not let a startsecs of 0 end every row, which would be a storm', () => {
    const quick = policy.parse({ restart: 'always', startsecs: 0 })
    expect(judge({ life: life('RUNNING', 3), policy: quick, exit: failed, livedMs: 20, random: 0.5 }).deaths).toBe(4)
  })

  it('[I2-SUP-02] gives up at once on 126 and 127, whatever the policy', () => {
    for (const code of [126, 127])
      expect(
        judge({ life: life('STARTING'), policy: always, exit: { kind: 'exited', code, at: 0 }, livedMs: 5, random: 0.5 }).verdict.to,
      ).toBe('FATAL')
  })

  it.each([
    ['never', failed, 'EXITED'],
    ['on-failure', { kind: 'exited', code: 0, at: 0 }, 'EXITED'],
    ['on-failure', failed, 'BACKOFF'],
    ['on-failure', { kind: 'signalled', signal: 'SIGSEGV', code: 139, at: 0 }, 'BACKOFF'],
    ['on-failure', { kind: 'lost', reason: 'reboot', at: 0 }, 'BACKOFF'],
    ['always', { kind: 'exited', code: 0, at: 0 }, 'BACKOFF'],
  ] as const)('[I2-SUP-02] with restart %s, %o leads to %s', (restart, exit, to) => {
    for (const state of ['STARTING', 'RUNNING'] as const)
      expect(judge({ life: life(state), policy: policy.parse({ restart }), exit, livedMs: 10, random: 0.5 }).verdict.to).toBe(to)
  })
})
