import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { audit } from './audit.ts'
import { claimsIn, claimsOfTests } from './claims.ts'
import { planned, proved } from './requirements/row.ts'
import { contractCounts, issues, reliabilityCounts, requirements } from './requirements.ts'

const root = join(import.meta.dirname, '../..')

describe('the promises manifest', () => {
  it('agrees with the tests and holds every id of the contract [I2-PRJ-05]', () => {
    expect(audit(requirements, claimsOfTests(root), { contractCounts, reliabilityCounts, issues })).toEqual([])
  })

  it('says each promise in words', () => {
    expect(requirements.filter((row) => row.sentence.trim().length < 5)).toEqual([])
  })
})

describe('the audit of the manifest', () => {
  const expected = { contractCounts: { S0: 2 }, reliabilityCounts: { promises: 1, faults: 1 }, issues: { 2: 'foundation' } }
  const rows = [
    planned(2, 'S0-01', 'R', 'one'),
    proved(2, 'S0-02', 'C', 'two'),
    planned(2, 'P1', 'P', 'three'),
    planned(2, 'I2-A-01', 'I', 'four'),
    planned(2, 'F01', 'P', 'five'),
  ]
  const claim = (id: string, proves = true) => ({ id, file: 'test/a.test.ts', line: 7, proves })

  it('is content when both sides agree', () => {
    expect(audit(rows, [claim('S0-02')], expected)).toEqual([])
  })

  it('sees a promise called proved without a running test', () => {
    expect(audit(rows, [], expected)).toEqual([expect.stringContaining('S0-02 is called proved')])
    expect(audit(rows, [claim('S0-02', false)], expected)).toEqual([expect.stringContaining('S0-02 is called proved')])
  })

  it('sees a promise proved elsewhere than in the file it names', () => {
    const named = rows.map((row) => (row.id === 'S0-02' ? proved(2, 'S0-02', 'C', 'two', 'test/b.test.ts') : row))
    expect(audit(named, [claim('S0-02')], expected)).toEqual([expect.stringContaining('of test/b.test.ts')])
  })

  it('sees a planned promise that a test proves', () => {
    expect(audit(rows, [claim('S0-02'), claim('S0-01')], expected)).toEqual([
      'test/a.test.ts:7 proves S0-01, which the manifest still calls planned',
    ])
  })

  it('sees an unknown id, also in a skipped test', () => {
    expect(audit(rows, [claim('S0-02'), claim('S9-01', false)], expected)).toEqual(['test/a.test.ts:7 names S9-01, which no promise has'])
  })

  it('sees missing, invented and repeated ids', () => {
    const changed = [...rows.slice(1), planned(2, 'S0-03', 'R', 'more'), planned(2, 'P1', 'P', 'again')]
    expect(audit(changed, [claim('S0-02')], expected)).toEqual([
      'P1 stands in the manifest twice',
      'S0-01 is missing from the manifest',
      'S0-03 is in the manifest but not in the count of its paper',
    ])
  })

  it('sees a promise of an issue that is not listed', () => {
    expect(audit([...rows, planned(4, 'I2-A-02', 'I', 'six')], [claim('S0-02')], expected)).toEqual([expect.stringContaining('issue 4')])
  })
})

describe('the claims of a test file', () => {
  const ids = (text: string) => claimsIn('a.test.ts', text).map((claim) => `${claim.id}:${claim.line}:${claim.proves}`)

  it('are the ids in titles of tests, several to a title', () => {
    expect(ids(`it('creates [S0-01] and keeps it [P2]', () => {})\n\ntest(\`lists \${x} [I2-CLI-03]\`, () => {})`)).toEqual([
      'S0-01:1:true',
      'P2:1:true',
      'I2-CLI-03:3:true',
    ])
  })

  it('prove nothing where they say that they are a part of it', () => {
    expect(ids("it('loses no row [part of P2] [S0-01]', f)")).toEqual(['P2:1:false', 'S0-01:1:true'])
  })

  it('are found through modifiers', () => {
    expect(ids("it.each([1])('a [S0-01]', f)\nit.skipIf(x).concurrent('b [S0-02]', f)\nit.each`a`('c [X-01]', f)")).toEqual([
      'S0-01:1:true',
      'S0-02:2:true',
      'X-01:3:true',
    ])
  })

  it('prove nothing where the test is skipped, to do, or expected to fail, or inside such a suite', () => {
    expect(
      ids("it.skip('a [S0-01]', f)\nit.todo('b [S0-02]')\nit.fails('c [S0-03]', f)\ndescribe.skip('d', () => { it('e [S0-04]', f) })"),
    ).toEqual(['S0-01:1:false', 'S0-02:2:false', 'S0-03:3:false', 'S0-04:4:false'])
  })

  it('are not comments, suites, bodies, or brackets without a number', () => {
    expect(ids("// it('[S0-01]')\ndescribe('[S0-02]', () => { it('sends [EOS] [a1] to [*]', () => { expect('[S0-03]') }) })")).toEqual([])
  })
})
