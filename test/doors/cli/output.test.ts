import { describe, expect, it } from 'vitest'
import { agentColumns } from '../../../src/doors/cli/agents.ts'
import { durationOption, sizeOption } from '../../../src/doors/cli/options.ts'
import { layout } from '../../../src/doors/cli/output/table.ts'
import { clean, cleanLines, columnsOf, cut, duration, money, plural, timeOf } from '../../../src/doors/cli/output/text.ts'
import { inParallel } from '../../../src/doors/cli/parallel.ts'
import { agentView } from '../../helpers/views.ts'

const plain = (_: string, text: string) => text
const agents = [
  agentView({ name: 'a-name-that-is-rather-long-for-a-table', kind: 'team', activity: 'working', queued: 3 }),
  agentView({
    name: 'b',
    state: 'BACKOFF',
    pid: null,
    uptime_ms: null,
    restarts: 12,
    reason: 'exited with code 1 after 3 s; starts again in 8 s',
    usage: { model_calls: 1, input_tokens: 1, output_tokens: 1, cost_usd: 1.5 },
  }),
]
const columnsShown = (width: number) => layout(agents, agentColumns, width, plain)[0]?.split(/ +/)

describe('a table', () => {
  it.each([200, 140, 120, 100, 80, 60, 50])('fits %i columns', (width) => {
    const lines = layout(agents, agentColumns, width, plain)
    expect(lines.filter((line) => columnsOf(line) > width)).toEqual([])
    expect(lines).toHaveLength(3)
  })

  it('cuts texts first and then gives up the columns that matter least', () => {
    expect(columnsShown(200)).toEqual([
      'NAME',
      'OWNER',
      'KIND',
      'STATE',
      'ACTIVITY',
      'PID',
      'UPTIME',
      'RESTARTS',
      'QUEUE',
      'COST',
      'MESSAGE',
    ])
    expect(columnsShown(80)).toEqual(['NAME', 'OWNER', 'STATE', 'ACTIVITY', 'PID', 'UPTIME', 'RESTARTS', 'MESSAGE'])
    expect(columnsShown(50)).toEqual(['NAME', 'STATE', 'ACTIVITY', 'MESSAGE'])
    expect(layout(agents, agentColumns, 80, plain)[1]).toContain('…')
  })

  it('measures before it colours', () => {
    const painted = layout(agents, agentColumns, 80, (_, text) => `<${text}>`)
    expect(painted.map((line) => line.replaceAll(/[<>]/g, ''))).toEqual(layout(agents, agentColumns, 80, plain))
  })

  it('lines up wide characters', () => {
    const lines = layout(
      [
        { a: '日本', b: 'x' },
        { a: 'abc', b: 'y' },
      ],
      [
        { title: 'A', value: ({ a }) => a },
        { title: 'B', value: ({ b }) => b },
      ],
      80,
      plain,
    )
    expect(lines).toEqual(['A     B', '日本  x', 'abc   y'])
  })
})

describe('inParallel', () => {
  it('keeps the order, goes on after failures, and never does more at once than allowed', async () => {
    let running = 0
    let most = 0
    const results = await inParallel(
      Array.from({ length: 50 }, (_, index) => index),
      async (index) => {
        most = Math.max(most, ++running)
        await new Promise(setImmediate)
        running--
        if (index % 10 === 3) throw new Error(`${index}`)
        return index * 2
      },
      4,
    )
    expect(most).toBe(4)
    expect(results.map((one) => (one.status === 'fulfilled' ? one.value : String(one.reason.message)))).toEqual(
      Array.from({ length: 50 }, (_, index) => (index % 10 === 3 ? `${index}` : index * 2)),
    )
    expect(await inParallel([], async () => 1)).toEqual([])
  })
})

describe('texts', () => {
  it.each([
    [0, '0s'],
    [999, '0s'],
    [61_000, '1m1s'],
    [3_600_000, '1h'],
    [93_784_000, '1d2h'],
    [-5, '0s'],
  ])('%i ms are %s', (ms, text) => expect(duration(ms)).toBe(text))

  it('tell money, numbers and times', () => {
    expect([null, 0, 0.001, 12.345].map(money)).toEqual(['?', '-', '<$0.01', '$12.35'])
    expect([plural(1, 'agent'), plural(2, 'agent'), plural(0, 'process')]).toEqual(['1 agent', '2 agents', '0 processes'])
    const at = new Date(2026, 10, 20, 9, 5, 3).getTime()
    expect([timeOf(at, at), timeOf(at, at + 86_400_000)]).toEqual(['09:05:03', '2026-11-20 09:05:03'])
  })

  it('hold nothing that moves the cursor, changes the title or hides the order', () => {
    const nasty = 'a\x1b[2J\x1b]0;title\x07b\rc\x9bd\u202ee\0'
    expect(clean(nasty)).toBe('a [2J ]0;title b c d e')
    expect(cleanLines(`\x1b[1m${nasty}\n\tf`)).toBe('\x1b[1mabcde\n\tf')
  })

  it('are cut to columns, not characters', () => {
    expect([cut('abcdef', 4), cut('日本語', 4), cut('abc', 3), cut('abc', 0), cut('e\u0301xyz', 3)]).toEqual([
      'abc…',
      '日…',
      'abc',
      '',
      'e\u0301x…',
    ])
  })

  it('are read as durations and sizes', () => {
    expect([durationOption('90'), durationOption('1m30s'), sizeOption('512MiB'), sizeOption('1g'), sizeOption('100')]).toEqual([
      90_000, 90_000, 536_870_912, 1_073_741_824, 100,
    ])
    expect(() => durationOption('soon')).toThrow('no duration')
  })
})
