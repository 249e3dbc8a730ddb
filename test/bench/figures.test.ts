import { describe, expect, it } from 'vitest'
import { readResult, resultsFolder } from '../../bench/lib/results.ts'

/** The figures of a bench's last recorded run; nothing is measured here. */
function figuresOf(bench: string) {
  const result = readResult(resultsFolder, bench)
  if (!result) throw new Error(`no run of ${bench} is recorded: npm run bench -- ${bench}`)
  return result.figures
}

const goalsOf = (bench: string) =>
  figuresOf(bench).flatMap(({ what, goal, value }) => (goal === undefined ? [] : [{ what, goal, value: value ?? Number.NaN }]))
const most = (bench: string) => expect(goalsOf(bench).filter(({ goal, value }) => !(value <= goal))).toEqual([])

describe('the recorded figures', () => {
  it('[I2-PERF-01] regent ps', () => {
    expect(goalsOf('ps')).toMatchObject([{ goal: 110 }])
    most('ps')
  })

  it('[I2-PERF-02] memory of an idle Regent', () => {
    expect(goalsOf('memory').every(({ goal }) => goal === 110)).toBe(true)
    expect(goalsOf('memory').length).toBeGreaterThan(0)
    most('memory')
  })

  it('[I2-PERF-03] reads and durable creates', () => {
    expect(goalsOf('api').map(({ goal }) => goal)).toEqual(expect.arrayContaining([5000, 1500]))
    expect(goalsOf('api').filter(({ goal, value }) => !(value >= goal))).toEqual([])
  })

  it('[I2-PERF-04] from start to RUNNING', () => {
    expect(goalsOf('start')).toMatchObject([{ goal: 15 }])
    most('start')
  })

  it('[I2-PERF-05] from an approval to its tool', () => {
    expect(goalsOf('approval')).toMatchObject([{ goal: 20 }])
    most('approval')
  })

  it('[I3-PERF-03] memory beside pm2, and processor when idle, with 500 agents', () => {
    within('memory, 500 running', 'idle processor, 500 agents')
  })

  it('[I3-PERF-04] a thousand agents: taken up again, the API while they start, and their stop', () => {
    within('1000 re-adopted after kill -9', 'an API read while 1000 start, p99', 'stop 1000')
  })

  it('[part of I4-BUS-11] what each adapter adds to one message', () => {
    const added = figuresOf('buses').filter(({ what }) => what.endsWith(': adapter, one at a time'))
    expect(added).toHaveLength(5)
    expect(added.filter(({ goal = Number.NaN, value }) => !(Number(value) <= goal))).toEqual([])
  })

  /** These figures of Regent beside its peers are there, and each meets its goal. */
  function within(...names: string[]): void {
    const figures = goalsOf('supervision').filter(({ what }) => names.some((name) => what === `regent: ${name}`))
    expect(figures.map(({ what }) => what).sort()).toEqual(names.map((name) => `regent: ${name}`).sort())
    expect(figures.filter(({ goal, value }) => !(value <= goal))).toEqual([])
  }

  it('[I4-BUS-11] each adapter beside its client library', () => {
    const ours = figuresOf('buses').filter(({ what }) => what.includes('adapter'))
    expect(ours).toHaveLength(10)
    const met = ({ unit, goal = Number.NaN, value }: (typeof ours)[number]) =>
      unit === '/s' ? (value ?? 0) >= goal : (value ?? Number.POSITIVE_INFINITY) <= goal
    expect(ours.filter((one) => !met(one))).toEqual([])
  })

  it('[I4-BUS-12] the embedded bus, client to agent to reply', () => {
    const [whole] = figuresOf('buses').filter(({ what }) => what.includes('embedded bus'))
    expect(whole).toMatchObject({ goal: 10_000, unit: '/s' })
    expect(whole?.value).toBeGreaterThanOrEqual(10_000)
  })
})
