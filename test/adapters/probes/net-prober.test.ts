import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createNetProber } from '../../../src/adapters/probes/net-prober.ts'
import { probe } from '../../../src/contract/policy.ts'
import { probeHeader } from '../../../src/ports/prober.ts'
import { until } from '../../helpers/until.ts'

const prober = createNetProber()
const never = () => new AbortController().signal

type Asked = Parameters<typeof prober.probe>[0]
const http = (url: string, more: object = {}) => probe.parse({ type: 'http', url, ...more }) as Asked
const tcp = (port: number, more: object = {}) => probe.parse({ type: 'tcp', port, ...more }) as Asked

async function httpServer(answer: RequestListener): Promise<{ url: string; port: number; sockets: Set<Socket> }> {
  const server = createServer(answer)
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, port, sockets }
}

describe('HTTP', () => {
  it('is well for statuses from 200 to 399, and says what it saw', async () => {
    let status = 200
    const { url } = await httpServer((request, response) => {
      expect(request.headers).toMatchObject({ [probeHeader]: '1', connection: 'close' })
      response.writeHead(status).end('well')
    })
    expect(await prober.probe(http(`${url}/health`), never())).toEqual({ ok: true, message: `GET ${url}/health: answered 200` })
    for (status of [204, 301, 304]) expect(await prober.probe(http(url), never())).toMatchObject({ ok: true })
    for (status of [400, 404, 500, 503]) expect(await prober.probe(http(url), never())).toMatchObject({ ok: false })
  })

  it('holds to the one status that is asked for', async () => {
    const { url } = await httpServer((_request, response) => response.writeHead(401).end())
    expect(await prober.probe(http(url, { status: 401 }), never())).toMatchObject({ ok: true })
    expect(await prober.probe(http(url, { status: 200 }), never())).toMatchObject({ ok: false })
  })

  it('follows no redirect', async () => {
    const paths: (string | undefined)[] = []
    const { url } = await httpServer((request, response) => {
      paths.push(request.url)
      response.writeHead(302, { location: '/elsewhere' }).end()
    })
    expect(await prober.probe(http(`${url}/here`), never())).toMatchObject({ ok: true })
    expect(paths).toEqual(['/here'])
  })

  it('ends at its own time limit where no answer comes', async () => {
    const { url, sockets } = await httpServer(() => {})
    expect(await prober.probe(http(url, { timeout: 0.1 }), never())).toEqual({ ok: false, message: `GET ${url}/: no answer within 0.1 s` })
    await until(() => sockets.size === 0, 'its connection is closed')
  })

  it('lets go of a body without end', async () => {
    const { url, sockets } = await httpServer((_request, response) => {
      const pour = () => {
        while (!response.destroyed && response.write('x'.repeat(4096)));
        response.once('drain', pour)
      }
      response.writeHead(200)
      pour()
    })
    expect(await prober.probe(http(url), never())).toMatchObject({ ok: true })
    await until(() => sockets.size === 0, 'its connection is closed')
  })

  it('lets go of a body that never comes', async () => {
    const { url, sockets } = await httpServer((_request, response) => response.writeHead(200).flushHeaders())
    expect(await prober.probe(http(url, { timeout: 0.2 }), never())).toMatchObject({ ok: true })
    await until(() => sockets.size === 0, 'its connection is closed')
  })

  it('ends when it is told to', async () => {
    const { url, sockets } = await httpServer(() => {})
    const stop = new AbortController()
    const outcome = prober.probe(http(url), stop.signal)
    await until(() => sockets.size === 1, 'it is connected')
    stop.abort(new Error('the run is over'))
    expect(await outcome).toMatchObject({ ok: false })
    await until(() => sockets.size === 0, 'its connection is closed')
  })

  it('says in words what is wrong, and nothing of credentials and queries', async () => {
    const { port, url } = await httpServer((request) => request.socket.destroy())
    expect(await prober.probe(http(`http://ann:secret@127.0.0.1:${port}/a?key=hidden`), never())).toEqual({
      ok: false,
      message: `GET ${url}/a: the connection was closed without an answer`,
    })
    for (const bad of ['http://127.0.0.1:99999/', 'http://[nonsense/', 'http://a b/', 'https://127.0.0.1:1/'])
      expect(await prober.probe(http(bad), never())).toMatchObject({ ok: false })
  })

  it('takes what is no HTTP for not well', async () => {
    const server = createTcpServer((socket) => socket.end('nonsense\r\n\r\n'))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const { port } = server.address() as AddressInfo
    expect(await prober.probe(http(`http://127.0.0.1:${port}`), never())).toMatchObject({ ok: false })
  })
})

describe('TCP', () => {
  it('is well where somebody listens, and closes the connection', async () => {
    const { port, sockets } = await httpServer(() => {})
    expect(await prober.probe(tcp(port), never())).toEqual({ ok: true, message: `TCP 127.0.0.1:${port}: connected` })
    await until(() => sockets.size === 0, 'its connection is closed')
  })

  it('is not well where nobody does', async () => {
    const server = createTcpServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    server.close()
    await once(server, 'close')
    expect(await prober.probe(tcp(port), never())).toEqual({ ok: false, message: `TCP 127.0.0.1:${port}: nothing listens there` })
    expect((await prober.probe(tcp(port, { host: 'localhost' }), never())).message).toContain('nothing listens there')
  })

  it('never rejects, whatever the host', async () => {
    for (const host of ['no such host', '999.999.999.999', 'host.invalid'])
      expect(await prober.probe(tcp(1, { host, timeout: 3 }), never())).toMatchObject({ ok: false })
  })
})
