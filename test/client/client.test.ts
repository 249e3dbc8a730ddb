import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createClient } from '../../src/client/index.ts'
import { RegentError } from '../../src/kernel/errors.ts'
import { type FakeHandler, startFakeNativeApi } from '../helpers/fake-native-api.ts'
import { until } from '../helpers/until.ts'
import { agentView, messageView } from '../helpers/views.ts'

async function connected(handlers: Readonly<Record<string, FakeHandler>>) {
  const api = await startFakeNativeApi(handlers)
  onTestFinished(() => api.close())
  return { api, client: createClient({ url: api.url, token: 'secret' }) }
}

/** Answers everything with this, as a proxy in between might. */
async function strangeServer(status: number, body: string, headers: Record<string, string> = {}): Promise<string> {
  const server = createServer((_, response) => response.writeHead(status, headers).end(body))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const rejection = (work: Promise<unknown>): Promise<RegentError> =>
  work.then(
    () => expect.unreachable(),
    (error: unknown) => error as RegentError,
  )

describe('call', () => {
  it('puts each part of the input where the route wants it', async () => {
    const { api, client } = await connected({
      'agents.list': () => ({ agents: [], next_cursor: null }),
      'messages.send': () => ({ message: messageView(), reply: null }),
      'agents.delete': () => ({ id: 'x', owner: 'o', name: 'n', deleted: true }),
      'events.list': () => ({ events: [], oldest: 0, newest: 0 }),
    })
    await client.call('agents.list', { owner: 'a b', limit: 5 })
    await client.call('messages.send', { agent: 'alice/ne ws?', content: 'hä', wait: true }, { key: 'once' })
    await client.call('agents.delete', { agent: '%2e%2e', wait: true })
    await client.call('events.list', { types: ['run.exited', 'run.fatal'] })
    expect(api.requests.map(({ operation, input }) => [operation, input])).toEqual([
      ['agents.list', { owner: 'a b', limit: '5' }],
      ['messages.send', { agent: 'alice/ne ws?', content: 'hä', wait: true }],
      ['agents.delete', { agent: '%2e%2e', wait: 'true' }],
      ['events.list', { types: 'run.exited,run.fatal' }],
    ])
    expect(api.requests[1]?.headers).toMatchObject({
      authorization: 'Bearer secret',
      'idempotency-key': 'once',
      'content-type': 'application/json',
    })
    expect(api.requests[0]?.headers.connection).toBe('close')
  })

  it.each(['', '.', '..'])('refuses %j as a part of the path', async (agent) => {
    const { api, client } = await connected({})
    expect(await rejection(client.call('agents.get', { agent }))).toMatchObject({ code: 'BAD_REQUEST' })
    expect(api.requests).toEqual([])
  })

  it('brings errors back as they were thrown', async () => {
    const { client } = await connected({
      'agents.get': () => {
        throw new RegentError('AMBIGUOUS', 'news is the name of two', {
          hint: 'say whose',
          fields: [{ path: 'agent', message: 'two' }],
          details: { owners: ['a', 'b'] },
        })
      },
    })
    const error = await rejection(client.call('agents.get', { agent: 'news' }))
    expect(error).toBeInstanceOf(RegentError)
    expect(error).toMatchObject({
      code: 'AMBIGUOUS',
      message: 'news is the name of two',
      hint: 'say whose',
      details: { owners: ['a', 'b'] },
    })
    expect(error.fields).toEqual([{ path: 'agent', message: 'two' }])
  })

  it('says so when somebody else answers', async () => {
    const html = createClient({ url: await strangeServer(502, '<h1>Bad\nGateway</h1>') })
    expect(await rejection(html.call('system.status', {}))).toMatchObject({
      code: 'UPSTREAM',
      message: 'answered 502: <h1>Bad Gateway</h1>',
    })
    const fine = createClient({ url: await strangeServer(200, 'hello') })
    expect(await rejection(fine.call('system.status', {}))).toMatchObject({
      code: 'UPSTREAM',
      hint: 'check the address: is this a Regent?',
    })
    const busy = createClient({ url: await strangeServer(429, '{"code":"TOO_MANY","detail":"slow down"}', { 'retry-after': '7' }) })
    expect(await rejection(busy.call('system.status', {}))).toMatchObject({ code: 'TOO_MANY', retryAfter: 7 })
    const later = createClient({ url: await strangeServer(409, '{"code":"NEWER_THAN_WE","detail":"no"}') })
    expect(await rejection(later.call('system.status', {}))).toMatchObject({ code: 'ALREADY_EXISTS', message: 'no' })
  })

  it('tells when nobody answers', async () => {
    const error = await rejection(createClient({ url: 'http://127.0.0.1:1' }).call('system.status', {}))
    expect(error).toMatchObject({
      code: 'UNAVAILABLE',
      details: { what: 'server' },
      message: 'no Regent answers at http://127.0.0.1:1 (nothing listens there)',
    })
  })

  it('tells when the connection is cut in the middle of an answer', async () => {
    const { api, client } = await connected({ 'agents.list': () => new Promise(() => {}) })
    const asking = rejection(client.call('agents.list', {}))
    await until(() => api.requests.length === 1, 'the request arrives')
    api.cut()
    expect(await asking).toMatchObject({ code: 'UNAVAILABLE', details: { what: 'server' } })
  })

  it('stops waiting when it is aborted, with the reason', async () => {
    const { api, client } = await connected({ 'agents.list': () => new Promise(() => {}) })
    const abort = new AbortController()
    const asking = rejection(client.call('agents.list', {}, { signal: abort.signal }))
    await until(() => api.requests.length === 1, 'the request arrives')
    const reason = new Error('enough')
    abort.abort(reason)
    expect(await asking).toBe(reason)
  })

  it('answers with what the operation answers', async () => {
    const { client } = await connected({ 'agents.list': () => ({ agents: [agentView()], next_cursor: null }) })
    expect(await client.call('agents.list', {})).toEqual({ agents: [agentView()], next_cursor: null })
  })
})
