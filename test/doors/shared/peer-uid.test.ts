import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { promisify } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createPeerUidReader } from '../../../src/doors/shared/peer-uid.ts'
import { ADMIN, as, openDoor } from '../../helpers/http-door.ts'

const run = promisify(execFile)
const linux = process.platform === 'linux'
const root = linux && process.getuid?.() === 0
const head = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode'
const ends = { remoteAddress: '127.0.0.1', remotePort: 0x9c40, localAddress: '127.0.0.1', localPort: 0x1f90 }
const row = (state: string, uid: number, inode: number): string =>
  `   1: 0100007F:9C40 0100007F:1F90 ${state} 00000000:00000000 00:00000000 00000000 ${String(uid).padStart(5)}        0 ${inode} 1 0000`
const other = '   0: 0100007F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     7        0 999 1 0000'

/** Reads from one text after the other, the last one for ever; the second table is empty. */
const reading = (...texts: readonly string[]) => {
  let at = 0
  const readTable = async (path: string) => (path === '/proc/net/tcp' ? `${head}\n${texts[Math.min(at++, texts.length - 1)]}\n` : head)
  return createPeerUidReader(readTable)(ends)
}

describe.runIf(linux)('the uid of a peer', () => {
  it('is that of the row whose own end is the peer’s', async () => expect(await reading(`${other}\n${row('01', 1000, 5)}`)).toBe(1000))
  it('is known of one that said its last', async () => expect(await reading(row('05', 1000, 5))).toBe(1000))
  it('is not that of a socket nobody holds any more', async () => expect(await reading(row('05', 0, 0))).toBeUndefined())
  it('is not that of a connection that is over', async () => expect(await reading(row('06', 0, 0))).toBeUndefined())
  it('is not that of a new caller from the same port', async () => expect(await reading(row('02', 0, 5))).toBeUndefined())
  it('is not 0 because the socket was closed between two fields', async () =>
    expect(await reading(row('01', 0, 5), row('04', 0, 0))).toBeUndefined())
  it('is 0 when it stays so', async () => expect(await reading(row('01', 0, 5))).toBe(0))
  it('is looked for again when the table was changing', async () => expect(await reading(other, row('01', 1000, 5))).toBe(1000))
  it('is unknown where there is no table', async () => {
    const missing = createPeerUidReader(() => Promise.reject(new Error('ENOENT')))
    expect(await missing(ends)).toBeUndefined()
  })

  it.each([
    ['127.0.0.1', '127.0.0.1'],
    ['::1', '::1'],
    ['::', '127.0.0.1'],
  ])('is read of a real connection: listening on %s, called at %s', async (listening, called) => {
    const { socket } = await connection(listening, called)
    expect(await createPeerUidReader()(socket)).toBe(process.getuid?.())
  })

  it('is unknown once the peer closed its socket', async () => {
    const { socket, client } = await connection('127.0.0.1', '127.0.0.1')
    const ended = once(socket.resume(), 'end')
    client.destroy()
    await ended
    expect(await createPeerUidReader()(socket)).toBeUndefined()
  })
})

describe('a tokenless call', () => {
  const asNobody = (args: readonly string[]) =>
    run('setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', 'curl', '-s', '-w', '%{http_code}', ...args])

  it('is taken from the same user [I2-GATE-02]', async () => {
    const { url } = await openDoor()
    expect((await run('curl', ['-s', '-w', '%{http_code}', `${url}/version`])).stdout).toMatch(/200$/)
  })

  it.runIf(root)('is refused from another local user, who may come with a token [I2-GATE-02]', async () => {
    const { url, fake } = await openDoor()
    const refused = await asNobody([`${url}/api/v1/agents`])
    expect(refused.stdout).toMatch(/another local user.*401$/)
    expect(refused.stdout).toContain('Authorization: Bearer')
    expect(fake.seen).toEqual([])
    const { authorization } = as(ADMIN)
    expect((await asNobody(['-H', `Authorization: ${authorization}`, `${url}/api/v1/agents`])).stdout).toMatch(/200$/)
  })

  it.runIf(root)('is refused from another local user on a WebSocket and a stream as well', async () => {
    const { url } = await openDoor()
    expect((await asNobody([`${url}/api/v1/events`])).stdout).toMatch(/401$/)
    const upgrade = [
      '-H',
      'Connection: Upgrade',
      '-H',
      'Upgrade: websocket',
      '-H',
      'Sec-WebSocket-Version: 13',
      '-H',
      'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
    ]
    expect((await asNobody([...upgrade, `${url}/link`])).stdout).toMatch(/4\d\d$/)
  })
})

async function connection(listening: string, called: string): Promise<{ socket: Socket; client: Socket }> {
  const server = createServer({ allowHalfOpen: true }).listen(0, listening)
  await once(server, 'listening')
  const address = server.address()
  const accepted = once(server, 'connection')
  const client = connect(typeof address === 'object' && address ? address.port : 0, called)
  const [[socket]] = await Promise.all([accepted, once(client, 'connect')])
  onTestFinished(() => {
    client.destroy()
    ;(socket as Socket).destroy()
    server.close()
  })
  return { socket: socket as Socket, client }
}
