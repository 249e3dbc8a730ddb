import { readFile } from 'node:fs/promises'
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import type { TlsSettings } from '../../../contract/brokers.ts'
import { reasonOf } from '../../../kernel/errors.ts'

const KEEP_ALIVE_MS = 30_000

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

export interface SocketOptions {
  /** host:port. */
  readonly address: string
  readonly tls: ConnectionOptions | undefined
  readonly onOpen: () => void
  /** What it throws ends the connection. */
  readonly onData: (chunk: Buffer) => void
  readonly onClose: (reason: string) => void
}

/** A TCP or TLS connection. What is written in one turn goes out together. */
export class StompSocket {
  readonly #socket: Socket
  #reason: string | undefined
  #out = ''

  constructor({ address, tls, onOpen, onData, onClose }: SocketOptions) {
    const [host = '', port = ''] = address.split(/:(?=\d+$)/)
    const place = { host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) }
    const socket = tls ? connectTls({ ...(isIP(place.host) === 0 && { servername: place.host }), ...tls, ...place }) : connectTcp(place)
    this.#socket = socket
    socket.setNoDelay(true)
    socket.setKeepAlive(true, KEEP_ALIVE_MS)
    socket.on(tls ? 'secureConnect' : 'connect', onOpen)
    socket.on('data', (chunk: Buffer) => {
      try {
        onData(chunk)
      } catch (error) {
        this.destroy(reasonOf(error))
      }
    })
    socket.on('error', (error) => {
      this.#reason ??= reasonOf(error)
    })
    socket.on('close', () => onClose(this.#reason ?? 'the broker closed the connection'))
  }

  write(text: string): void {
    if (this.#out === '') process.nextTick(() => this.#flush())
    this.#out += text
  }

  /** The first reason counts. */
  destroy(reason: string): void {
    this.#reason ??= reason
    this.#socket.destroy()
  }

  #flush(): void {
    const text = this.#out
    this.#out = ''
    if (!this.#socket.destroyed) this.#socket.write(text)
  }
}
