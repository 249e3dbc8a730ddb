import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { onTestFinished } from 'vitest'
import { temporaryFolder } from './folder.ts'
import { until } from './until.ts'

/** A port of this machine that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** A Redis of the test's own, which it starts late, kills, freezes and starts again, with what it had written. Ends with the test. */
export class OwnRedis {
  readonly port: number
  readonly url: string
  readonly #folder = temporaryFolder()
  #process: ChildProcess | undefined

  private constructor(port: number) {
    this.port = port
    this.url = `redis://127.0.0.1:${port}`
  }

  /** Nobody listens yet. */
  static async prepare(): Promise<OwnRedis> {
    const redis = new OwnRedis(await freePort())
    onTestFinished(() => redis.kill())
    return redis
  }

  /** Resolves when it answers. */
  async start(): Promise<void> {
    const args = [
      '--port',
      `${this.port}`,
      '--bind',
      '127.0.0.1',
      '--dir',
      this.#folder,
      '--save',
      '',
      '--appendonly',
      'yes',
      '--appendfsync',
      'always',
    ]
    this.#process = spawn('redis-server', args, { stdio: 'ignore' })
    await until(() => this.#answers(), 'Redis answers')
  }

  freeze(): void {
    this.#process?.kill('SIGSTOP')
  }

  thaw(): void {
    this.#process?.kill('SIGCONT')
  }

  /** `kill -9`, and until it is gone. */
  async kill(): Promise<void> {
    const child = this.#process
    this.#process = undefined
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }

  async #answers(): Promise<boolean> {
    const socket = connect(this.port, '127.0.0.1')
    try {
      socket.write('PING\r\n')
      const [answer] = (await once(socket, 'data')) as [Buffer]
      return answer.toString().startsWith('+PONG')
    } finally {
      socket.destroy()
    }
  }
}
