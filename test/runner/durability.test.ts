import { execFileSync, spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { systemClock } from '../../src/kernel/clock.ts'
import { silentLogger } from '../../src/kernel/logger.ts'
import { Journal } from '../../src/runner/journal.ts'
import { holdFolder } from '../../src/runner/lock.ts'
import { temporaryFolder } from '../helpers/folder.ts'
import { until } from '../helpers/until.ts'

const root = join(import.meta.dirname, '../..')
const open = (dir: string): Promise<Journal> => Journal.open({ dir, clock: systemClock, logger: silentLogger })

/** A program that appends rows; `before` runs in its shell first. */
function writer(dir: string, rows: number, before = ':') {
  const line = `${before}; exec "${root}/node_modules/.bin/node" "${root}/test/fixtures/teams/journal-writer.ts" "${dir}" ${rows}`
  const child = spawn('sh', ['-c', line], { stdio: ['ignore', 'pipe', 'inherit'] })
  let out = ''
  child.stdout.on('data', (piece) => {
    out += piece
  })
  const exited = new Promise<number | null>((done) => child.on('close', done))
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await exited
  })
  return { pid: child.pid ?? 0, out: () => out, exited, kill: () => child.kill('SIGKILL') }
}

describe('the journal on disk', () => {
  it('waits while nothing can be written, and loses nothing when it can be again', async () => {
    const dir = temporaryFolder()
    const program = writer(dir, 100, "trap '' XFSZ; ulimit -S -f 40")
    await until(() => program.out().includes('trouble'), 'the limit to be reached')
    execFileSync('prlimit', ['--pid', `${program.pid}`, '--fsize=unlimited'])
    expect(await program.exited).toBe(0)
    expect(program.out()).toMatch(/trouble: EFBIG[\s\S]*works again\nclosed/)
    const journal = await open(dir)
    onTestFinished(() => journal.close())
    expect(journal.state.out.map((row) => row.seq)).toEqual(Array.from({ length: 100 }, (_, index) => index + 1))
    const lines = readFileSync(join(dir, 'journal.jsonl'), 'utf8').trim().split('\n')
    expect(lines.every((line) => line.startsWith('[') && line.endsWith(']'))).toBe(true)
  })

  it('keeps every row that was durable when the process was killed', async () => {
    const dir = temporaryFolder()
    for (let round = 1; round <= 3; round++) {
      const program = writer(dir, 1_000_000)
      const size = (): number => readFileSync(join(dir, 'journal.jsonl'), 'utf8').length
      await until(() => size() > round * 40_000, 'some rows')
      program.kill()
      await program.exited
      const journal = await open(dir)
      const seqs = journal.state.out.map((row) => row.seq)
      expect(seqs.length).toBeGreaterThan(round * 50)
      expect(seqs).toEqual(Array.from({ length: seqs.length }, (_, index) => index + 1))
      await journal.close()
    }
  })

  it('belongs to one process at a time; a dead holder counts for nothing', async () => {
    const dir = temporaryFolder()
    const release = await holdFolder(dir, systemClock)
    const program = writer(dir, 1)
    await until(() => readFileSync(`/proc/${program.pid}/cmdline`, 'utf8').includes('journal-writer'), 'the program to start')
    expect(program.out()).toBe('')
    await release()
    expect(await program.exited).toBe(0)

    writeFileSync(join(dir, 'journal.lock'), `${process.pid} 1 another-boot`)
    expect(await writer(dir, 1).exited).toBe(0)
    writeFileSync(join(dir, 'journal.lock'), readFileSync('/dev/null'))
    expect(await writer(dir, 1).exited).toBe(0)
    const hold = await holdFolder(dir, systemClock)
    await expect(holdFolder(dir, { ...systemClock, elapsed: () => systemClock.elapsed() * 100 })).rejects.toMatchObject({
      code: 'ILLEGAL_STATE',
    })
    await hold()
  })
})
