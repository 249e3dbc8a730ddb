import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Parser } from '@stomp/stompjs'
import { expect, it } from 'vitest'
import { FrameFilter } from '../../../src/adapters/buses/stomp/frame-filter.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

interface Seen {
  readonly command: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** What stompjs makes of it behind a filter of 10 bytes for a body and 100 for a head. */
function read(chunks: readonly Buffer[], filter = new FrameFilter(10, 100)) {
  const frames: Seen[] = []
  let [beats, passed] = [0, 0]
  const parser = new Parser(
    ({ command, headers, binaryBody }) => {
      const first = Object.fromEntries(headers.map(([name, value]) => [name, value]).reverse())
      frames.push({ command: `${command}`, headers: first, body: Buffer.from(binaryBody ?? []).toString() })
    },
    () => {
      beats += 1
    },
  )
  for (const chunk of chunks) {
    for (const piece of filter.push(chunk)) {
      passed += piece.length
      parser.parseChunk(piece as unknown as ArrayBuffer)
    }
  }
  return { frames, beats, passed }
}

const stream = Buffer.from(
  [
    '\n\r\nCONNECTED\r\nversion:1.2\r\nserver:x\r\n\r\n\0\n',
    'MESSAGE\na:é\\n\\c:x\ncontent-length:4\n\na\0\nb\0\n\n',
    'MESSAGE\nb:1\n\nshort\0MESSAGE\nb:2\n\n\0',
    'MESSAGE\nc:à\ncontent-length:12\nregent-cut:1\n\nA\n\nB\0\0B\0long\0\n',
    'MESSAGE\r\nd:1\r\nx:à\r\n\r\nMESSAGE\n\nmuch too long\0RECEIPT\nreceipt-id:r1\n\n\0',
    'MESSAGE\ncontent-length:0\n\n\0MESSAGE\ncontent-length:3\ncontent-length:99\n\nabc\0',
    'MESSAGE\ncontent-length:10\n\n0123456789\0MESSAGE\n\n0123456789\0MESSAGE\n\n0123456789a\0\n',
  ].join(''),
)

const wanted: readonly Seen[] = [
  { command: 'CONNECTED', headers: { version: '1.2', server: 'x' }, body: '' },
  { command: 'MESSAGE', headers: { a: 'é\\n\\c:x', 'content-length': '4' }, body: 'a\0\nb' },
  { command: 'MESSAGE', headers: { b: '1' }, body: 'short' },
  { command: 'MESSAGE', headers: { b: '2' }, body: '' },
  { command: 'MESSAGE', headers: { 'regent-cut': '12', c: 'à', 'content-length': '0' }, body: '' },
  { command: 'MESSAGE', headers: { 'regent-cut': '22', d: '1', x: 'à', 'content-length': '0' }, body: '' },
  { command: 'RECEIPT', headers: { 'receipt-id': 'r1' }, body: '' },
  { command: 'MESSAGE', headers: { 'content-length': '0' }, body: '' },
  { command: 'MESSAGE', headers: { 'content-length': '3' }, body: 'abc' },
  { command: 'MESSAGE', headers: { 'content-length': '10' }, body: '0123456789' },
  { command: 'MESSAGE', headers: {}, body: '0123456789' },
  { command: 'MESSAGE', headers: { 'regent-cut': '11', 'content-length': '0' }, body: '' },
]

it('cuts what is too large and nothing else, however the stream is split', () => {
  const whole = read([stream])
  expect(whole.frames).toEqual(wanted)
  expect(whole.beats).toBe(7)
  for (let at = 0; at <= stream.length; at++) {
    const { frames, beats } = read([stream.subarray(0, at), stream.subarray(at)])
    expect([at, frames, beats]).toEqual([at, wanted, 7])
  }
  for (const size of [1, 2, 3, 7, 64]) {
    const chunks = Array.from({ length: Math.ceil(stream.length / size) }, (_, nth) => stream.subarray(nth * size, (nth + 1) * size))
    expect([size, read(chunks).frames]).toEqual([size, wanted])
  }
})

it('passes small frames on as views of what came, those of one chunk in one', () => {
  const chunk = Buffer.from('\nMESSAGE\na:1\ncontent-length:2\n\nhi\0MESSAGE\ncontent-length:9\n\n01234')
  const pieces = new FrameFilter(10, 100).push(chunk)
  expect(pieces).toEqual([chunk])
  expect(pieces.every(({ buffer }) => buffer === chunk.buffer)).toBe(true)
})

for (const [how, head] of [
  ['with a content-length', `MESSAGE\na:1\ncontent-length:${100 * 1024 * 1024}\n\n`],
  ['without one', 'MESSAGE\na:1\n\n'],
] as const) {
  it(`skips a body of 100 MiB ${how}: little is passed on, little is kept`, () => {
    const filter = new FrameFilter()
    const chunk = Buffer.alloc(64 * 1024, 'x')
    const kept: Buffer[] = [...filter.push(Buffer.from(head))]
    // Each time a chunk of its own, as a socket gives them: what the filter held on to would show.
    let most = 0
    collectGarbage()
    const before = process.memoryUsage().arrayBuffers
    for (let nth = 0; nth < 1600; nth++) {
      kept.push(...filter.push(Buffer.from(chunk)))
      if (nth % 100 === 99) {
        collectGarbage()
        most = Math.max(most, process.memoryUsage().arrayBuffers - before)
      }
    }
    kept.push(...filter.push(Buffer.from('\0MESSAGE\n\nnext\0')))
    const { frames, passed } = read([Buffer.concat(kept)])
    expect(frames).toEqual([
      { command: 'MESSAGE', headers: { 'regent-cut': `${100 * 1024 * 1024}`, a: '1', 'content-length': '0' }, body: '' },
      { command: 'MESSAGE', headers: {}, body: 'next' },
    ])
    expect(passed).toBeLessThan(200)
    expect(most).toBeLessThan(8 * 1024 * 1024)
  })
}

it('carries a body of exactly 2 MiB whole', () => {
  const body = Buffer.alloc(2 * 1024 * 1024, 'y')
  const { frames } = read([Buffer.from('MESSAGE\n\n'), body, Buffer.from('\0')], new FrameFilter())
  expect(frames[0]?.body.length).toBe(body.length)
})

it('refuses a head that is too long or none', () => {
  const refused = (text: string) => () => read([Buffer.from(text)])
  expect(refused(`MESSAGE\na:${'x'.repeat(100)}`)).toThrow(expect.objectContaining({ code: 'TOO_LARGE' }))
  expect(() => read(Array.from({ length: 101 }, () => Buffer.from('x')))).toThrow(expect.objectContaining({ code: 'TOO_LARGE' }))
  for (const length of ['-1', 'many', '', '1e3']) {
    expect(refused(`MESSAGE\ncontent-length:${length}\n\n`)).toThrow(expect.objectContaining({ code: 'INVALID' }))
  }
  expect(refused('MESSAGE\nno colon\n\n')).toThrow(expect.objectContaining({ code: 'INVALID' }))
})
