import { describe, expect, it } from 'vitest'
import { jsonFault, parseBody } from '../../../src/doors/http/json-body.ts'
import { RegentError } from '../../../src/kernel/errors.ts'

const parse = (text: string): unknown => parseBody(Buffer.from(text))
const fault = (bytes: string | Buffer): RegentError => {
  try {
    parseBody(Buffer.from(bytes as string))
  } catch (error) {
    if (error instanceof RegentError) return error
    throw error
  }
  throw new Error('it was taken')
}

describe('a body', () => {
  it.each([
    '{}',
    '[]',
    '""',
    '0',
    'null',
    ' { "a" : [ 1 , -2.5e3 , { "b" : "x" } , [ ] , { } ] , "c" : true } ',
    '{"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}]}',
    '{"a":"{\\"a\\":1,\\"a\\":2}","b":"\\\\"}',
    '{"a":9007199254740991,"b":-9007199254740991,"c":1e22,"d":"123456789012345678901234567890"}',
    '{"aé":1,"ae":2}',
  ])('is what JSON says: %s', (text) => expect(parse(text)).toEqual(JSON.parse(text)))

  it.each([
    ['{"a":1,"a":2}', 'a'],
    ['{"x":[0,{"a":1,"b":{},"a":2}]}', 'x.1.a'],
    ['{"a":1,"\\u0061":2}', 'a'],
    ['{"a":{"b":1,"c":[],"b":1}}', 'a.b'],
    ['{"n":1e999}', 'n'],
    ['{"n":[1,-1e999]}', 'n.1'],
    ['{"n":12345678901234567890}', 'n'],
    ['{"__proto__":{"a":1}}', '__proto__'],
    ['{"a":{"constructor":{"prototype":{}}}}', 'a.constructor.prototype'],
    ['{"a":"\\u0000"}', 'a'],
    ['{"a":"\\ud800"}', 'a'],
  ])('is refused with its path: %s', (text, path) => {
    const error = fault(text)
    expect(error.code).toBe('INVALID')
    expect(error.fields[0]?.path).toBe(path)
  })

  it.each([
    ['', 0],
    ['{', 1],
    ['{"a":1', 6],
    ['{"a": tru}', 6],
    ['{"a":"sk-ant-secret', 5],
    ["{'a':1}", 1],
  ])('is refused where it is no JSON: %j', (text, position) => {
    const error = fault(text)
    expect(error.code).toBe('BAD_REQUEST')
    expect(jsonFault(error)).toBe(position)
    expect(`${error.message} ${String(error.cause ?? '')}`).not.toContain('sk-ant')
  })

  it('is refused when it is not UTF-8', () => expect(fault(Buffer.from([0x22, 0xff, 0x22])).code).toBe('BAD_REQUEST'))

  it('is refused when it is nested too deeply, however deep', () => {
    for (const depth of [65, 100_000, 500_000]) expect(fault('['.repeat(depth) + ']'.repeat(depth)).code).toBe('INVALID')
    expect(fault('['.repeat(500_000)).code).toBe('BAD_REQUEST')
  })

  it('of 1 MiB is read in good time, whatever it is made of', () => {
    const long = 'x'.repeat(1 << 20)
    const started = performance.now()
    parse(JSON.stringify({ long }))
    parse(JSON.stringify(Array.from({ length: 150_000 }, (_, at) => at)))
    parse(`{${Array.from({ length: 80_000 }, (_, at) => `"${at}":0`).join()}}`)
    fault(`"${long}`)
    fault(`{"a":"${'\\"'.repeat(1 << 19)}"`)
    fault(`${' '.repeat(1 << 20)}x`)
    expect(performance.now() - started).toBeLessThan(2000)
  })
})
