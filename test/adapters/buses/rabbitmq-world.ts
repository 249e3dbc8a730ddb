import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, onTestFinished } from 'vitest'
import { openBroker } from '../../../src/adapters/buses/open-broker.ts'
import { type BrokerSettings, parseBrokerUrl } from '../../../src/contract/brokers.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import type { Bus } from '../../../src/ports/bus.ts'
import type { Urls } from '../../helpers/services.ts'

/** A virtual host of the suite's own on the shared broker, deleted with all that is in it. */
export class RabbitWorld {
  readonly settings: BrokerSettings
  readonly #management: URL
  readonly #account: string

  private constructor(settings: BrokerSettings, management: URL) {
    this.settings = settings
    this.#account = `Basic ${Buffer.from(`${management.username}:${management.password}`).toString('base64')}`
    management.username = ''
    management.password = ''
    this.#management = management
  }

  /** To be called in a suite. */
  static of({ url, management }: Urls<'rabbitmq'>): RabbitWorld {
    const database = `regent-test-${randomUUID()}`
    const world = new RabbitWorld({ ...parseBrokerUrl(url), database }, new URL(management))
    beforeAll(async () => {
      await world.manage('PUT', `vhosts/${database}`, {})
      await world.manage('PUT', `permissions/${database}/${world.settings.username ?? 'guest'}`, {
        configure: '.*',
        write: '.*',
        read: '.*',
      })
    })
    afterAll(() => world.manage('DELETE', `vhosts/${database}`))
    return world
  }

  get address(): string {
    return this.settings.addresses[0] ?? ''
  }

  /** A client, closed with the test. */
  async open(over: Partial<BrokerSettings> = {}): Promise<Bus> {
    const bus = await openBroker({ settings: { ...this.settings, ...over }, clock: systemClock, logger: silentLogger })
    onTestFinished(() => bus.close())
    return bus
  }

  async manage(method: string, path: string, body?: object): Promise<unknown> {
    const response = await fetch(new URL(`/api/${path}`, this.#management), {
      method,
      headers: { authorization: this.#account, 'content-type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    })
    if (!response.ok && response.status !== 404) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`)
    const text = await response.text()
    return text === '' ? undefined : JSON.parse(text)
  }

  /** What the broker says of a queue. */
  queue(name: string): Promise<unknown> {
    return this.manage('GET', `queues/${encodeURIComponent(this.settings.database ?? '/')}/${encodeURIComponent(name)}`)
  }
}
