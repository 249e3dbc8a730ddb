import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { benches } from '../../bench/benches.ts'
import { timeFigure } from '../../bench/lib/figures.ts'
import { thisMachine } from '../../bench/lib/machine.ts'
import { pageFile, pageText } from '../../bench/lib/page.ts'
import type { Result } from '../../bench/lib/result.ts'
import { readResult, resultsFolder, writeResult } from '../../bench/lib/results.ts'
import { temporaryFolder } from '../helpers/folder.ts'

const measured: Result = {
  bench: 'start',
  at: '2030-01-02T03:04:05.000Z',
  command: 'npm run bench -- start',
  commit: 'abc',
  machine: thisMachine(),
  figures: [
    timeFigure({ what: 'regent: a | b', of: 'ours', goal: 15 }, [1234.5, 20, 0.12345]),
    { what: 'pm2', of: 'peer', unit: 'ms', value: null, missing: 'not on this machine' },
  ],
}

describe('docs/performance.md', () => {
  it('is what `npm run bench -- report` writes from bench/results', () => {
    expect(readFileSync(pageFile, 'utf8')).toBe(pageText(resultsFolder))
  })

  it('has results of benches that there are, and no others', () => {
    const names = benches.map((bench) => bench.name)
    const files = (existsSync(resultsFolder) ? readdirSync(resultsFolder) : []).filter((file) => file.endsWith('.json'))
    expect(files.filter((file) => !names.includes(file.slice(0, -'.json'.length)))).toEqual([])
  })

  it('shows figures, goals, what is missing, and where it was measured', () => {
    const folder = temporaryFolder()
    writeResult(folder, measured)
    expect(readResult(folder, 'start')).toEqual(measured)
    const text = pageText(folder)
    expect(text).toContain('| regent: a \\| b | 20 ms | ≤ 15, missed | 1,113 | 1,210 | 3 |')
    expect(text).toContain('| pm2 | not on this machine |  |  |  |  |')
    expect(text).toContain(`\`npm run bench -- start\` on 2030-01-02 at commit abc: ${thisMachine().cores} cores of`)
    expect(text.match(/Not measured yet\./g)).toHaveLength(benches.length - 1)
  })

  it('takes no file that is no result', () => {
    const folder = temporaryFolder()
    expect(() => writeResult(folder, { ...measured, figures: [{ what: 'x', of: 'ours', unit: 'ms', value: Number.NaN }] })).toThrow()
    expect(readResult(folder, 'start')).toBeUndefined()
  })
})
