import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { OutBody, OutRow } from '../../src/contract/link.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { silentLogger } from '../../src/kernel/logger.ts'
import { Unspoken } from '../../src/runner/channel-rows.ts'
import { Journal } from '../../src/runner/journal.ts'
import { temporaryFolder } from '../helpers/folder.ts'

const body = (id: string, type: 'assistant' | 'tool_call' | 'notice', content = id): OutBody => ({
  ...{ kind: 'say', id, type, content, metadata: {}, author: 'a', reply_to: null, final: false },
})
const row = (seq: number, type: 'assistant' | 'tool_call' | 'notice' = 'assistant', content?: string): OutRow => ({
  ...{ seq, at: 0, body: body(`s${seq}`, type, content) },
})
const seqs = (rows: readonly OutRow[]): number[] => rows.map(({ seq }) => seq)

describe('what waits to be said on a channel', () => {
  it('is what channels are told, from where it was spoken to, up to what is on disk', () => {
    const unspoken = new Unspoken()
    unspoken.add(row(1))
    expect(unspoken.size).toBe(0)
    unspoken.spoken(2)
    for (const seq of [2, 3, 5]) unspoken.add(row(seq))
    unspoken.add(row(4, 'notice'))
    unspoken.add({ seq: 6, at: 0, body: { kind: 'done', message_id: 'x' } })
    expect(seqs(unspoken.next(4, 10))).toEqual([3])
    expect(seqs(unspoken.next(9, 10))).toEqual([3, 5])
    unspoken.spoken(3)
    expect(seqs(unspoken.next(9, 10))).toEqual([5])
    unspoken.spoken(null)
    expect(unspoken.position).toBeNull()
    expect(unspoken.size).toBe(0)
  })

  it('is bounded: tool notices go first, then the oldest, and they are counted', () => {
    const unspoken = new Unspoken()
    unspoken.spoken(0)
    for (let seq = 1; seq <= 100_001; seq++) unspoken.add(row(seq, seq % 10 === 0 ? 'tool_call' : 'assistant'))
    expect(unspoken.size).toBe(90_001)
    expect(unspoken.dropped).toBe(10_000)
    expect(unspoken.next(200_000, 200_000).some((one) => one.body.kind === 'say' && one.body.type === 'tool_call')).toBe(false)
    for (let seq = 100_002; seq <= 120_000; seq++) unspoken.add(row(seq))
    expect(unspoken.size).toBeLessThanOrEqual(100_000)
    expect(unspoken.next(200_000, 1)[0]?.seq).toBeGreaterThan(10_000)
    expect(unspoken.size + unspoken.dropped).toBe(120_000)
  })

  it('is bounded in its characters too', () => {
    const unspoken = new Unspoken()
    unspoken.spoken(0)
    const long = 'x'.repeat(200_000)
    for (let seq = 1; seq <= 300; seq++) unspoken.add(row(seq, 'assistant', long))
    expect(unspoken.size).toBeLessThanOrEqual(160)
    expect(unspoken.next(300, 300).at(-1)?.seq).toBe(300)
  })

  it('is the same after the journal was read again, compacted or not, though Regent has confirmed it', async () => {
    const dir = temporaryFolder()
    const open = async (compactBytes?: number) => {
      const options = { dir, clock: systemClock, logger: silentLogger, ...(compactBytes !== undefined && { compactBytes }) }
      const journal = await Journal.open(options)
      onTestFinished(() => journal.close())
      return journal
    }
    const waiting = (journal: Journal) => seqs(journal.state.unspoken.next(journal.durableSeq, 100))
    const first = await open()
    first.note({ e: 'spoken', seq: 0 })
    for (let at = 0; at < 6; at++) await first.append({ e: 'say', body: body(`s${at}`, 'assistant') })
    first.note({ e: 'confirmed', cursor: 4 }, { e: 'spoken', seq: 2 })
    await first.close()
    const second = await open()
    expect([waiting(second), second.state.unspoken.position, seqs(second.state.out)]).toEqual([[3, 4, 5, 6], 2, [5, 6]])
    await second.close()
    const third = await open(1)
    expect([waiting(third), third.state.unspoken.position, seqs(third.state.out)]).toEqual([[3, 4, 5, 6], 2, [5, 6]])
    expect(readFileSync(join(dir, 'journal.jsonl'), 'utf8')).not.toContain('"s1"')
    await third.append({ e: 'renumbered', base: 50 })
    expect(waiting(third)).toEqual([3, 4, 51, 52])
    await third.close()
    expect(waiting(await open(1))).toEqual([3, 4, 51, 52])
  })
})
