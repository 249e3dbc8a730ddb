import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { globSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { temporaryFolder } from '../../helpers/folder.ts'
import { until } from '../../helpers/until.ts'

const [server] = globSync('/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server').toSorted().toReversed()
const [epmd] = globSync('/usr/{bin,lib/erlang/erts-*/bin}/epmd')

/** Why no broker can be started here; undefined where one can. */
export const noBroker = server === undefined || epmd === undefined ? 'rabbitmq-server is not installed' : undefined

/** A RabbitMQ for one test, to be stopped, frozen and killed; all of it ends with the test. */
export class OwnRabbitMq {
  readonly address: string
  readonly #folder: string
  readonly #port: number
  readonly #env: NodeJS.ProcessEnv
  #child: ChildProcess | undefined

  private constructor(folder: string, port: number, env: NodeJS.ProcessEnv) {
    this.#folder = folder
    this.#port = port
    this.#env = env
    this.address = `127.0.0.1:${port}`
  }

  static async start(): Promise<OwnRabbitMq> {
    const folder = temporaryFolder()
    const [port, distribution, names] = [await freePort(), await freePort(), await freePort()]
    const own = { ERL_EPMD_PORT: String(names), ERL_EPMD_ADDRESS: '127.0.0.1' }
    const env = {
      ...process.env,
      ...own,
      HOME: folder,
      RABBITMQ_NODENAME: `regent-${randomUUID().slice(0, 8)}@localhost`,
      RABBITMQ_DIST_PORT: String(distribution),
      RABBITMQ_MNESIA_BASE: join(folder, 'mnesia'),
      RABBITMQ_LOG_BASE: join(folder, 'log'),
      RABBITMQ_LOGS: '-',
      RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq.conf'),
      RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'enabled_plugins'),
      RABBITMQ_PID_FILE: join(folder, 'pid'),
      RABBITMQ_CONF_ENV_FILE: '/dev/null',
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}',
    }
    // In the foreground, so that it is a child that can be ended; the broker would leave one behind.
    const registry = spawn(epmd ?? '', [], { env: { ...process.env, ...own }, stdio: 'ignore' })
    const broker = new OwnRabbitMq(folder, port, env)
    onTestFinished(async () => {
      await broker.kill()
      await end(registry)
    })
    await until(() => reachable(names), 'the registry of nodes')
    await broker.run()
    return broker
  }

  /** `memory`: in bytes, above which it takes no messages. */
  async run(memory?: number): Promise<void> {
    const lines = [`listeners.tcp.1 = ${this.address}`, 'loopback_users = none', 'disk_free_limit.absolute = 1MB']
    if (memory !== undefined) lines.push(`vm_memory_high_watermark.absolute = ${memory}`)
    await writeFile(join(this.#folder, 'rabbitmq.conf'), `${lines.join('\n')}\n`)
    await writeFile(join(this.#folder, 'enabled_plugins'), '[].\n')
    // A group of its own: the script that starts it, and the broker.
    this.#child = spawn(server ?? '', [], { env: this.#env, cwd: this.#folder, stdio: 'ignore', detached: true })
    await until(() => reachable(this.#port), 'the broker', 60_000)
  }

  signal(name: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void {
    const pid = this.#child?.pid
    if (pid === undefined || this.#child?.exitCode !== null || this.#child.signalCode !== null) return
    process.kill(-pid, name)
  }

  async kill(): Promise<void> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    this.signal('SIGKILL')
    await gone
    await until(async () => !(await reachable(this.#port)), 'its port is free')
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

async function freePort(): Promise<number> {
  const listener = createServer().listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo
  listener.close()
  await once(listener, 'close')
  return port
}

async function reachable(port: number): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port })
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
