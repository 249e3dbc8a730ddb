import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/** `pass`: as it is. `lost`: never reaches the server. `unanswered`: the server does it, and the connection breaks with its answer. */
type Commits = 'pass' | 'lost' | 'unanswered'

const QUERY = 'Q'.charCodeAt(0)
const SYNC = 'S'.charCodeAt(0)

/** Stands before a PostgreSQL server and knows its messages, so that a test can lose a commit or its answer, and slow queries down. */
export class PostgresProxy {
  readonly url: string
  /** What happens to the next commit; then `pass` again. */
  commits: Commits = 'pass'
  /** ms that each query takes, one after the other. */
  slowness = 0
  /** Commits that were seen. */
  seen = 0
  readonly #sockets = new Set<Socket>()

  private constructor(url: string) {
    this.url = url
  }

  /** Before the server that `url` names. Ends with the test. */
  static async open(url: string): Promise<PostgresProxy> {
    const target = new URL(url)
    const own = new URL(url)
    const server = createServer((near) => proxy.#carry(near, { host: target.hostname, port: Number(target.port) }))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    own.host = `127.0.0.1:${(server.address() as AddressInfo).port}`
    const proxy = new PostgresProxy(own.href)
    onTestFinished(async () => {
      for (const socket of proxy.#sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    })
    return proxy
  }

  #carry(near: Socket, target: { host: string; port: number }): void {
    const far = connect(target)
    const end = () => {
      near.destroy()
      far.destroy()
    }
    for (const socket of [near, far]) {
      this.#sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', end)
    }
    let isCutAtAnswer = false
    far.on('data', (data) => {
      if (isCutAtAnswer && data.includes('COMMIT\0')) end()
      else near.write(data)
    })
    const messages = new Messages()
    let turn = Promise.resolve()
    near.on('data', (data) => {
      for (const message of messages.take(data)) {
        turn = turn.then(async () => {
          if (this.slowness > 0 && ends(message)) await new Promise((resolve) => setTimeout(resolve, this.slowness))
          const how = isCommit(message) ? this.#commit() : 'pass'
          if (how === 'lost') return end()
          isCutAtAnswer ||= how === 'unanswered'
          far.write(message)
        })
      }
    })
  }

  #commit(): Commits {
    const how = this.commits
    this.commits = 'pass'
    this.seen++
    return how
  }
}

const ends = (message: Buffer): boolean => message[0] === QUERY || message[0] === SYNC
const isCommit = (message: Buffer): boolean => message[0] === QUERY && message.subarray(-7).toString() === 'commit\0'

/** Cuts what a client sends into its messages; the first one has no type. */
class Messages {
  #rest = Buffer.alloc(0)
  #isFirst = true

  take(data: Buffer): Buffer[] {
    const messages: Buffer[] = []
    this.#rest = Buffer.concat([this.#rest, data])
    for (;;) {
      const head = this.#isFirst ? 0 : 1
      if (this.#rest.length < head + 4) return messages
      const length = head + this.#rest.readUInt32BE(head)
      if (this.#rest.length < length) return messages
      messages.push(this.#rest.subarray(0, length))
      this.#rest = this.#rest.subarray(length)
      this.#isFirst = false
    }
  }
}
