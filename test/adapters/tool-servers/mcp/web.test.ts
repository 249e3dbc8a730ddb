import { describe, expect, it } from 'vitest'
import { call, configOf, connected, listening, textOf } from '../../../helpers/mcp.ts'

const address = { http: '/mcp', sse: '/sse' } as const

describe.each(['http', 'sse'] as const)('an MCP server at an address (%s)', (transport) => {
  const at = (url: string, more: object = {}) => configOf({ transport, url: `${url}${address[transport]}`, ...more })

  it('gets the key of the configuration as a bearer token [I2-MCP-01]', async () => {
    const { url } = await listening(transport, { TOKEN: 'let-me-in' })
    const server = await connected(at(url, { auth: { api_key: 'let-me-in' } }))
    expect(textOf(await call(server, 'echo', { text: 'in' }))).toBe('in')
  })

  it('gets headers as they are written, which win over the key [I2-MCP-01]', async () => {
    const { url } = await listening(transport, { TOKEN: 'from-headers' })
    const server = await connected(
      at(url, { headers: { Authorization: 'Bearer from-headers', 'X-Team': 'blue' }, auth: { api_key: 'other' } }),
    )
    const seen = textOf(await call(server, 'echo', { text: 'in' }))
    expect(seen).toBe('in')
    if (transport === 'http') expect(JSON.parse(textOf(await call(server, 'headers')))).toMatchObject({ 'x-team': 'blue' })
  })

  it('tells of a wrong key without showing it', async () => {
    const { url } = await listening(transport, { TOKEN: 'let-me-in' })
    const error = await connected(at(url, { auth: { api_key: 'wrong-key-1234' } })).catch((thrown) => thrown)
    expect(error).toMatchObject({ code: 'UNAVAILABLE', hint: expect.stringContaining('auth.api_key') })
    expect(`${error.message} ${error.stack}`).not.toContain('wrong-key-1234')
  })

  it('is UNAVAILABLE where nobody listens, and at a wrong path', async () => {
    await expect(connected(at('http://127.0.0.1:9'))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    const { url } = await listening('sse')
    await expect(connected(configOf({ transport, url: `${url}/nowhere` }))).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      hint: expect.stringContaining('url'),
    })
  })

  it('fails the call that it dies in, and tells that it is gone', async () => {
    const { url } = await listening(transport)
    const server = await connected(at(url))
    await expect(call(server, 'die')).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    expect(await server.closed).not.toBe('')
  })

  it('keeps to read_timeout_seconds [I2-MCP-01]', async () => {
    const { url } = await listening(transport)
    const server = await connected(at(url, { read_timeout_seconds: 0.1 }))
    await expect(call(server, 'wait', { ms: 60_000 })).rejects.toMatchObject({ code: 'TIMED_OUT' })
  })
})

describe('the event stream of SSE', () => {
  it('is given up after read_transport_sse_timeout_seconds of silence [I2-MCP-01]', async () => {
    const { url } = await listening('sse')
    const server = await connected({ transport: 'sse', url: `${url}/sse`, read_transport_sse_timeout_seconds: 0.3 })
    expect(await server.closed).toContain('silent for 0.3 s')
  })

  it('is not opened anew behind our back when the server ends it', async () => {
    const { url } = await listening('sse')
    const server = await connected({ transport: 'sse', url: `${url}/sse` })
    await fetch(`${url}/end`, { method: 'POST' })
    expect(await server.closed).toContain('ended its event stream')
    await expect(call(server, 'echo', { text: 'x' })).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  })
})

describe('a session of Streamable HTTP that the server has forgotten', () => {
  it('is told as gone', async () => {
    const first = await listening('http-sessions')
    const server = await connected({ transport: 'http', url: `${first.url}/mcp` })
    first.child.kill('SIGKILL')
    await expect(call(server, 'echo', { text: 'x' })).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    expect(await server.closed).not.toBe('')
  })
})
