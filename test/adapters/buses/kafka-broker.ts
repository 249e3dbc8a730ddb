import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, globSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { probe } from '../../../scripts/services/probes.mjs'
import { until } from '../../helpers/until.ts'

const root = join(import.meta.dirname, '../../..')
const jars = join(process.env.REGENT_TEST_SERVICES_DIR ?? join(root, '.services'), 'kafka/jars')
const java = '/usr/bin/java'
const listeners = ['plain', 'proxied', 'sasl', 'tls', 'both'] as const

/** Why no broker of a test's own can be started; undefined where it can. */
export const noOwnBroker: string | undefined =
  existsSync(java) && globSync('kafka_*.jar', { cwd: jars }).length > 0
    ? undefined
    : 'needs the jars that `npm run services` fetches, and java'

type Ports = Readonly<Record<(typeof listeners)[number] | 'controller', number>>

export const account = { username: 'alice', password: 'alice-secret' }

/**
 * A Kafka broker of a test's own, to be stopped, frozen and killed. Listeners: `plain`; `proxied`, which tells its clients to come to
 * another port; `sasl`; `tls`, which wants a client's certificate; `both` SASL and TLS.
 */
export class OwnBroker {
  readonly folder: string
  readonly #ports: Ports
  #child: ChildProcess | undefined

  private constructor(folder: string, ports: Ports) {
    this.folder = folder
    this.#ports = ports
  }

  static async start(): Promise<OwnBroker> {
    const folder = mkdtempSync(join(tmpdir(), 'regent-kafka-'))
    const [plain, proxied, sasl, tls, both, controller] = await freePorts(6)
    const broker = new OwnBroker(folder, { plain, proxied, sasl, tls, both, controller } as Ports)
    certificates(folder)
    broker.#configure()
    const scram = ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((name) => [
      '--add-scram',
      `${name}=[name=${account.username},password=${account.password}]`,
    ])
    const id = randomBytes(16).toString('base64url')
    broker.#java(['-Xmx128m'], 'kafka.tools.StorageTool', ['format', '-t', id, '-c', join(folder, 'server.properties'), ...scram])
    await broker.up()
    return broker
  }

  address(listener: (typeof listeners)[number] = 'plain'): string {
    return `127.0.0.1:${this.#ports[listener]}`
  }

  file(name: 'ca.pem' | 'client.pem' | 'client.key' | 'broker.pem' | 'broker.key'): string {
    return join(this.folder, name)
  }

  /** Starts it over what it had; `advertised` is where the clients of `proxied` are told to come. */
  async up(advertised?: string): Promise<void> {
    this.#configure(advertised)
    const log = openSync(join(this.folder, 'log'), 'a')
    const args = [...this.#options(['-Xms128m', '-Xmx256m', '-XX:+UseSerialGC']), 'kafka.Kafka', join(this.folder, 'server.properties')]
    const child = spawn(java, args, { cwd: this.folder, stdio: ['ignore', log, log] })
    this.#child = child
    const ready = async () => {
      if (child.exitCode !== null) throw new Error(`Kafka ended: ${readFileSync(join(this.folder, 'log'), 'utf8').slice(-2000)}`)
      return (await probe(`kafka://${this.address()}`)) === undefined
    }
    await until(ready, 'the broker answers', 60_000)
  }

  freeze(): void {
    this.#child?.kill('SIGSTOP')
  }

  thaw(): void {
    this.#child?.kill('SIGCONT')
  }

  async kill(): Promise<void> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }

  async end(): Promise<void> {
    await this.kill()
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
  }

  #options(limits: readonly string[]): string[] {
    const log4j = join(root, 'scripts/services/kafka/log4j2.properties')
    return [...limits, '-cp', `${jars}/*`, `-Dlog4j2.configurationFile=${log4j}`, '-Djava.net.preferIPv4Stack=true']
  }

  #java(limits: readonly string[], main: string, args: readonly string[]): void {
    execFileSync(java, [...this.#options(limits), main, ...args], { cwd: this.folder, stdio: ['ignore', 'pipe', 'pipe'] })
  }

  #configure(advertised = this.address('proxied')): void {
    const at = (name: string, address: string) => `${name}://${address}`
    const all = listeners.map((name) => at(name.toUpperCase(), this.address(name)))
    const controller = at('CONTROLLER', `127.0.0.1:${this.#ports.controller}`)
    const told = listeners.map((name) => at(name.toUpperCase(), name === 'proxied' ? advertised : this.address(name)))
    const properties = {
      'process.roles': 'broker,controller',
      'node.id': 1,
      'controller.quorum.voters': `1@127.0.0.1:${this.#ports.controller}`,
      listeners: [...all, controller].join(','),
      'advertised.listeners': told.join(','),
      'controller.listener.names': 'CONTROLLER',
      'inter.broker.listener.name': 'PLAIN',
      'listener.security.protocol.map': 'PLAIN:PLAINTEXT,PROXIED:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL,BOTH:SASL_SSL,CONTROLLER:PLAINTEXT',
      'log.dirs': join(this.folder, 'logs'),
      'auto.create.topics.enable': false,
      'offsets.topic.replication.factor': 1,
      'offsets.topic.num.partitions': 4,
      'group.initial.rebalance.delay.ms': 0,
      'log.segment.bytes': 16 << 20,
      ...this.#security(),
    }
    const lines = Object.entries(properties).map(([key, value]) => `${key}=${value}\n`)
    writeFileSync(join(this.folder, 'server.properties'), lines.join(''))
  }

  #security(): Record<string, string> {
    const found: Record<string, string> = {}
    const module = (name: string) => `org.apache.kafka.common.security.${name} required`
    for (const listener of ['sasl', 'both']) {
      const name = `listener.name.${listener}`
      found[`${name}.sasl.enabled.mechanisms`] = 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER'
      found[`${name}.plain.sasl.jaas.config`] = `${module('plain.PlainLoginModule')} user_${account.username}="${account.password}";`
      for (const one of ['scram-sha-256', 'scram-sha-512'])
        found[`${name}.${one}.sasl.jaas.config`] = `${module('scram.ScramLoginModule')};`
      found[`${name}.oauthbearer.sasl.jaas.config`] = `${module('oauthbearer.OAuthBearerLoginModule')};`
    }
    for (const listener of ['tls', 'both']) {
      const name = `listener.name.${listener}.ssl`
      found[`${name}.keystore.type`] = 'PEM'
      found[`${name}.keystore.location`] = join(this.folder, 'broker.store')
      found[`${name}.truststore.type`] = 'PEM'
      found[`${name}.truststore.location`] = this.file('ca.pem')
    }
    found['listener.name.tls.ssl.client.auth'] = 'required'
    return found
  }
}

/** A made-up authority, and what it signed for the broker (localhost and 127.0.0.1) and for a client. */
function certificates(folder: string): void {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '30', '-subj', '/CN=made-up')
  for (const name of ['broker', 'client']) {
    openssl('req', ...key, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`)
    writeFileSync(join(folder, `${name}.ext`), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n')
    const signing = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '30', '-extfile', `${name}.ext`]
    openssl('x509', '-req', '-in', `${name}.csr`, '-out', `${name}.pem`, ...signing)
  }
  const parts = ['broker.key', 'broker.pem', 'ca.pem'].map((name) => readFileSync(join(folder, name), 'utf8'))
  writeFileSync(join(folder, 'broker.store'), parts.join(''))
}

async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports
}
