import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { onTestFinished } from 'vitest'
import { createRedisBus } from '../../../src/adapters/buses/redis/redis-bus.ts'
import type { BrokerSettings } from '../../../src/contract/brokers.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { type Logger, silentLogger } from '../../../src/kernel/logger.ts'
import type { Bus } from '../../../src/ports/bus.ts'
import { until } from '../../helpers/until.ts'

const run = promisify(execFile)

export async function openRedis(settings: BrokerSettings, logger: Logger = silentLogger): Promise<Bus> {
  const bus = await createRedisBus({ settings, clock: systemClock, logger })
  onTestFinished(() => bus.close())
  return bus
}

/** What redis-cli prints, as a person would call it. */
export async function redisCli(port: number, ...args: readonly string[]): Promise<string> {
  const { stdout } = await run('redis-cli', ['-h', '127.0.0.1', '-p', String(port), ...args])
  return stdout.trim()
}

/** A Redis of the test's own: to be killed, frozen and started again. */
export class OwnRedis {
  readonly port: number
  readonly #args: readonly string[]
  readonly #folder: string
  #child: ChildProcess | undefined
  #tlsPort: number | undefined

  private constructor(port: number, folder: string, args: readonly string[]) {
    this.port = port
    this.#folder = folder
    this.#args = args
  }

  /** Ends with the test. It keeps what it has been given over kill -9 with `--appendonly yes --appendfsync always`. */
  static async start(...args: readonly string[]): Promise<OwnRedis> {
    const server = await OwnRedis.make(args)
    onTestFinished(() => server.remove())
    await server.start()
    return server
  }

  /** Speaks TLS alone; `tls`: its files. */
  static async startTls(tls: readonly string[]): Promise<OwnRedis> {
    const port = await freePort()
    const server = await OwnRedis.make([...tls, '--tls-port', String(port), '--port', '0'])
    onTestFinished(() => server.remove())
    server.#tlsPort = port
    server.#spawn()
    return server
  }

  static async make(args: readonly string[]): Promise<OwnRedis> {
    return new OwnRedis(await freePort(), await mkdtemp(join(tmpdir(), 'regent-test-redis-')), args)
  }

  get settings(): BrokerSettings {
    return { kind: 'redis', addresses: [`127.0.0.1:${this.#tlsPort ?? this.port}`] }
  }

  async start(): Promise<void> {
    this.#spawn()
    await until(async () => /^(PONG|NOAUTH)/.test(await redisCli(this.port, 'PING')), 'an own Redis', 20_000)
  }

  #spawn(): void {
    const place = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.#folder, '--save', '']
    this.#child = spawn('redis-server', [...place, ...this.#args], { stdio: 'ignore' })
  }

  /** kill -9. */
  async kill(): Promise<void> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }

  async remove(): Promise<void> {
    await this.kill()
    await rm(this.#folder, { recursive: true, force: true })
  }

  freeze(): void {
    this.#child?.kill('SIGSTOP')
  }

  thaw(): void {
    this.#child?.kill('SIGCONT')
  }
}

/** Three nodes that share the slots, without replicas; for a suite: to be removed by it. */
export async function startCluster(): Promise<{ readonly settings: BrokerSettings; readonly nodes: readonly OwnRedis[] }> {
  const nodes: OwnRedis[] = []
  for (let at = 0; at < 3; at++) {
    const node = await OwnRedis.make(['--cluster-enabled', 'yes', '--cluster-port', String(await freePort())])
    nodes.push(node)
    await node.start()
  }
  const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`)
  await run('redis-cli', ['--cluster', 'create', ...addresses, '--cluster-yes'])
  for (const { port } of nodes)
    await until(async () => (await redisCli(port, 'CLUSTER', 'INFO')).includes('cluster_state:ok'), 'the whole cluster', 20_000)
  return { settings: { kind: 'redis', addresses, cluster: true }, nodes }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  server.close()
  await once(server, 'close')
  return port
}

/** `redis-cli SUBSCRIBE`: the bodies that it prints, from when Redis has the subscription. */
export async function subscribeCli(port: number, channel: string): Promise<readonly string[]> {
  const child = spawn('redis-cli', ['-h', '127.0.0.1', '-p', String(port), 'SUBSCRIBE', channel], { stdio: ['ignore', 'pipe', 'ignore'] })
  onTestFinished(async () => {
    child.kill()
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  const lines: string[] = []
  const got: string[] = []
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line)
    if (lines.at(-3) === 'message' && lines.at(-2) === channel) got.push(line)
  })
  await until(() => lines.length >= 3, 'the subscription of redis-cli')
  return got
}
