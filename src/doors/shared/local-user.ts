import type { IncomingHttpHeaders } from 'node:http'
import { isLoopback } from './hosts.ts'
import type { Ends, ReadPeerUid } from './peer-uid.ts'

interface Call {
  readonly headers: IncomingHttpHeaders
  readonly socket: Ends
}

/** Why a caller is not taken for the local user; undefined when he is. */
export type LocalUserCheck = (call: Call) => Promise<string | undefined>

/** The kernel shows this uid for every user that the namespace cannot name. */
const OVERFLOW_UID = 65_534
const proxyHeaders = ['forwarded', 'via', 'x-real-ip']

/** Knows the owner of this Regent, and root, by their uid at the other end of a loopback connection; read once for each connection. */
export function createLocalUserCheck(uid: number | undefined, readPeerUid: ReadPeerUid): LocalUserCheck {
  const peers = new WeakMap<object, Promise<number | undefined>>()
  const peerOf = (socket: Ends): Promise<number | undefined> => {
    const known = peers.get(socket)
    if (known) return known
    const reading = readPeerUid(socket)
    peers.set(socket, reading)
    return reading
  }
  return async ({ headers, socket }) => {
    if (!isLoopback(socket.remoteAddress) || !isLoopback(socket.localAddress)) return 'the call does not come over loopback'
    if (cameThroughProxy(headers)) return 'the call came through a proxy'
    const peer = await peerOf(socket)
    if (uid === undefined || uid === OVERFLOW_UID || peer === undefined) return 'which local user calls cannot be seen here'
    return peer === uid || peer === 0 ? undefined : 'the caller is another local user'
  }
}

function cameThroughProxy(headers: IncomingHttpHeaders): boolean {
  return proxyHeaders.some((name) => headers[name] !== undefined) || Object.keys(headers).some((name) => name.startsWith('x-forwarded'))
}
