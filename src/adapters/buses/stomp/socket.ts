import { readFile } from 'node:fs/promises'
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { type IStompSocket, StompSocketState } from '@stomp/stompjs'
import type { TlsSettings } from '../../../contract/brokers.ts'
import { reasonOf } from '../../../kernel/errors.ts'
import { FrameFilter } from './frame-filter.ts'

const KEEP_ALIVE_MS = 30_000
const NOTHING = new Uint8Array(0)

/** What TLS is opened with; the files are read anew for each connection, so that a renewed certificate is used. */
export async function readTls(tls: TlsSettings): Promise<ConnectionOptions> {
  const [ca, cert, key] = await Promise.all([tls.ca, tls.cert, tls.key].map((file) => (file === undefined ? undefined : readFile(file))))
  return {
    ...(ca && { ca }),
    ...(cert && { cert }),
    ...(key && { key }),
    rejectUnauthorized: tls.verify !== false,
    ...(tls.checkHostname === false && { checkServerIdentity: () => undefined }),
  }
}

/** A TCP or TLS connection in the shape that stompjs speaks over. */
export class StompSocket implements IStompSocket {
  readonly url: string
  onopen: IStompSocket['onopen']
  onclose: IStompSocket['onclose']
  onerror: IStompSocket['onerror']
  onmessage: IStompSocket['onmessage']
  binaryType = 'arraybuffer'
  /** Why it was closed, where that is known. */
  reason: string | undefined
  readonly #socket: Socket
  readonly #filter = new FrameFilter()
  #state = StompSocketState.CONNECTING

  /** `address`: host:port. */
  constructor(address: string, tls: ConnectionOptions | undefined) {
    const [host = '', port = ''] = address.split(/:(?=\d+$)/)
    const place = { host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) }
    this.url = address
    const socket = tls ? connectTls({ ...(isIP(place.host) === 0 && { servername: place.host }), ...tls, ...place }) : connectTcp(place)
    this.#socket = socket
    socket.setNoDelay(true)
    socket.setKeepAlive(true, KEEP_ALIVE_MS)
    socket.on(tls ? 'secureConnect' : 'connect', () => {
      this.#state = StompSocketState.OPEN
      this.onopen?.()
    })
    socket.on('data', (chunk: Buffer) => this.#received(chunk))
    socket.on('error', (error) => {
      this.reason ??= reasonOf(error)
    })
    socket.on('close', () => {
      this.#state = StompSocketState.CLOSED
      this.onclose?.({ reason: this.reason })
    })
  }

  get readyState(): number {
    return this.#state
  }

  send(data: Parameters<IStompSocket['send']>[0]): void {
    if (this.#socket.destroyed) return
    this.#socket.write(bytesOf(data))
  }

  close(): void {
    this.#state = StompSocketState.CLOSING
    this.#socket.end()
  }

  terminate(): void {
    this.#socket.destroy()
  }

  #received(chunk: Buffer): void {
    try {
      const pieces = this.#filter.push(chunk)
      // Even nothing is a sign of life: bytes that are held or skipped come from a broker that is there.
      for (const data of pieces.length > 0 ? pieces : [NOTHING]) this.onmessage?.({ data })
    } catch (error) {
      this.reason ??= reasonOf(error)
      this.terminate()
    }
  }
}

function bytesOf(data: Parameters<IStompSocket['send']>[0]): string | Uint8Array {
  if (typeof data === 'string') return data
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  if (data instanceof ArrayBuffer) return new Uint8Array(data)
  throw new TypeError('a frame is neither text nor bytes')
}
