import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { RegentError } from '../../../src/kernel/errors.ts'
import { ALICE, as, createDoor, openDoor } from '../../helpers/http-door.ts'
import { readSse } from '../../helpers/sse.ts'
import { until } from '../../helpers/until.ts'

const lines = [
  { run_id: 'r', stream: 'stdout', at: 1, text: 'one' },
  { run_id: 'r', stream: 'stderr', at: 2, text: 'two\nlines' },
]
async function* logs() {
  yield* lines
}

describe('events as SSE', () => {
  it('come as they happen, numbered, each with its type [I2-SSE-01]', async () => {
    const { url, fake } = await openDoor()
    const stream = await readSse(`${url}/api/v1/events`)
    expect([stream.status, stream.headers['content-type']]).toEqual([200, 'text/event-stream; charset=utf-8'])
    expect(stream.headers).toMatchObject({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
    await until(() => fake.open === 1, 'the stream is open')
    fake.emit('run.running', { text: 'a\nb' })
    fake.emit('run.exited')
    const [first, second] = await stream.next(2)
    expect(first).toEqual({ id: '1', event: 'run.running', data: { kind: 'event', event: fake.events[0] } })
    expect(second).toMatchObject({ id: '2', event: 'run.exited' })
  })

  it('are replayed from Last-Event-ID and then go on, none twice, none missing [I2-SSE-01]', async () => {
    const { url, fake } = await openDoor()
    for (let count = 0; count < 500; count++) fake.emit('agent.updated')
    const first = await readSse(`${url}/api/v1/events?after=0`)
    await first.next(200)
    const last = first.events.at(-1)?.id ?? ''
    first.close()
    await until(() => fake.open === 0, 'the first stream is closed')
    const second = await readSse(`${url}/api/v1/events?after=0`, { 'last-event-id': last })
    await second.next(500 - Number(last))
    fake.emit('run.exited')
    await second.next(501 - Number(last))
    const numbers = [...first.events.slice(0, Number(last)), ...second.events].map((event) => Number(event.id))
    expect(numbers).toEqual(Array.from({ length: 501 }, (_, at) => at + 1))
  })

  it('begin with resync when the position fell out of the kept window [I2-SSE-01]', async () => {
    const { url, fake } = await openDoor()
    for (let count = 0; count < 10; count++) fake.emit('agent.updated')
    fake.oldest = 8
    const stream = await readSse(`${url}/api/v1/events`, { 'last-event-id': '3' })
    expect((await stream.next(1))[0]).toEqual({ id: '10', event: 'resync', data: { kind: 'resync', oldest: 8, newest: 10 } })
    fake.emit('run.exited')
    expect((await stream.next(2))[1]).toMatchObject({ id: '11', event: 'run.exited' })
  })

  it('carry deltas without an id', async () => {
    const { url, fake } = await openDoor()
    const delta = { kind: 'delta', agent: 'me/x', agent_id: '1', message_id: 'm', author: 'x', text: 'Hel' }
    fake.answers.set('events.stream', async function* () {
      yield delta
    } as never)
    const stream = await readSse(`${url}/api/v1/events?deltas=true`)
    expect(await stream.next(1)).toEqual([{ event: 'delta', data: delta }])
  })

  it('have a heartbeat', async () => {
    const { url } = await openDoor({ limits: { heartbeatMs: 30 } })
    const stream = await readSse(`${url}/api/v1/events`)
    await until(() => stream.text().split(': alive\n\n').length > 3, 'three heartbeats')
    expect(stream.text()).toMatch(/^retry: 1000\n\n/)
  })

  it('end in the core when the caller goes', async () => {
    const { url, fake } = await openDoor()
    const stream = await readSse(`${url}/api/v1/events`)
    await until(() => fake.open === 1, 'the stream is open')
    stream.close()
    await until(() => fake.open === 0, 'the core was told')
    expect(fake.seen.at(-1)?.context.signal.aborted).toBe(true)
  })

  it('are refused by an ordinary answer when the request is wrong', async () => {
    const { app } = createDoor()
    for (const [url, last] of [
      ['/api/v1/events?after=-1', ''],
      ['/api/v1/events?types=nonsense', ''],
      ['/api/v1/events', 'x'],
    ] as const) {
      const answer = await app.inject({ url, headers: { ...as(ALICE), 'last-event-id': last, accept: 'text/event-stream' } })
      expect([answer.statusCode, answer.headers['content-type']]).toEqual([422, 'application/problem+json; charset=utf-8'])
    }
  })

  it('end with an error event when the source breaks later', async () => {
    const { url, fake, logs: log } = await openDoor()
    fake.answers.set('events.stream', async function* () {
      yield { kind: 'event', event: fake.emit('run.running') }
      throw new RegentError('UNAVAILABLE', 'the store is down')
    } as never)
    const stream = await readSse(`${url}/api/v1/events`)
    expect((await stream.next(2))[1]).toMatchObject({ event: 'error', data: { code: 'UNAVAILABLE', detail: 'the store is down' } })
    await until(() => stream.ended(), 'the stream ended')
    expect(log.lines).toEqual([])
  })
})

describe('a reader that does not read', () => {
  it('is cut, costs no memory meanwhile, and holds up nobody', async () => {
    const { url, port, fake } = await openDoor({ limits: { stallMs: 300 } })
    const big = { text: 'x'.repeat(10_000) }
    const deaf = connect(port, '127.0.0.1')
    onTestFinished(() => void deaf.destroy())
    deaf.on('error', () => {})
    const other = await readSse(`${url}/api/v1/events`)
    deaf.write('GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await once(deaf, 'readable')
    await until(() => fake.open === 2, 'both streams are open')
    for (let count = 0; count < 3000; count++) fake.emit('agent.updated', big)
    await until(() => other.events.length === 3000, 'the other reader has all of it')
    await until(() => fake.open === 1, 'the deaf reader was cut')
    fake.emit('run.exited')
    await other.next(3001)
    expect(other.ended()).toBe(false)
  })
})

describe('other streams', () => {
  const read = async (url: string, accept: string) => {
    const answer = await fetch(url, { headers: { accept } })
    return { type: answer.headers.get('content-type'), body: await answer.text() }
  }
  const sse = 'text/event-stream; charset=utf-8'
  const ndjson = 'application/x-ndjson; charset=utf-8'

  it.each([
    ['', '*/*', ndjson],
    ['', 'application/json', ndjson],
    ['?follow=true', '*/*', sse],
    ['?follow=true', 'application/x-ndjson', ndjson],
    ['', 'text/event-stream', sse],
  ])('are SSE where they are followed, lines of JSON where they end, or what was asked for: %j %s', async (query, accept, type) => {
    const { url, fake } = await openDoor()
    fake.answers.set('agents.logs', () => logs())
    const answer = await read(`${url}/api/v1/agents/news/logs${query}`, accept)
    expect(answer.type).toBe(type)
    const wanted = lines.map((line) => (type === sse ? `data: ${JSON.stringify(line)}\n\n` : `${JSON.stringify(line)}\n`)).join('')
    expect(answer.body.replace('retry: 1000\n\n', '')).toBe(wanted)
  })

  it('tell within the stream when it breaks, and when the server closes', async () => {
    const { app, url, fake } = await openDoor()
    fake.answers.set('agents.logs', async function* () {
      yield lines[0]
      throw new Error('broken sk-ant-canary-12345')
    } as never)
    const broken = await (await fetch(`${url}/api/v1/agents/x/logs`)).text()
    expect(
      broken
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toMatchObject([lines[0], { error: { code: 'INTERNAL' } }])
    expect(broken).not.toContain('canary')
    fake.answers.set('agents.logs', async function* (_input: object, { signal }: { signal: AbortSignal }) {
      yield lines[0]
      await once(signal, 'abort')
    } as never)
    const stream = await readSse(`${url}/api/v1/agents/x/logs?follow=true`)
    await stream.next(1)
    await app.close()
    expect((await stream.next(2))[1]).toMatchObject({ event: 'error', data: { code: 'UNAVAILABLE' } })
  })
})
