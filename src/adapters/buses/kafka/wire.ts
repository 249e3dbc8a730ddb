import type { Admin, Broker, ConnectionPool } from '@platformatic/kafka'
import type { BrokerSettings } from '../../../contract/brokers.ts'
import { failuresIn, idsOf, within } from './failures.ts'
import { CONNECT_MS, hostOf, portOf, securedBy } from './settings.ts'

export type Library = typeof import('@platformatic/kafka')

/** The requests of Kafka's protocol that go out by a line; older versions are called with the same arguments. */
interface Requests {
  readonly Produce: Library['produceV11']['api']
  readonly Fetch: Library['fetchV17']['api']
  readonly ListOffsets: Library['listOffsetsV9']['api']
  readonly FindCoordinator: Library['findCoordinatorV6']['api']
  readonly JoinGroup: Library['joinGroupV9']['api']
  readonly SyncGroup: Library['syncGroupV5']['api']
  readonly Heartbeat: Library['heartbeatV4']['api']
  readonly LeaveGroup: Library['leaveGroupV5']['api']
  readonly OffsetCommit: Library['offsetCommitV9']['api']
  readonly OffsetFetch: Library['offsetFetchV9']['api']
}
type Name = keyof Requests
type Rest<F> = F extends (first: never, ...rest: infer R) => unknown ? R : never
export type Arguments<N extends Name> = Rest<Requests[N]['async']>
export type Answer<N extends Name> = Awaited<ReturnType<Requests[N]['async']>>

export interface TopicMeta {
  readonly id: string
  /** By partition: the node that leads it. */
  readonly leaders: readonly number[]
}

const CONTROL_MS = 4000

/** What this client knows of the cluster, and where its connections come from. */
export class Wire {
  readonly library: Library
  readonly admin: Admin
  readonly #clientId: string
  readonly #options: ConstructorParameters<typeof ConnectionPool>[1]
  readonly #lines = new Set<Line>()

  private constructor(
    library: Library,
    clientId: string,
    options: NonNullable<ConstructorParameters<typeof ConnectionPool>[1]>,
    brokers: Broker[],
  ) {
    this.library = library
    this.#clientId = clientId
    this.#options = options
    this.admin = new library.Admin({
      ...options,
      clientId,
      bootstrapBrokers: brokers,
      retries: 0,
      requestTimeout: CONTROL_MS,
      timeout: CONTROL_MS,
    })
    tame(this.admin.connections)
  }

  /** Loads the library. Rejects with INVALID when a file of the settings cannot be read. */
  static async open(settings: BrokerSettings): Promise<Wire> {
    const [library, secured] = await Promise.all([import('@platformatic/kafka'), securedBy(settings)])
    const brokers = settings.addresses.map((address) => ({ host: hostOf(address), port: portOf(address) }))
    return new Wire(library, settings.clientName ?? 'regent', { connectTimeout: CONNECT_MS, ...secured }, brokers)
  }

  /** Connections of their own: what waits on one does not hold up another. */
  line(requestMs: number): Line {
    const make = () => tame(new this.library.ConnectionPool(this.#clientId, { ...this.#options, requestTimeout: requestMs }))
    const line = new Line(this, make, () => this.#lines.delete(line))
    this.#lines.add(line)
    return line
  }

  /** Ends every connection, so that whoever waits on one hears of it now. */
  reset(): void {
    for (const [, connection] of this.admin.connections) connection.socket?.destroy()
    for (const line of this.#lines) line.reset()
  }

  /** Rejects when the cluster does not answer. */
  async ping(): Promise<void> {
    await within(CONTROL_MS, 'the broker hangs', this.admin.metadata({ topics: [], forceUpdate: true }))
  }

  broker(node: number): Broker {
    const broker = this.admin.currentMetadata?.brokers.get(node)
    if (!broker) throw new Error(`node ${node} is not known`)
    return broker
  }

  get nodes(): readonly number[] {
    return [...(this.admin.currentMetadata?.brokers.keys() ?? [])]
  }

  /** undefined where there is no such topic. */
  async topic(name: string): Promise<TopicMeta | undefined> {
    try {
      const { topics } = await within(CONTROL_MS, 'asking for a topic', this.admin.metadata({ topics: [name], forceUpdate: true }))
      const found = topics.get(name)
      return found && { id: found.id, leaders: Array.from(found.partitions, (partition) => partition?.leader ?? -1) }
    } catch (error) {
      const unknown =
        idsOf(error).includes('UNKNOWN_TOPIC_OR_PARTITION') || failuresIn(error).some((one) => /^Unknown topic /.test(one.message))
      if (unknown) return undefined
      throw error
    }
  }

  api<N extends Name>(name: N): Promise<Requests[N] & { readonly version: number }> {
    return new Promise((resolve, reject) => {
      this.admin[this.library.kGetApi]<Arguments<N>, Answer<N>>(name, (error, api) => {
        if (error || !api) reject(error ?? new Error(`no ${name}`))
        else resolve(api as unknown as Requests[N] & { readonly version: number })
      })
    })
  }

  async close(): Promise<void> {
    this.reset()
    await this.admin.close().catch(() => {})
  }
}

/** Connections to the nodes of the cluster, one to each. */
export class Line {
  readonly #wire: Wire
  readonly #make: () => ConnectionPool
  readonly #forget: () => void
  #pool: ConnectionPool
  #closed = false

  constructor(wire: Wire, make: () => ConnectionPool, forget: () => void) {
    this.#wire = wire
    this.#make = make
    this.#forget = forget
    this.#pool = make()
  }

  async call<N extends Name>(node: number, name: N, ...args: Arguments<N>): Promise<Answer<N>> {
    const api = await this.#wire.api(name)
    const connection = await this.#pool.get(this.#wire.broker(node))
    const send = api.async as (...all: readonly unknown[]) => Promise<Answer<N>>
    return send(connection, ...args)
  }

  /** What is under way fails; the next call connects anew. */
  reset(): void {
    if (this.#closed) return
    const old = this.#pool
    this.#pool = this.#make()
    end(old)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#forget()
    end(this.#pool)
  }
}

/** An error of a connection that nobody waits for must not end the process. */
function tame(pool: ConnectionPool): ConnectionPool {
  pool.on('connecting', ({ connection }) => connection.on('error', () => {}))
  return pool
}

function end(pool: ConnectionPool): void {
  for (const [, connection] of [...pool]) connection.socket?.destroy()
  pool.close().catch(() => {})
}
