import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { collectWhenIdle } from '../../../src/adapters/home/idle-heap.ts'
import { FakeClock } from '../../helpers/fake-clock.ts'

const MIB = 1024 * 1024
const LOOK_MS = 2000

/** Unreachable once this has returned; bytes in use. */
async function litter(): Promise<number> {
  const pieces = Array.from({ length: 16 }, () => Buffer.alloc(MIB))
  const used = process.memoryUsage().arrayBuffers
  pieces.length = 0
  await nextTurn()
  return used
}

function work(ms: number): void {
  const begun = process.cpuUsage()
  for (let spent = 0; spent < ms * 1000; ) {
    const { user, system } = process.cpuUsage(begun)
    spent = user + system
  }
}

describe('the heap of an idle process', () => {
  it('is tidied up, and not while there is work', async () => {
    const clock = new FakeClock()
    const tidying = collectWhenIdle(clock)
    const used = await litter()
    work(LOOK_MS / 8)
    clock.advance(LOOK_MS)
    expect(process.memoryUsage().arrayBuffers).toBeGreaterThan(used - 8 * MIB)
    clock.advance(LOOK_MS)
    expect(process.memoryUsage().arrayBuffers).toBeLessThan(used - 8 * MIB)
    expect('gc' in globalThis).toBe(false)
    await tidying.close()
  })
})
