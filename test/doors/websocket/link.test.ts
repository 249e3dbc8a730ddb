import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { WebSocket } from 'ws'
import type { FromRunner } from '../../../src/contract/link.ts'
import { createLinkDoor, type LinkLimits } from '../../../src/doors/websocket/link.ts'
import { RegentError } from '../../../src/kernel/errors.ts'
import { ADMIN, openDoor } from '../../helpers/http-door.ts'
import { until } from '../../helpers/until.ts'

const RUN = 'run-token-0123456789'
const activity: FromRunner = { type: 'activity', activity: 'idle' }
const delta = (text: string): FromRunner => ({ type: 'delta', message_id: 'm', author: 'a', text })

async function openLink(limits: Partial<LinkLimits> = {}) {
  const door = await openDoor({
    upgrades: ({ fake, gate, logs }) => new Map([['/link', createLinkDoor({ links: fake.links, gate, logger: logs, limits })]]),
  })
  door.fake.links.runs.set(RUN, { agentId: 'agent', runId: 'run' })
  return { ...door, links: door.fake.links }
}

function dial(
  port: number,
  headers: Record<string, string> = { authorization: `Bearer ${RUN}` },
  path = '/link',
  host = '127.0.0.1',
): WebSocket {
  const ws = new WebSocket(`ws://${host}:${port}${path}`, { headers })
  onTestFinished(() => ws.terminate())
  ws.on('error', () => {})
  return ws
}

const refusal = async (ws: WebSocket): Promise<number> => {
  const [, response] = (await once(ws, 'unexpected-response')) as [unknown, { statusCode: number; resume(): void }]
  response.resume()
  return response.statusCode
}

const closing = async (ws: WebSocket): Promise<[number, string]> => {
  const [code, reason] = (await once(ws, 'close')) as [number, Buffer]
  return [code, String(reason)]
}

describe('the link', () => {
  it('carries frames both ways, in order', async () => {
    const { port, links } = await openLink()
    const ws = dial(port)
    await once(ws, 'open')
    expect(links.peers[0]).toMatchObject({ agentId: 'agent', runId: 'run' })
    for (let count = 0; count < 500; count++) ws.send(JSON.stringify(delta(String(count))))
    await until(() => links.received.length === 500, 'all frames came')
    expect(links.received.map((frame) => frame.type === 'delta' && frame.text)).toEqual(Array.from({ length: 500 }, (_, at) => String(at)))
    const answer = once(ws, 'message')
    links.peers[0]?.send({ type: 'welcome', version: 1, cursor: 7 })
    expect(JSON.parse(String((await answer)[0]))).toEqual({ type: 'welcome', version: 1, cursor: 7 })
    ws.close()
    await until(() => links.detached.length === 1, 'the link is gone')
  })

  it('handles one frame at a time, and reads no further than its queue', async () => {
    const { port, links } = await openLink({ queue: 4 })
    let inside = 0
    let most = 0
    let release = (): void => {}
    const gate = new Promise<void>((resolve) => (release = resolve))
    links.take = async () => {
      most = Math.max(most, ++inside)
      await gate
      inside--
    }
    const ws = dial(port)
    await once(ws, 'open')
    const text = 'x'.repeat(100_000)
    for (let count = 0; count < 200; count++) ws.send(JSON.stringify(delta(text)))
    // 20 MB cannot all stand in the sockets' buffers: what is not read stays with the runner.
    await until(() => inside === 1, 'the first frame is in work')
    expect(ws.bufferedAmount).toBeGreaterThan(5_000_000)
    release()
    await until(() => links.received.length === 200, 'all frames came', 20_000)
    expect(most).toBe(1)
  })

  it('closes a connection whose runner does not read', async () => {
    const { port, links, logs } = await openLink({ bufferBytes: 1 << 20 })
    const ws = dial(port)
    await once(ws, 'open')
    ws.pause()
    const frame = {
      type: 'message',
      id: 'm',
      number: 1,
      conversation: 'main',
      sender: 'me',
      content: 'x'.repeat(200_000),
      metadata: {},
    } as const
    await until(() => {
      links.peers[0]?.send(frame)
      return links.detached.length === 1
    }, 'the connection was closed')
    expect(logs.text()).toContain('does not read')
    links.peers[0]?.send(frame)
  })

  it.each([
    ['no token', {}, 401],
    ['a wrong token', { authorization: 'Bearer nobody' }, 401],
    ['a user’s token, which is no run’s', { authorization: `Bearer ${ADMIN}` }, 401],
    ['a foreign Host', { authorization: `Bearer ${RUN}`, host: 'evil.example' }, 403],
    ['a web page', { authorization: `Bearer ${RUN}`, origin: 'https://evil.example' }, 403],
  ])('refuses %s', async (_what, headers, status) => {
    const { port, links } = await openLink()
    expect(await refusal(dial(port, headers))).toBe(status)
    expect(links.peers).toEqual([])
  })

  it('answers an unknown path with 404, what is no WebSocket with 400, and a failing core with its error', async () => {
    const { port, links, logs } = await openLink()
    expect(await refusal(dial(port, {}, '/elsewhere'))).toBe(404)
    const socket = connect(port, '127.0.0.1')
    onTestFinished(() => void socket.destroy())
    socket.write(
      `GET /link HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${RUN}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    )
    expect(String((await once(socket, 'data'))[0])).toMatch(/^HTTP\/1.1 400 /)
    links.admit = async () => {
      throw new RegentError('UNAVAILABLE', 'the store is down', { retryAfter: 3 })
    }
    expect(await refusal(dial(port))).toBe(503)
    links.admit = async () => {
      throw new Error('broken Bearer canary')
    }
    expect(await refusal(dial(port))).toBe(500)
    expect(logs.text()).toContain('could not be admitted')
    expect(logs.text()).not.toContain('canary')
  })

  it.each<readonly [string, string | Buffer, number, RegExp]>([
    ['no JSON', '{', 1007, /not JSON/],
    ['an unknown type', '{"type":"root"}', 1008, /invalid frame: type/],
    ['a missing field', '{"type":"accepted"}', 1008, /invalid frame: message_id/],
    ['a poisoned key', '{"type":"accepted","message_id":"m","__proto__":{}}', 1008, /forbidden key/],
    ['depth', `{"type":"out","rows":${'['.repeat(100)}${']'.repeat(100)}}`, 1008, /nested deeper/],
    ['a binary frame', Buffer.from(JSON.stringify(activity)), 1003, /texts/],
    ['more than 4 MiB', JSON.stringify(delta('x'.repeat(5 << 20))), 1009, /^$/],
  ])('closes for %s, says why, and takes nothing after it', async (_what, bad, code, reason) => {
    const { port, links, logs } = await openLink()
    const ws = dial(port)
    await once(ws, 'open')
    const closed = closing(ws)
    ws.send(bad)
    ws.send(JSON.stringify(activity))
    const [seen, why] = await closed
    expect([seen, why]).toEqual([code, expect.stringMatching(reason)])
    await until(() => links.detached.length === 1, 'the link is gone')
    expect(links.received).toEqual([])
    expect(logs.lines.map((line) => line.level)).toContain('warn')
  })

  it('closes when the core cannot take a frame', async () => {
    const { port, links, logs } = await openLink()
    links.take = async (frame) => {
      if (frame.type === 'delta') throw new Error('disk on fire')
    }
    const ws = dial(port)
    await once(ws, 'open')
    const closed = closing(ws)
    for (const frame of [activity, delta('x'), activity]) ws.send(JSON.stringify(frame))
    expect(await closed).toEqual([1011, 'the frame could not be taken'])
    expect(links.received).toEqual([activity])
    expect(logs.text()).toContain('disk on fire')
  })

  it('can be closed by the core, with its reason', async () => {
    const { port, links } = await openLink()
    const ws = dial(port)
    await once(ws, 'open')
    const closed = closing(ws)
    links.peers[0]?.close(`another run took over ${'é'.repeat(200)}`)
    const [code, reason] = await closed
    expect([code, reason]).toEqual([1000, expect.stringMatching(/^another run took over é+$/)])
  })

  it('cuts a runner that answers no ping, and keeps one that does', async () => {
    const { port, links } = await openLink({ pingMs: 50 })
    const alive = dial(port)
    await once(alive, 'open')
    const deaf = new WebSocket(`ws://127.0.0.1:${port}/link`, { headers: { authorization: `Bearer ${RUN}` }, autoPong: false })
    onTestFinished(() => deaf.terminate())
    await once(deaf, 'close')
    await until(() => links.detached.length === 1, 'the core was told')
    expect(alive.readyState).toBe(WebSocket.OPEN)
  })

  it('asks for a sign of life, and tells of whatever comes', async () => {
    const { port, links } = await openLink()
    const ws = dial(port)
    await once(ws, 'open')
    const [peer] = links.peers
    peer?.ping()
    await until(() => links.heard.length === 1, 'a pong')
    ws.ping()
    await until(() => links.heard.length === 2, 'a ping')
    ws.send(JSON.stringify(activity))
    await until(() => links.heard.length === 3, 'a frame')
    expect(links.heard.every((one) => one === peer)).toBe(true)
    ws.close()
    await until(() => links.detached.length === 1, 'the link is gone')
    peer?.ping()
  })

  it('says goodbye with 1001 when the server closes, also to one that does not answer', async () => {
    const { app, port, links } = await openLink({ closeMs: 100 })
    const polite = dial(port)
    const silent = dial(port)
    await Promise.all([once(polite, 'open'), once(silent, 'open')])
    silent.pause()
    const closed = closing(polite)
    await app.close()
    expect(await closed).toEqual([1001, 'Regent is closing'])
    expect(links.detached.length).toBe(2)
  })

  it('does not wait for who is not admitted yet when the server closes', async () => {
    const { app, port, links } = await openLink()
    let asked = false
    links.admit = () => {
      asked = true
      return new Promise(() => {})
    }
    const ws = dial(port)
    await until(() => asked, 'the core was asked')
    await app.close()
    await until(() => ws.readyState === WebSocket.CLOSED, 'the caller was let go')
    expect(links.peers).toEqual([])
  })

  it('is reached at [::1] as well', async () => {
    const { port, links } = await openLink()
    await once(dial(port, undefined, '/link', '[::1]'), 'open')
    expect(links.peers.length).toBe(1)
  })
})
