import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { benches } from '../../bench/benches.ts'
import { readResult } from '../../bench/lib/results.ts'
import { temporaryFolder } from '../helpers/folder.ts'

const program = join(import.meta.dirname, '../../bench/bench.ts')

const bench = (...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> =>
  new Promise((resolve) => {
    execFile(process.execPath, [program, ...args], (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code ?? 1) : 0, stdout, stderr })
    })
  })

describe('npm run bench', () => {
  it('lists the benches without a name', async () => {
    const { code, stdout } = await bench()
    expect(code).toBe(0)
    for (const { name, n } of benches) expect(stdout).toMatch(new RegExp(`^ {2}${name} +${n.toLocaleString('en')} `, 'm'))
  })

  it('suggests the name that was meant', async () => {
    const { code, stderr } = await bench('mesages')
    expect(code).toBe(2)
    expect(stderr).toContain('did you mean messages?')
  })

  it('refuses a count that is none', async () => {
    for (const n of ['0', '-1', '1.5', 'many']) expect((await bench('start', `--n=${n}`)).code).toBe(2)
  })

  // The harness at work: a real Regent, an agent, peers in the same run, a result, and nothing left (the check of leftovers tells).
  it('[I2-PRJ-08] measures a start beside a bare spawn', { timeout: 60_000 }, async () => {
    const folder = temporaryFolder()
    const { code, stdout, stderr } = await bench('start', '--n', '2', '--out', folder)
    expect(stderr).not.toContain('could not be ended')
    expect({ code, stderr }).toMatchObject({ code: 0 })
    expect(stdout).toContain('regent: start to RUNNING')
    const result = readResult(folder, 'start')
    expect(result?.command).toBe('npm run bench -- start --n 2')
    expect(result?.figures.map(({ times }) => times?.n)).toEqual([2, 2, 2])
  })
})
