import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, mkdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { account, postgresFolder } from '../../scripts/services/places.mjs'
import { temporaryFolder } from './folder.ts'
import { psql } from './postgres.ts'
import { until } from './until.ts'

/** A PostgreSQL server of the test's own, which it may stop, freeze and start again. */
export class OwnPostgres {
  readonly url: string
  readonly #args: readonly string[]
  readonly #user = account('postgres')
  #process: ChildProcess | undefined

  private constructor(port: number, data: string) {
    this.url = `postgres://regent@127.0.0.1:${port}/postgres`
    this.#args = ['-D', data, '-c', `port=${port}`, '-c', 'listen_addresses=127.0.0.1', '-c', `unix_socket_directories=${data}`]
  }

  static async start(): Promise<OwnPostgres> {
    const folder = temporaryFolder()
    chmodSync(folder, 0o711)
    const data = join(folder, 'postgres')
    mkdirSync(data, { mode: 0o700 })
    const server = new OwnPostgres(await freePort(), data)
    server.give(data)
    const options = { cwd: data, stdio: 'pipe', ...server.#identity } as const
    execFileSync(join(postgresFolder(), 'initdb'), ['-D', data, '-A', 'trust', '-U', 'regent', '--locale=C.UTF-8', '-N'], options)
    onTestFinished(() => server.stop())
    await server.begin()
    return server
  }

  /** Resolves once it answers. */
  async begin(): Promise<void> {
    const child = spawn(join(postgresFolder(), 'postgres'), this.#args, { cwd: this.#args[1], stdio: 'ignore', ...this.#identity })
    this.#process = child
    await until(
      () =>
        psql(this.url, 'select 1').then(
          () => true,
          () => false,
        ),
      'PostgreSQL to answer',
      20_000,
    )
  }

  /** A folder that it may write to. */
  give(folder: string): void {
    if (this.#user) chownSync(folder, this.#user.uid, this.#user.gid)
  }

  /** At once, as in a crash: what was committed is found in its log. */
  async stop(): Promise<void> {
    const child = this.#process
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGCONT')
    child.kill('SIGQUIT')
    await once(child, 'exit')
  }

  get #identity() {
    return this.#user === undefined ? {} : { uid: this.#user.uid, gid: this.#user.gid }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
