import { describe, expect, it } from 'vitest'
import { lastBytes, readPiece, tailPiece } from '../../../src/doors/supervisor-rpc/bytes.ts'

async function* lines(...texts: string[]): AsyncGenerator<Buffer> {
  for (const text of texts) yield Buffer.from(text)
}
const log = () => lines('one\n', 'two\n', 'three\n')

describe('a log in bytes', () => {
  it.each([
    [-6, 0, 'three\n'],
    [-8, 0, 'o\nthree\n'],
    [-1600, 0, 'one\ntwo\nthree\n'],
    [0, 0, 'one\ntwo\nthree\n'],
    [4, 0, 'two\nthree\n'],
    [2, 4, 'e\ntw'],
    [14, 5, ''],
    [100, 0, ''],
  ])('is read from %i, %i bytes', async (offset, length, expected) => {
    expect(await readPiece(log(), offset, length)).toBe(expected)
  })

  it.each([
    [-5, 1],
    [0, -1],
  ])('is not read from %i, %i bytes', async (offset, length) => {
    await expect(readPiece(log(), offset, length)).rejects.toThrow('BAD_ARGUMENTS')
  })

  it.each([
    [0, 100, ['one\ntwo\nthree\n', 14, false]],
    [0, 6, ['three\n', 14, true]],
    [14, 6, ['', 14, false]],
    [8, 6, ['three\n', 14, false]],
    [0, 0, ['', 14, true]],
    [0, -3, ['', 14, true]],
  ] as const)('is tailed from %i, %i bytes', async (offset, length, expected) => {
    expect(await tailPiece(log(), offset, length)).toEqual(expected)
  })

  it('never begins within a character', async () => {
    expect(await readPiece(lines('aé'), -1, 0)).toBe('')
    expect(await readPiece(lines('a😀b'), -4, 0)).toBe('b')
  })

  it('keeps no more of a long one than is asked for, at most 1 MiB', async () => {
    const many = (async function* () {
      for (let number = 0; number < 50_000; number++) yield Buffer.from(`${String(number).padStart(99, '0')}\n`)
    })()
    const { text, size } = await lastBytes(many, 200)
    expect(size).toBe(5_000_000)
    expect(text).toBe(`${'49998'.padStart(99, '0')}\n${'49999'.padStart(99, '0')}\n`)
    expect((await readPiece(lines('x'.repeat(3 << 20)), -(3 << 20), 0)).length).toBe(1 << 20)
  })
})
