import { type BrokerSettings, brokerKey, describeBroker } from '../../contract/brokers.ts'
import type { Clock } from '../../kernel/clock.ts'
import { RegentError } from '../../kernel/errors.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Brokers, NamedBroker } from '../../ports/brokers.ts'
import type { Bus } from '../../ports/bus.ts'
import { openBroker } from './open-broker.ts'

export interface BrokerPoolOptions {
  /** Regent's own bus. */
  readonly bus: { readonly bus: Bus; readonly settings: BrokerSettings | undefined }
  /** What else the configuration names. */
  readonly settings: readonly BrokerSettings[]
  /** Whether `verify: false` and `checkHostname: false` are obeyed. */
  readonly allowInsecureTls: boolean
  readonly clock: Clock
  readonly logger: Logger
}

/** Opens a client for each broker that the configuration names, and for those that agents name when they are asked for. */
export async function openBrokers(options: BrokerPoolOptions): Promise<BrokerPool> {
  const configured: { key: string; broker: NamedBroker }[] = []
  const { bus, settings: own } = options.bus
  configured.push({
    key: own ? brokerKey(own) : 'memory',
    broker: { name: 'bus', address: own ? describeBroker(own) : 'in this process', bus },
  })
  for (const settings of options.settings) {
    const key = brokerKey(settings)
    if (configured.some((one) => one.key === key)) continue
    const opened = await openSafely(settings, options)
    configured.push({ key, broker: { name: settings.kind, address: describeBroker(settings), bus: opened } })
  }
  return new BrokerPool(options, configured)
}

/** As `openBroker`, with TLS checks in force unless the configuration allows otherwise. */
export function openSafely(
  settings: BrokerSettings,
  { allowInsecureTls, clock, logger }: Pick<BrokerPoolOptions, 'allowInsecureTls' | 'clock' | 'logger'>,
): Promise<Bus> {
  const { tls } = settings
  const insecure = tls !== undefined && (tls.verify === false || tls.checkHostname === false)
  if (!insecure || allowInsecureTls) return openBroker({ settings, clock, logger })
  logger.warn(
    { broker: describeBroker(settings) },
    "the broker's certificate is verified although its settings ask not to; REGENT_ALLOW_INSECURE_TLS=1 obeys them",
  )
  const { verify: _, checkHostname: __, ...checked } = tls
  return openBroker({ settings: { ...settings, tls: checked }, clock, logger })
}

export class BrokerPool implements Brokers {
  readonly #options: BrokerPoolOptions
  readonly #configured: readonly { key: string; broker: NamedBroker }[]
  readonly #others = new Map<string, { users: number; readonly bus: Promise<Bus> }>()
  #closed = false

  constructor(options: BrokerPoolOptions, configured: readonly { key: string; broker: NamedBroker }[]) {
    this.#options = options
    this.#configured = configured
  }

  get configured(): readonly NamedBroker[] {
    return this.#configured.map(({ broker }) => broker)
  }

  ofKind(kind: Bus['kind']): Bus | undefined {
    return this.configured.find(({ bus }) => bus.kind === kind)?.bus
  }

  async at(settings: BrokerSettings): Promise<Bus> {
    if (this.#closed) throw new RegentError('UNAVAILABLE', 'Regent stops')
    const key = brokerKey(settings)
    const known = this.#configured.find((one) => one.key === key)
    if (known) return known.broker.bus
    const other = this.#others.get(key) ?? { users: 0, bus: openSafely(settings, this.#options) }
    other.users += 1
    this.#others.set(key, other)
    return other.bus.catch((error: unknown) => {
      if (this.#others.get(key) === other) this.#others.delete(key)
      throw error
    })
  }

  async release(settings: BrokerSettings): Promise<void> {
    const key = brokerKey(settings)
    const other = this.#others.get(key)
    if (!other) return
    other.users -= 1
    if (other.users > 0) return
    this.#others.delete(key)
    await (await other.bus).close()
  }

  /** All but Regent's own bus, which whoever opened it closes. Waits for each, also where one does not close in order; throws what the first says. */
  async close(): Promise<void> {
    this.#closed = true
    const [, ...named] = this.#configured
    const others = [...this.#others.values()]
    this.#others.clear()
    const closing = [...named.map(({ broker }) => broker.bus.close()), ...others.map(async ({ bus }) => (await bus).close())]
    const failed = (await Promise.allSettled(closing)).find((one) => one.status === 'rejected')
    if (failed) throw failed.reason
  }
}
