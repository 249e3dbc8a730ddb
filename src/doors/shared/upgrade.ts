import { type IncomingMessage, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { RegentError, reasonOf } from '../../kernel/errors.ts'

/** A door that takes connections over from HTTP (WebSocket). */
export interface UpgradeDoor {
  /** Never throws; answers or closes the socket itself. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void
  /** Says goodbye (1001) to every connection and resolves when they are gone. */
  close(): Promise<void>
}

/** Answers an upgrade that is not to be, as a plain HTTP response. */
export function refuseUpgrade(socket: Duplex, error: RegentError): void {
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const body = JSON.stringify({ status: error.status, code: error.code, detail: error.message, hint: error.hint ?? null })
  const head = [
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? 'Refused'}`,
    'Content-Type: application/problem+json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...(error.code === 'UNAUTHENTICATED' ? ['WWW-Authenticate: Bearer realm="regent"'] : []),
    ...(error.retryAfter === undefined ? [] : [`Retry-After: ${Math.max(1, Math.ceil(error.retryAfter))}`]),
    'Connection: close',
  ]
  socket.on('error', () => socket.destroy())
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy())
}

/** The error a caller is told: ours as it is, anything else as INTERNAL without its words. */
export function toldError(error: unknown, log: (reason: string) => void): RegentError {
  if (error instanceof RegentError) return error
  log(reasonOf(error))
  return new RegentError('INTERNAL', 'something went wrong inside Regent')
}
