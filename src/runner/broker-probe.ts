import { connect } from 'node:net'
import type { TeamConfig } from '../contract/team.ts'
import type { Clock } from '../kernel/clock.ts'
import { reasonOf, systemCode } from '../kernel/errors.ts'
import { isObject } from '../kernel/json.ts'
import type { Conditions } from './conditions.ts'

export interface BrokerAddress {
  readonly host: string
  readonly port: number
}
export interface Broker {
  readonly backend: 'msk' | 'kafka' | 'redis'
  readonly addresses: readonly BrokerAddress[]
}

const CONNECT_MS = 5_000
const FIRST_WAIT_MS = 30_000
const LONGEST_WAIT_MS = 300_000
const ADDRESSES = 8

/** The broker that a definition asks for; null where messages travel through Regent alone. */
export function brokerOf(config: TeamConfig, redis: BrokerAddress): Broker | null {
  const pubsub = config.pubsub_config
  if (!config.pubsub_enabled || pubsub === undefined) return null
  const backend = pubsub.use_redis === true ? 'redis' : pubsub.backend
  if (backend === 'memory') return null
  if (backend === 'redis')
    return { backend, addresses: [{ host: pubsub.redis?.host ?? redis.host, port: pubsub.redis?.port ?? redis.port }] }
  const servers = pubsub[backend]?.bootstrap_servers ?? []
  return { backend, addresses: servers.slice(0, ADDRESSES).map((text) => readAddress(text, 9092)) }
}

/** Whether a definition wants its broker's certificate unchecked, which nothing here obeys by itself. */
export function wantsNoTlsCheck(config: TeamConfig): boolean {
  const settings = [config.pubsub_config?.msk, config.pubsub_config?.kafka].map((broker) => broker?.ssl_config)
  return settings.some((ssl) => isObject(ssl) && (ssl.check_hostname === false || ssl.verify_mode === 'none'))
}

/** Tries a broker's addresses from time to time and says as a condition what it finds. Never stops the agent. */
export class BrokerProbe {
  readonly #broker: Broker
  readonly #conditions: Conditions
  readonly #clock: Clock
  #failures = 0
  #cancel: (() => void) | null = null
  #closed = false

  constructor(broker: Broker, conditions: Conditions, clock: Clock) {
    this.#broker = broker
    this.#conditions = conditions
    this.#clock = clock
  }

  start(): void {
    void this.#probe()
  }

  close(): void {
    this.#closed = true
    this.#cancel?.()
  }

  async #probe(): Promise<void> {
    const { backend, addresses } = this.#broker
    const failures: string[] = []
    for (const { host, port } of addresses) {
      const reason = await tryConnect(host, port)
      if (this.#closed) return
      if (reason === null) return this.#conditions.raise('broker', backend, reached(backend, host, port))
      failures.push(`${host}:${port} cannot be reached (${reason})`)
    }
    const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#failures)
    this.#failures = Math.min(this.#failures + 1, 10)
    const told = failures.length === 0 ? 'no address is configured' : failures.join(', ')
    this.#conditions.raise('broker', backend, `${backend}: ${told}; tried again and again. Messages can be sent through Regent meanwhile`)
    this.#cancel = this.#clock.after(wait * (1 + Math.random() / 10), () => void this.#probe())
  }
}

function reached(backend: string, host: string, port: number): string {
  return `${backend}: ${host}:${port} can be reached, but the ${backend} channel is not there yet in this version; messages can be sent through Regent`
}

/** null when the connection was accepted, else why not, in a word. */
function tryConnect(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    const done = (outcome: string | null): void => {
      socket.destroy()
      resolve(outcome)
    }
    socket.setTimeout(CONNECT_MS, () => done('ETIMEDOUT'))
    socket.on('connect', () => done(null))
    socket.on('error', (error) => done(systemCode(error) ?? reasonOf(error)))
    socket.unref()
  })
}

function readAddress(text: string, defaultPort: number): BrokerAddress {
  const colon = text.lastIndexOf(':')
  const port = colon === -1 ? defaultPort : Number(text.slice(colon + 1))
  const host = (colon === -1 ? text : text.slice(0, colon)).replace(/^\[|\]$/g, '')
  return { host, port: Number.isInteger(port) && port > 0 && port < 65_536 ? port : defaultPort }
}
