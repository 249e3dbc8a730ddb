import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'
import { FrameReader } from '../../../src/adapters/buses/stomp/frame-reader.ts'
import { type Frame, readHead, writeFrame } from '../../../src/adapters/buses/stomp/frames.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** With at most 10 bytes for a body and 100 for a head. */
function read(chunks: readonly Buffer[], mostBody: number | undefined = 10, mostHead: number | undefined = 100): readonly Frame[] {
  const frames: Frame[] = []
  const reader = new FrameReader((frame) => frames.push(frame), mostBody, mostHead)
  for (const chunk of chunks) reader.push(chunk)
  return frames
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

const wanted: readonly Frame[] = [
  { command: 'CONNECTED', headers: { version: '1.2', server: 'x' }, body: '' },
  { command: 'MESSAGE', headers: { a: 'é\n::x', 'content-length': '4' }, body: 'a\0\nb' },
  { command: 'MESSAGE', headers: { b: '1' }, body: 'short' },
  { command: 'MESSAGE', headers: { b: '2' }, body: '' },
  { command: 'MESSAGE', headers: { 'regent-cut': '12', c: 'à', 'content-length': '12' }, body: '' },
  { command: 'MESSAGE', headers: { 'regent-cut': '22', d: '1', x: 'à' }, body: '' },
  { command: 'RECEIPT', headers: { 'receipt-id': 'r1' }, body: '' },
  { command: 'MESSAGE', headers: { 'content-length': '0' }, body: '' },
  { command: 'MESSAGE', headers: { 'content-length': '3' }, body: 'abc' },
  { command: 'MESSAGE', headers: { 'content-length': '10' }, body: '0123456789' },
  { command: 'MESSAGE', headers: {}, body: '0123456789' },
  { command: 'MESSAGE', headers: { 'regent-cut': '11' }, body: '' },
]

it('reads frames and cuts what is too large and nothing else, however the stream is split', () => {
  expect(read([stream])).toEqual(wanted)
  for (let at = 0; at <= stream.length; at++) expect([at, read([stream.subarray(0, at), stream.subarray(at)])]).toEqual([at, wanted])
  for (const size of [1, 2, 3, 7, 64]) {
    const chunks = Array.from({ length: Math.ceil(stream.length / size) }, (_, nth) => stream.subarray(nth * size, (nth + 1) * size))
    expect([size, read(chunks)]).toEqual([size, wanted])
  }
})

it('reads what it writes: every sign of STOMP 1.2, and of 1.1 all but a carriage return', () => {
  const headers = { plain: 'x', 'a:b': 'back\\slash \\n', lines: 'one\ntwo', ends: 'é::' }
  for (const version of ['1.1', '1.2'] as const) {
    const text = writeFrame('SEND', headers, 'body\n', version)
    expect(read([Buffer.from(text)], 10, 1000)).toEqual([{ command: 'SEND', headers, body: 'body\n' }])
  }
  expect(writeFrame('SEND', { a: 'x\ry' }, '', '1.2')).toBe('SEND\na:x\\ry\n\n\0')
  expect(writeFrame('CONNECT', { passcode: 'a:b\\c' })).toBe('CONNECT\npasscode:a:b\\c\n\n\0')
  expect(readHead('X\n__proto__:1\na:1\na:2\n').headers).toEqual({ a: '1' })
})

for (const [how, head] of [
  ['with a content-length', `MESSAGE\na:1\ncontent-length:${100 * 1024 * 1024}\n\n`],
  ['without one', 'MESSAGE\na:1\n\n'],
] as const) {
  it(`skips a body of 100 MiB ${how}: little is kept`, () => {
    const frames: Frame[] = []
    const reader = new FrameReader((frame) => frames.push(frame))
    reader.push(Buffer.from(head))
    const chunk = Buffer.alloc(64 * 1024, 'x')
    // Each time a chunk of its own, as a socket gives them: what the reader held on to would show.
    let most = 0
    collectGarbage()
    const before = process.memoryUsage().arrayBuffers
    for (let nth = 0; nth < 1600; nth++) {
      reader.push(Buffer.from(chunk))
      if (nth % 100 === 99) {
        collectGarbage()
        most = Math.max(most, process.memoryUsage().arrayBuffers - before)
      }
    }
    reader.push(Buffer.from('\0MESSAGE\n\nnext\0'))
    expect(frames).toMatchObject([
      { command: 'MESSAGE', headers: { 'regent-cut': `${100 * 1024 * 1024}`, a: '1' }, body: '' },
      { command: 'MESSAGE', headers: {}, body: 'next' },
    ])
    expect(most).toBeLessThan(8 * 1024 * 1024)
  })
}

it('carries a body of exactly 2 MiB whole', () => {
  const body = Buffer.alloc(2 * 1024 * 1024, 'y')
  const frames: Frame[] = []
  const reader = new FrameReader((frame) => frames.push(frame))
  for (const chunk of [Buffer.from('MESSAGE\n\n'), body, Buffer.from('\0')]) reader.push(chunk)
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
