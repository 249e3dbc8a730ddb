import { describe, expect, it } from 'vitest'
import { parseServeFlags } from '../../src/config/flags.ts'
import { readToml } from '../../src/config/toml.ts'
import { parseDuration, parseSize } from '../../src/config/units.ts'
import { nearest } from '../../src/kernel/nearest.ts'

describe('units', () => {
  it.each([
    ['250ms', 250],
    ['5s', 5000],
    ['1h30m', 5_400_000],
    ['1.5', 1500],
    ['2d', 172_800_000],
    ['', undefined],
    ['5 s', undefined],
    ['-1s', undefined],
    ['s', undefined],
  ])('the duration %j is %j ms', (text, ms) => expect(parseDuration(text)).toBe(ms))

  it.each([
    ['100', 100],
    ['100kB', 100_000],
    ['10MiB', 10_485_760],
    ['1.5GiB', 1_610_612_736],
    ['2 G', 2_147_483_648],
    ['', undefined],
    ['much', undefined],
    ['1XB', undefined],
  ])('the size %j is %j bytes', (text, bytes) => expect(parseSize(text)).toBe(bytes))
})

describe('readToml', () => {
  it('knows where each key stands', () => {
    const toml = [
      '# a = 1',
      'a = 1',
      'text = """',
      'b = 2',
      '[c]',
      '"""',
      '  [ "d" . e ]',
      "f.g = ['x',",
      "  'y = 3']",
      'h = { i = 1 }',
      '[[j]]',
    ].join('\n')
    expect(Object.fromEntries([...readToml(toml, 'x')].map(([path, { line, column }]) => [path, `${line}:${column}`]))).toEqual({
      a: '2:1',
      text: '3:1',
      'd.e.f.g': '8:1',
      'd.e.h.i': '10:1',
      j: '11:3',
    })
  })
})

describe('parseServeFlags', () => {
  it('takes both ways to give a value', () => {
    expect(parseServeFlags(['--port', '0', '--host=::1', '--project', '..'])).toEqual({ port: '0', host: '::1', project: '..' })
  })

  it.each([
    [['--prot', '1'], "unknown option '--prot'\n(Did you mean --port?)"],
    [['--port'], 'an option of --port lacks its value'],
    [['here'], "regent serve takes options only, not 'here'"],
  ])('refuses %j', (args, message) => expect(() => parseServeFlags(args)).toThrow(message))
})

describe('nearest', () => {
  it.each([
    ['strat', 'start'],
    ['lgos', 'logs'],
    ['descr', 'describe'],
    ['START', 'start'],
    ['xyz', undefined],
    ['', undefined],
  ])('%j means %j', (word, meant) => expect(nearest(word, ['start', 'stop', 'logs', 'describe'])).toBe(meant))
})
