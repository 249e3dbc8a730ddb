import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Check } from '../../../src/contract/system.ts'
import { listen } from '../../../src/doors/http/listeners.ts'
import { newAgent } from '../../helpers/fake-core.ts'
import { ALICE, as, createDoor, openDoor } from '../../helpers/http-door.ts'
import { until } from '../../helpers/until.ts'

/** Sends bytes and answers all that comes back until the server ends the connection. */
async function raw(port: number, ...parts: readonly string[]): Promise<string> {
  const socket = dial(port)
  for (const part of parts) socket.write(part)
  let text = ''
  for await (const chunk of socket.setEncoding('utf8')) text += String(chunk)
  return text
}

function dial(port: number): Socket {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  onTestFinished(() => void socket.destroy())
  return socket
}

const ask = (url: string): Promise<IncomingMessage> => new Promise((resolve, reject) => void get(url, resolve).on('error', reject))

describe('the server', () => {
  it('answers at 127.0.0.1 and [::1] with one port', async () => {
    const { port } = await openDoor()
    for (const host of ['127.0.0.1', '[::1]']) expect((await fetch(`http://${host}:${port}/livez`)).status).toBe(200)
  })

  it('says plainly that a port is taken', async () => {
    const { port } = await openDoor()
    const { app } = createDoor()
    await expect(listen(app, { host: '127.0.0.1', port })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining(`port ${port}: another program`),
    })
  })

  it('refuses headers above 16 KiB with 431 [I2-GATE-03]', async () => {
    const { port } = await openDoor()
    expect(await raw(port, `GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Flood: ${'x'.repeat(20_000)}\r\n\r\n`)).toMatch(/^HTTP\/1.1 431 /)
  })

  it('gives slow headers and slow bodies up with 408 [I2-GATE-03]', async () => {
    const { port, fake } = await openDoor({ limits: { headersMs: 200, requestMs: 400 } })
    expect(await raw(port, 'GET /livez HTTP/1.1\r\nHost: loc')).toMatch(/^HTTP\/1.1 408 /)
    const slow = 'POST /api/v1/agents HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{'
    expect(await raw(port, slow)).toMatch(/^HTTP\/1.1 408 /)
    expect(fake.changes).toEqual([])
  })

  it('refuses what is no HTTP, a missing Host and two of them', async () => {
    const { port } = await openDoor()
    expect(await raw(port, 'HELLO\r\n\r\n')).toMatch(/^HTTP\/1.1 400 /)
    expect(await raw(port, 'GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n')).toMatch(/^HTTP\/1.1 400 /)
    expect(await raw(port, 'GET /livez HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1.1 403 /)
    const twice = 'GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n'
    expect(await raw(port, twice)).toMatch(/^HTTP\/1.1 400 /)
  })

  it('ignores the offer of another protocol, as HTTP allows', async () => {
    const { port } = await openDoor()
    const offer =
      'GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n'
    const socket = dial(port)
    socket.write(offer)
    expect(String((await once(socket, 'data'))[0])).toMatch(/^HTTP\/1.1 200 /)
  })

  it('lives through callers that vanish', async () => {
    const { port, url, logs } = await openDoor()
    for (const text of [
      'GET /api/v1/agents HTTP/1.1\r\nHost: localhost\r\n\r\n',
      'POST /agents HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{',
      'G',
    ]) {
      const socket = dial(port)
      await once(socket, 'connect')
      socket.write(text)
      socket.resetAndDestroy()
    }
    expect((await fetch(`${url}/livez`)).status).toBe(200)
    expect(logs.lines.filter((line) => line.level === 'error')).toEqual([])
  })

  it('closes: streams end, new requests get 503, those in flight finish', async () => {
    const { app, port, url, fake } = await openDoor()
    let finish = (): void => {}
    fake.answers.set('agents.list', () => new Promise((resolve) => (finish = () => resolve({ agents: [], next_cursor: null }))))
    const stream = await ask(`${url}/api/v1/events`)
    const socket = dial(port).setEncoding('utf8')
    let text = ''
    socket.on('data', (chunk) => (text += String(chunk)))
    socket.write('GET /api/v1/agents HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await until(() => fake.seen.some((call) => call.name === 'agents.list'), 'the request is in flight')
    const closed = app.close()
    await once(stream.resume(), 'end')
    socket.write('GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n')
    const refused = await fetch(`${url}/livez`)
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '2'])
    finish()
    await until(() => text.includes('Regent is closing'), 'the second request is answered')
    expect([...text.matchAll(/HTTP\/1.1 (\d+)/g)].map((match) => match[1])).toEqual(['200', '503'])
    await closed
  })

  it('closes within its grace, whoever waits: 503, then the cut', async () => {
    const { app, url, fake, logs } = await openDoor({ limits: { graceMs: 300 } })
    const never = (signal?: AbortSignal) =>
      new Promise<object>((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
    fake.answers.set('agents.start', (_input, { signal }) => never(signal))
    fake.answers.set('agents.list', () => never())
    fake.agents.set('1', newAgent('bo', 'slow'))
    const waiting = fetch(`${url}/api/v1/agents/x/start?wait=true`, { method: 'POST' })
    const manager = fetch(`${url}/agents/slow/start?username=bo`, { method: 'POST' })
    const deaf = fetch(`${url}/api/v1/agents`).then(
      () => 'answered',
      () => 'cut',
    )
    await until(() => fake.seen.length === 4, 'all are in flight')
    const started = performance.now()
    await app.close()
    expect(performance.now() - started).toBeLessThan(2000)
    expect([(await waiting).status, (await manager).status]).toEqual([503, 503])
    expect(logs.lines).toEqual([])
    expect(await deaf).toBe('cut')
  })

  it('takes no more than its connections', async () => {
    const { port } = await openDoor({ limits: { connections: 2 } })
    const held = [dial(port), dial(port)]
    await Promise.all(held.map((socket) => once(socket, 'connect')))
    const third = dial(port)
    await once(third, 'close')
    expect(held.every((socket) => !socket.destroyed)).toBe(true)
  })

  it('tells the core when a caller went away', async () => {
    const { url, fake, logs } = await openDoor()
    let gone = false
    fake.answers.set(
      'agents.list',
      (_input, { signal }) =>
        new Promise((_, reject) =>
          signal.addEventListener('abort', () => {
            gone = true
            reject(signal.reason)
          }),
        ),
    )
    const leaving = new AbortController()
    const asked = fetch(`${url}/api/v1/agents`, { signal: leaving.signal }).catch(() => 'left')
    await until(() => fake.seen.length === 1, 'the call reached the core')
    leaving.abort()
    await until(() => gone, 'the core was told')
    expect(await asked).toBe('left')
    expect((await fetch(`${url}/livez/`)).status).toBe(200)
    expect(logs.lines).toEqual([])
  })

  it('says who it is and how it is', async () => {
    const { app, fake } = createDoor()
    const read = async (url: string) => app.inject({ url, headers: as(ALICE) })
    expect((await read('/version')).json()).toMatchObject({ version: '0.0.0-test' })
    expect((await read('/livez')).json()).toEqual({ status: 'ok' })
    expect((await read('/readyz')).json()).toMatchObject({ status: 'ready', checks: [{ name: 'store', ok: true }] })
    expect((await read('/metrics')).statusCode).toBe(200)
    fake.status = { ...fake.status, ready: false, checks: [{ name: 'store', ok: false, message: 'disk full', required: true }] }
    const ready = await read('/readyz')
    expect([ready.statusCode, ready.json().checks[0].message]).toEqual([503, 'disk full'])
    fake.checks = () => {
      throw new Error('broken')
    }
    expect((await read('/readyz')).json()).toMatchObject({ status: 'not ready', checks: [{ name: 'checks', ok: false }] })
    expect((await read('/health')).json()).toMatchObject({ status: 'healthy' })
  })

  it('answers /health at once with what is known, while a part is waited for', async () => {
    const { app, fake } = createDoor()
    const read = async (url: string) => app.inject({ url, headers: as(ALICE) })
    expect((await read('/health')).json().checks).toEqual({ store: 'ok' })
    const slow = Promise.withResolvers<Check[]>()
    fake.checks = () => slow.promise
    const waiting = read('/readyz')
    const begun = performance.now()
    expect((await read('/health')).json()).toMatchObject({ status: 'healthy', checks: { store: 'ok' } })
    expect(performance.now() - begun).toBeLessThan(100)
    slow.resolve([{ name: 'bus', ok: false, required: true, message: 'has not answered for 1 s' }])
    expect((await waiting).statusCode).toBe(503)
    fake.checks = () => new Promise(() => {})
    expect((await read('/health')).json().checks).toEqual({ bus: 'failed' })
  })
})
