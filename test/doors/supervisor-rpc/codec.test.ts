import { describe, expect, it } from 'vitest'
import { decodeCall, encodeFault, encodeResponse } from '../../../src/doors/supervisor-rpc/codec.ts'
import { Fault } from '../../../src/doors/supervisor-rpc/faults.ts'

const decode = (text: string) => decodeCall(Buffer.from(text))
const withValue = (value: string) =>
  `<methodCall><methodName>m</methodName><params><param><value>${value}</value></param></params></methodCall>`

describe('a call as XML', () => {
  it('is read as Python writes it', () => {
    const text = `<?xml version='1.0'?>
<methodCall>
<methodName>supervisor.readProcessStdoutLog</methodName>
<params>
<param>
<value><string>alice_n&#xe9;&lt;ws&gt;_agent &amp; co</string></value>
</param>
<param>
<value><int>-1600</int></value>
</param>
<param>
<value><boolean>1</boolean></value>
</param>
<param>
<value><array><data>
<value><double>1.5e2</double></value>
<value><base64>
w6kh
</base64></value>
<value>untyped</value>
<value></value>
<value><struct>
<member>
<name>__proto__</name>
<value><i4>7</i4></value>
</member>
</struct></value>
</data></array></value>
</param>
</params>
</methodCall>
`
    const { method, params } = decode(text)
    expect(method).toBe('supervisor.readProcessStdoutLog')
    expect(params.slice(0, 3)).toEqual(['alice_né<ws>_agent & co', -1600, true])
    const [double, bytes, untyped, empty, struct] = params[3] as unknown[]
    expect([double, bytes, untyped, empty]).toEqual([150, 'é!', 'untyped', ''])
    expect(Object.entries(struct as object)).toEqual([['__proto__', 7]])
  })

  it('may have no parameters', () => {
    for (const params of ['', '<params/>', '<params></params>', '<params>\n</params>\n'])
      expect(decode(`<methodCall><methodName>m</methodName>${params}</methodCall>`)).toEqual({ method: 'm', params: [] })
  })

  it.each([
    ['nothing', ''],
    ['no XML', 'hello'],
    ['JSON', '{"method":"x"}'],
    ['a document type', '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><methodCall><methodName>&e;</methodName></methodCall>'],
    ['a document type after the declaration', '<?xml version="1.0"?><!DOCTYPE x><methodCall><methodName>m</methodName></methodCall>'],
    ['CDATA', withValue('<![CDATA[x]]>')],
    ['a comment', withValue('<!-- x -->')],
    ['an instruction', withValue('<?php x ?>')],
    ['an attribute', withValue('<string a="1">x</string>')],
    ['an unknown entity', withValue('&nbsp;')],
    ['half an entity', withValue('a & b')],
    ['NUL as a reference', withValue('&#0;')],
    ['half a character as a reference', withValue('&#xD800;')],
    ['a number that is no character', withValue('&#x110000;')],
    ['a control character', withValue('\u0001')],
    ['an unclosed element', '<methodCall><methodName>m</methodName>'],
    ['a wrong end', '<methodCall><methodName>m</methodCall></methodName>'],
    ['two roots', '<methodCall><methodName>m</methodName></methodCall><methodCall/>'],
    ['words after the end', '<methodCall><methodName>m</methodName></methodCall>x'],
    ['an answer', '<methodResponse><params/></methodResponse>'],
    ['no method', '<methodCall><params/></methodCall>'],
    ['an empty method', '<methodCall><methodName> </methodName></methodCall>'],
    ['two methods', '<methodCall><methodName>a</methodName><methodName>b</methodName></methodCall>'],
    ['a parameter without a value', '<methodCall><methodName>m</methodName><params><param/></params></methodCall>'],
    ['an unknown type', withValue('<nil/>')],
    ['a number in words', withValue('<int>one</int>')],
    ['an empty number', withValue('<int></int>')],
    ['a number without end', withValue(`<int>${'9'.repeat(400)}</int>`)],
    ['an infinite number', withValue('<double>Infinity</double>')],
    ['a boolean that is none', withValue('<boolean>true</boolean>')],
    ['two values in one', withValue('<int>1</int><int>2</int>')],
    ['text beside a value', withValue('x<int>1</int>')],
    ['elements in a text', withValue('<string><b>x</b></string>')],
    ['an array without data', withValue('<array><value>1</value></array>')],
    ['a member without a name', withValue('<struct><member><value>1</value></member></struct>')],
    ['bytes that are none', withValue('<base64>!!</base64>')],
    ['a deep nest', withValue(`${'<array><data><value>'.repeat(5000)}${'</value></data></array>'.repeat(5000)}`)],
  ])('is refused with a fault: %s', (_, text) => {
    let thrown: unknown
    try {
      decode(text)
    } catch (error) {
      thrown = error
    }
    expect(thrown).toBeInstanceOf(Fault)
    expect((thrown as Fault).faultCode).toBe(3)
    expect((thrown as Fault).message).toMatch(/^BAD_ARGUMENTS: this is not an XML-RPC call: .{5,200}$/)
  })

  it('is refused when it is not UTF-8', () => {
    expect(() => decodeCall(Buffer.from([0x3c, 0xff, 0xfe]))).toThrow('it is not UTF-8')
  })

  it('never does anything but read or refuse, whatever is changed in it', () => {
    const whole = withValue(
      '<struct><member><name>a</name><value><array><data><value><int>1</int></value></data></array></value></member></struct>',
    )
    let seed = 1
    const random = (below: number) => {
      seed = (seed * 48_271) % 2_147_483_647
      return seed % below
    }
    const pieces = ['<', '>', '&', '/', '"', '\0', 'é', '&#', ';', '<value>', '</value>', '<!', ']]>', '9', ' ']
    for (let round = 0; round < 3000; round++) {
      const at = random(whole.length)
      const broken = whole.slice(0, at) + (pieces[random(pieces.length)] ?? '') + whole.slice(at + random(8))
      try {
        expect(decode(broken).method.length).toBeGreaterThan(0)
      } catch (error) {
        expect(error).toBeInstanceOf(Fault)
      }
    }
  })

  it('takes time in proportion to its length', () => {
    const long = withValue(`<array><data>${'<value>&amp;x</value>'.repeat(40_000)}</data></array>`)
    const begun = performance.now()
    expect((decode(long).params[0] as unknown[]).length).toBe(40_000)
    expect(() => decode(withValue('&'.repeat(900_000)))).toThrow(Fault)
    expect(() => decode('<a>'.repeat(300_000))).toThrow(Fault)
    expect(performance.now() - begun).toBeLessThan(5000)
  })
})

describe('an answer as XML', () => {
  it('holds every value, and nothing that XML cannot hold', () => {
    const text = encodeResponse({ words: 'a<b>&c\r\n\u001b[31mred\ud800', list: [1, true, ''], big: 2 ** 40 })
    expect(text).toContain('<string>a&lt;b&gt;&amp;c&#13;\n\uFFFD[31mred\uFFFD</string>')
    expect(text).toContain(
      '<array><data>\n<value><int>1</int></value>\n<value><boolean>1</boolean></value>\n<value><string></string></value>\n</data></array>',
    )
    expect(text).toContain('<int>2147483647</int>')
  })

  it('may be a fault', () => {
    expect(encodeFault(new Fault('BAD_NAME', 'x<y'))).toContain('<value><int>10</int></value>')
    expect(encodeFault(new Fault('BAD_NAME', 'x<y'))).toContain('<string>BAD_NAME: x&lt;y</string>')
  })
})
