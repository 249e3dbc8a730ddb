import { describe, expect, it } from 'vitest'
import { rateFigure, timeFigure } from '../../bench/lib/figures.ts'
import { meetsGoal } from '../../bench/lib/result.ts'
import { quantile, summarise } from '../../bench/lib/stats.ts'

describe('statistics of a bench', () => {
  it('sums samples up in any order', () => {
    const samples = Array.from({ length: 101 }, (_, at) => 100 - at)
    expect(summarise(samples)).toEqual({ n: 101, min: 0, median: 50, p95: 95, p99: 99, max: 100 })
  })

  it('takes a value between two neighbours where a share falls between them', () => {
    expect(quantile([1, 2], 0.5)).toBe(1.5)
    expect(quantile([10], 0.99)).toBe(10)
  })

  it('has no figure of no samples', () => {
    expect(() => summarise([])).toThrow('no samples')
  })

  it('takes the median round as a rate, and all times', () => {
    const round = (ms: number) => ({ ms, times: [1, 3] })
    const figure = rateFigure({ what: 'reads', of: 'ours' }, [round(1000), round(10), round(500)])
    expect(figure).toMatchObject({ unit: '/s', value: 4, times: { n: 6, median: 2 } })
  })

  it('knows that times have a most and rates a least', () => {
    const times = timeFigure({ what: 'start', of: 'ours', goal: 15 }, [14, 15, 16])
    const rate = rateFigure({ what: 'reads', of: 'ours', goal: 5000 }, [{ ms: 1, times: [1] }])
    expect(meetsGoal(times)).toBe(true)
    expect(meetsGoal({ ...times, value: 15.1 })).toBe(false)
    expect(meetsGoal(rate)).toBe(false)
    expect(meetsGoal({ ...rate, value: 5000 })).toBe(true)
    expect(meetsGoal({ ...rate, value: null })).toBeUndefined()
  })
})
