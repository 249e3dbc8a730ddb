import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/** Stands between a client and a server so that a test can cut, refuse and freeze their connections. */
export class TcpProxy {
  readonly address: string
  readonly port: number
  readonly #pairs: Set<readonly [Socket, Socket]>
  readonly #state: { refusing: boolean; frozen: boolean }

  private constructor(port: number, pairs: Set<readonly [Socket, Socket]>, state: { refusing: boolean; frozen: boolean }) {
    this.port = port
    this.address = `127.0.0.1:${port}`
    this.#pairs = pairs
    this.#state = state
  }

  /** `target`: host:port. Ends with the test. */
  static async open(target: string): Promise<TcpProxy> {
    const [host = '', port = ''] = target.split(/:(?=\d+$)/)
    const pairs = new Set<readonly [Socket, Socket]>()
    const state = { refusing: false, frozen: false }
    const server = createServer((near) => {
      near.on('error', () => {})
      if (state.refusing) return near.destroy()
      const far = connect({ host, port: Number(port) })
      const pair = [near, far] as const
      pairs.add(pair)
      for (const [one, other] of [pair, [far, near] as const]) {
        one.on('error', () => {})
        one.on('close', () => {
          other.destroy()
          pairs.delete(pair)
        })
        one.pipe(other)
      }
      if (state.frozen) stop(pair)
      return undefined
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const proxy = new TcpProxy((server.address() as AddressInfo).port, pairs, state)
    onTestFinished(async () => {
      proxy.cut()
      server.close()
      await once(server, 'close')
    })
    return proxy
  }

  /** Connections of this moment. */
  get connections(): number {
    return this.#pairs.size
  }

  /** Ends every connection; new ones are taken. */
  cut(): void {
    for (const [near, far] of this.#pairs) {
      near.resetAndDestroy()
      far.destroy()
    }
  }

  /** As if nothing listened. */
  refuse(): void {
    this.#state.refusing = true
    this.cut()
  }

  /** Connections are taken, and nothing is carried: a server that hangs. */
  freeze(): void {
    this.#state.frozen = true
    for (const pair of this.#pairs) stop(pair)
  }

  /** What the server answers on the connections of this moment is lost; only cutting them ends it. */
  swallow(): void {
    for (const [near, far] of this.#pairs) {
      far.unpipe(near)
      far.resume()
    }
  }

  /** Everything goes through again. */
  heal(): void {
    this.#state.refusing = false
    this.#state.frozen = false
    for (const [near, far] of this.#pairs) {
      near.pipe(far)
      far.pipe(near)
    }
  }
}

function stop([near, far]: readonly [Socket, Socket]): void {
  near.unpipe(far)
  far.unpipe(near)
}
