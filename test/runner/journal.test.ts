import { appendFileSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { OutBody } from '../../src/contract/link.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { silentLogger } from '../../src/kernel/logger.ts'
import { Journal, type JournalOptions } from '../../src/runner/journal.ts'
import type { Incoming } from '../../src/runner/journal-state.ts'
import { temporaryFolder } from '../helpers/folder.ts'

async function open(dir: string, over: Partial<JournalOptions> = {}): Promise<Journal> {
  const journal = await Journal.open({ dir, clock: systemClock, logger: silentLogger, ...over })
  onTestFinished(() => journal.close())
  return journal
}

const message = (id: string): Incoming => ({ id, conversation: 'main', sender: 'ann', content: `content of ${id}`, metadata: {} })
const done = (id: string): OutBody => ({ kind: 'done', message_id: id })
const fileOf = (dir: string): string => join(dir, 'journal.jsonl')

describe('the journal', () => {
  it('remembers what was appended, in a file that only its user can read', async () => {
    const dir = temporaryFolder()
    const first = await open(dir)
    await first.append({ e: 'in', message: message('m1') }, { e: 'try', id: 'm1', tries: 2 })
    await first.append({ e: 'memo', id: 'm1', key: 'plan/1', value: { text: 'a plan' } }, { e: 'say', body: done('m0') })
    await first.append({ e: 'turns', conversation: 'main', turns: [{ role: 'user', text: 'hi' }] })
    await first.close()

    const { state, durableSeq } = await open(dir)
    expect(state.inbox.get('m1')).toMatchObject({ message: message('m1'), tries: 2 })
    expect(state.inbox.get('m1')?.memo.get('plan/1')).toEqual({ text: 'a plan' })
    expect(state.out).toMatchObject([{ seq: 1, body: done('m0') }])
    expect(durableSeq).toBe(1)
    expect(state.conversations.get('main')?.turns).toEqual([{ role: 'user', text: 'hi' }])
    expect(statSync(fileOf(dir)).mode & 0o777).toBe(0o600)
  })

  it('cuts off a torn last line and goes on behind it', async () => {
    const dir = temporaryFolder()
    const first = await open(dir)
    await first.append({ e: 'in', message: message('m1') })
    await first.close()
    appendFileSync(fileOf(dir), '[{"e":"in","message":{"id":"m2","conv')

    const second = await open(dir)
    expect([...second.state.inbox.keys()]).toEqual(['m1'])
    await second.append({ e: 'in', message: message('m3') })
    await second.close()
    expect([...(await open(dir)).state.inbox.keys()]).toEqual(['m1', 'm3'])
  })

  it('keeps a file aside that is damaged further up, and uses what stands before the damage', async () => {
    const dir = temporaryFolder()
    const first = await open(dir)
    await first.append({ e: 'in', message: message('m1') })
    await first.append({ e: 'in', message: message('m2') })
    await first.close()
    const [line1, line2] = readFileSync(fileOf(dir), 'utf8').split('\n')
    writeFileSync(fileOf(dir), `${line1}\n\0\0\0\0\n${line2}\n`)

    expect([...(await open(dir)).state.inbox.keys()]).toEqual(['m1'])
    expect(readFileSync(`${fileOf(dir)}.damaged`, 'utf8')).toContain('content of m2')
  })

  it('holds the entries of one append as a whole or not at all', async () => {
    const dir = temporaryFolder()
    const first = await open(dir)
    await first.append({ e: 'in', message: message('m1') }, { e: 'in', message: message('m2') })
    await first.close()
    const bytes = readFileSync(fileOf(dir))
    writeFileSync(fileOf(dir), bytes.subarray(0, bytes.length - 3))
    expect((await open(dir)).state.inbox.size).toBe(0)
  })

  it('groups what is appended in one turn, and tells of rows when they are on disk', async () => {
    const dir = temporaryFolder()
    const journal = await open(dir)
    const seen: number[] = []
    journal.onDurable(() => seen.push(journal.durableSeq))
    const appended = Array.from({ length: 100 }, (_, index) => journal.append({ e: 'say', body: done(`m${index}`) }))
    expect(journal.state.seq).toBe(100)
    expect(journal.durableSeq).toBe(0)
    await Promise.all(appended)
    expect(seen).toEqual([100])
    expect(readFileSync(fileOf(dir), 'utf8').trim().split('\n')).toHaveLength(100)
  })

  it('forgets confirmed rows, and numbers go on where they were', async () => {
    const dir = temporaryFolder()
    const first = await open(dir)
    for (const id of ['m1', 'm2', 'm3']) await first.append({ e: 'say', body: done(id) })
    first.note({ e: 'confirmed', cursor: 3 })
    expect(first.state.out).toEqual([])
    await first.close()
    const second = await open(dir)
    expect(second.state).toMatchObject({ seq: 3, cursor: 3, out: [] })
    await second.append({ e: 'say', body: done('m4') })
    expect(second.state.out).toMatchObject([{ seq: 4 }])
  })

  it('takes new numbers for its rows where Regent has seen more than it knows of', async () => {
    const journal = await open(temporaryFolder())
    await journal.append({ e: 'say', body: done('m1') }, { e: 'say', body: done('m2') })
    expect(journal.state.out.map((row) => row.seq)).toEqual([1, 2])
    await journal.append({ e: 'renumbered', base: 40 })
    expect(journal.state.out.map((row) => row.seq)).toEqual([41, 42])
    expect(journal.durableSeq).toBe(42)
  })

  it('compacts a large file at start and at work, to the same state', async () => {
    const dir = temporaryFolder()
    const first = await open(dir, { compactBytes: 20_000 })
    await first.append(
      { e: 'in', message: message('held') },
      { e: 'memo', id: 'held', key: 'a/b', value: 7 },
      { e: 'initial', id: 'start-1' },
    )
    for (let index = 0; index < 300; index++) {
      const id = `m${index}`
      await first.append({ e: 'in', message: message(id) })
      await first.append({ e: 'say', body: done(id) }, { e: 'end', id })
      if (index < 297) first.note({ e: 'confirmed', cursor: index + 1 })
    }
    expect(statSync(fileOf(dir)).size).toBeLessThan(45_000)
    const before = first.state.snapshot()
    await first.close()
    const second = await open(dir, { compactBytes: 1_000 })
    expect(second.state.snapshot()).toEqual(before)
    expect(second.state.out.map((row) => row.seq)).toEqual([298, 299, 300])
    expect(second.state.knows('m5')).toBe(true)
    expect(second.state.knows('start-1')).toBe(true)
    await second.append({ e: 'say', body: done('last') })
    await second.close()
    expect((await open(dir)).state.out.map((row) => row.seq)).toEqual([298, 299, 300, 301])
    expect(existsSync(`${fileOf(dir)}.new`)).toBe(false)
  })

  it('knows the last 20,000 messages again, over a restart and a compaction', async () => {
    const dir = temporaryFolder()
    const first = await open(dir)
    for (let at = 0; at <= 20_000; at++) first.note({ e: 'in', message: message(`m${at}`) }, { e: 'end', id: `m${at}` })
    await first.close()
    const before = statSync(fileOf(dir)).size
    const { state } = await open(dir, { compactBytes: 1 })
    expect(statSync(fileOf(dir)).size).toBeLessThan(before / 2)
    expect([0, 1, 10_000, 20_000].map((at) => state.knows(`m${at}`))).toEqual([false, true, true, true])
  })

  it('is not confused by a compaction that a crash cut off', async () => {
    const dir = temporaryFolder()
    const first = await open(dir)
    await first.append({ e: 'in', message: message('m1') })
    await first.close()
    writeFileSync(`${fileOf(dir)}.new`, '[{"e":"fini')
    expect([...(await open(dir)).state.inbox.keys()]).toEqual(['m1'])
  })

  it('makes rows acceptable whatever a model or a tool put into them', async () => {
    const journal = await open(temporaryFolder())
    const nested: { inner?: unknown } = {}
    let at = nested
    for (let depth = 0; depth < 100; depth++) {
      const inner = {}
      at.inner = inner
      at = inner
    }
    const content = { text: 'a\0b\ud800', ['__proto__']: 1, nested, long: 'x'.repeat(1_000_000) }
    Object.defineProperty(content, '__proto__', { value: 1, enumerable: true })
    await journal.append({
      e: 'say',
      body: { kind: 'say', id: 'i', type: 'tool_call', content, metadata: {}, author: 'a', reply_to: null, final: false },
    })
    const [row] = journal.state.out
    const text = JSON.stringify(row)
    expect(text.length).toBeLessThan(500_000)
    expect(text).not.toMatch(/\\u0000|\\ud800|__proto__/)
  })
})
