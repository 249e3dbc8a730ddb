import { describe, expect, it, onTestFinished } from 'vitest'
import { createClient } from '../../src/client/index.ts'
import { RegentError } from '../../src/kernel/errors.ts'
import { type FakeHandler, type FakeNativeApi, startFakeNativeApi } from '../helpers/fake-native-api.ts'
import { until } from '../helpers/until.ts'

async function streaming(operation: string, handler: FakeHandler) {
  const api = await startFakeNativeApi({ [operation]: handler })
  onTestFinished(() => api.close())
  return { api, client: createClient({ url: api.url }) }
}

const line = (text: string) => ({ data: { run_id: 'r', stream: 'stdout', at: null, text } })
const event = (number: number) => ({ id: String(number), data: { kind: 'resync', oldest: number, newest: number } })
/** What was written must have left before the connection is cut. */
const cut = async (api: FakeNativeApi) => {
  await new Promise(setImmediate)
  api.cut()
}

async function collect(items: AsyncIterable<object>, most = 100): Promise<object[]> {
  const found: object[] = []
  for await (const item of items) if (found.push(item) === most) break
  return found
}

describe('open', () => {
  it('ends where a stream without ids ends', async () => {
    const { client } = await streaming('agents.logs', async function* () {
      yield line('one\ntwo')
      yield line('drei ✓')
    })
    expect(await collect(client.open('agents.logs', { agent: 'a' }))).toEqual([line('one\ntwo').data, line('drei ✓').data])
  })

  it('throws what the server throws before and in the middle of it', async () => {
    const { api, client } = await streaming('agents.logs', () => {
      throw new RegentError('NOT_FOUND', 'there is no agent a', { hint: 'look' })
    })
    await expect(collect(client.open('agents.logs', { agent: 'a' }))).rejects.toMatchObject({ code: 'NOT_FOUND', hint: 'look' })
    api.on('agents.logs', async function* () {
      yield line('one')
      throw new RegentError('UNAVAILABLE', 'the log went away')
    } as FakeHandler)
    await expect(collect(client.open('agents.logs', { agent: 'a' }))).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: 'the log went away',
    })
  })

  it('throws when a stream without ids is cut, instead of leaving a gap', async () => {
    const { api, client } = await streaming('agents.logs', async function* () {
      yield line('one')
      await cut(api)
    })
    await expect(collect(client.open('agents.logs', { agent: 'a' }))).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      details: { what: 'server' },
    })
  })

  it('resumes after the last id when the connection is lost or the server ends it, and tells', async () => {
    let connections = 0
    const lost: string[] = []
    const { api, client } = await streaming('events.stream', async function* () {
      connections++
      yield event(connections)
      if (connections === 1) await cut(api)
    })
    const items = client.open('events.stream', {}, { lastEventId: '0', onLost: (error) => lost.push(error.code) })
    expect(await collect(items, 3)).toEqual([event(1).data, event(2).data, event(3).data])
    expect(api.requests.map(({ headers }) => headers['last-event-id'])).toEqual(['0', '1', '2'])
    expect(lost).toEqual(['UNAVAILABLE', 'UNAVAILABLE'])
  })

  it('looks for the server anew before it connects again', async () => {
    const { api: second } = await streaming('events.stream', async function* () {
      yield event(2)
    })
    const { api: first } = await streaming('events.stream', async function* () {
      yield event(1)
    })
    const client = createClient({ url: first.url, relocate: async () => ({ url: second.url, token: 'new' }) })
    expect(await collect(client.open('events.stream', {}), 2)).toEqual([event(1).data, event(2).data])
    expect(second.requests[0]?.headers.authorization).toBe('Bearer new')
  })

  it('does not go on when the server refuses to', async () => {
    let connections = 0
    const { client } = await streaming('events.stream', () => {
      if (++connections > 1) throw new RegentError('UNAUTHENTICATED', 'the token was revoked')
      return (async function* () {
        yield event(1)
      })()
    })
    await expect(collect(client.open('events.stream', {}))).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
  })

  it('ends without an error when it is aborted, also while it waits to connect again', async () => {
    const { api, client } = await streaming('events.stream', async function* () {
      yield event(1)
      await new Promise(() => {})
    })
    const abort = new AbortController()
    const found: object[] = []
    for await (const item of client.open('events.stream', {}, { signal: abort.signal })) {
      found.push(item)
      abort.abort()
    }
    expect(found).toHaveLength(1)
    const again = new AbortController()
    const items = client.open('events.stream', {}, { signal: again.signal, onLost: () => again.abort() })
    const iterator = items[Symbol.asyncIterator]()
    await iterator.next()
    await cut(api)
    expect(await iterator.next()).toMatchObject({ done: true })
  })

  it('closes the connection when the loop is left', async () => {
    let isClosed = false
    const { api, client } = await streaming('agents.logs', async function* () {
      try {
        for (let at = 0; ; at++) {
          yield line(String(at))
          await new Promise(setImmediate)
        }
      } finally {
        isClosed = true
      }
    })
    expect(await collect(client.open('agents.logs', { agent: 'a', follow: true }), 2)).toHaveLength(2)
    await until(() => isClosed, 'the server sees the end of the connection')
    expect(api.requests).toHaveLength(1)
  })
})
