import { randomBytes, randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { type BrokerPool, openBrokers } from '../../src/adapters/buses/broker-pool.ts'
import { createMemoryBus } from '../../src/adapters/buses/memory/memory-bus.ts'
import type { FromRegent, FromRunner, OutBody } from '../../src/contract/link.ts'
import type { Caller } from '../../src/contract/tokens.ts'
import type { LinkSession } from '../../src/core/core.ts'
import { createCore, type RunningCore } from '../../src/core/create-core.ts'
import type { Working } from '../../src/core/workers/working.ts'
import type { Clock } from '../../src/kernel/clock.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { randomIds } from '../../src/kernel/ids.ts'
import { silentLogger } from '../../src/kernel/logger.ts'
import type { Brokers, NamedBroker } from '../../src/ports/brokers.ts'
import type { Bus } from '../../src/ports/bus.ts'
import type { Store } from '../../src/ports/store.ts'
import { FakeArchive, FakeCalendar, FakeProber, FakeSelf } from './fake-edges.ts'
import { FakeProject, FakeSecrets } from './fake-project.ts'
import { FakeRuntime } from './fake-runtime.ts'
import { fakeWorkers } from './fake-workers.ts'
import { temporaryFolder } from './folder.ts'
import { openTestStore } from './stores.ts'
import { until } from './until.ts'

export const admin: Caller = { user: 'root', role: 'admin', via: 'test' }
export const userCalled = (user: string): Caller => ({ user, role: 'user', via: 'test' })

export interface WorldOptions {
  readonly clock?: Clock
  readonly workerLimits?: Partial<Working['workerLimits']>
  /** What stands in for a part of the core. */
  readonly over?: Partial<Pick<Working, 'codingAgents' | 'worktrees' | 'workerFiles'>>
}

/** A whole core over a real store and the memory bus; runs and files are fakes. */
export class CoreWorld {
  readonly clock: Clock
  readonly runtime: FakeRuntime
  readonly project = new FakeProject()
  readonly secrets = new FakeSecrets()
  readonly prober = new FakeProber()
  readonly calendar = new FakeCalendar()
  readonly archive = new FakeArchive()
  readonly #file = join(temporaryFolder(), 'regent.db')
  readonly #key = randomBytes(32)
  store!: Store
  bus!: Bus
  brokers!: BrokerPool
  core!: RunningCore
  #more: readonly NamedBroker[] = []
  readonly #workers: ReturnType<typeof fakeWorkers>
  /** Called with each transaction before it is done; throws where the store is to refuse it. */
  storeTrouble: (() => void) | undefined

  constructor({ clock = systemClock, workerLimits, over }: WorldOptions = {}) {
    this.clock = clock
    this.runtime = new FakeRuntime(clock)
    this.#workers = { ...fakeWorkers(workerLimits), ...over }
  }

  /** `more`: brokers beside the bus, as if the configuration named them. */
  static async open(more: readonly NamedBroker[] = [], options: WorldOptions = {}): Promise<CoreWorld> {
    const world = new CoreWorld(options)
    world.#more = more
    await world.#begin()
    onTestFinished(() => world.#end())
    return world
  }

  /** As after a restart of Regent. */
  async reborn(): Promise<void> {
    await this.#end()
    await this.#begin()
  }

  async #begin(): Promise<void> {
    this.store = await openTestStore(this.#file)
    this.bus = createMemoryBus({ clock: systemClock, logger: silentLogger })
    const own = { bus: this.bus, settings: undefined }
    this.brokers = await openBrokers({ bus: own, settings: [], allowInsecureTls: false, clock: systemClock, logger: silentLogger })
    const brokers: Brokers = {
      configured: [...this.brokers.configured, ...this.#more],
      ofKind: (kind) => this.#more.find((one) => one.bus.kind === kind)?.bus ?? this.brokers.ofKind(kind),
      at: (settings) => this.brokers.at(settings),
      release: (settings) => this.brokers.release(settings),
    }
    const { bus, runtime, project, secrets, prober, calendar, archive, clock } = this
    const store = this.#watched(this.store)
    this.core = createCore({
      ...{
        store,
        bus,
        brokers,
        runtime,
        project,
        secrets,
        prober,
        calendar,
        archive,
        self: new FakeSelf(),
        clock,
        ids: randomIds,
        logger: silentLogger,
        random: () => 0.5,
      },
      about: { version: '0', node: 'v24', home: '/home', project: '/project', pid: 1, auth: 'auto' },
      node: 'local',
      adminToken: 'admin-token',
      localUser: 'root',
      homeKey: this.#key,
      linkUrl: () => 'ws://127.0.0.1:1/link',
      policyDefaults: { startsecs: 0 },
      restartsPerSecond: 100,
      agentsPerUser: 3,
      eventsKept: 10_000,
      channelDefaults: {},
      ...this.#workers,
      moreChecks: async () => [],
    })
    await this.core.begin()
    await this.core.recover()
  }

  #watched(store: Store): Store {
    return new Proxy(store, {
      get: (target, name) => {
        if (name === 'transaction')
          return async <T>(work: Parameters<Store['transaction']>[0]) => {
            this.storeTrouble?.()
            return (await target.transaction(work)) as T
          }
        const value: unknown = Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  }

  async #end(): Promise<void> {
    await this.core.close()
    await this.brokers.close()
    await this.bus.close()
    await this.store.close()
  }

  call<T = Record<string, unknown>>(name: string, input: object, caller: Caller = admin, key?: string): Promise<T> {
    const context = { caller, signal: new AbortController().signal, ...(key !== undefined && { key }) }
    return this.core.call(name, input, context) as Promise<T>
  }

  /** A team of alice's, with its channel on the memory bus. */
  async team(name = 'news', owner = 'alice'): Promise<string> {
    const pubsub = { pubsub_enabled: true, pubsub_config: { backend: 'memory', channel_name: `${owner}-${name}` } }
    const made = await this.call<{ id: string }>('agents.create', {
      agent: { kind: 'team', owner, name, subagents: [], json_config: pubsub },
    })
    return made.id
  }

  /** Starts the team and connects as its runner. */
  async running(id: string): Promise<FakeRunner> {
    await this.call('agents.start', { agent: id, wait: true })
    return this.connect(id)
  }

  async connect(id: string): Promise<FakeRunner> {
    const token = this.runtime.last.spec.link?.token ?? ''
    const admitted = await this.core.links.admit(token)
    if (!admitted) throw new Error('the run token was not admitted')
    const runner = new FakeRunner(id, admitted.runId)
    runner.session = this.core.links.attach(runner.peer)
    await runner.tell({ type: 'hello', version: 1, agent_id: id, run_id: admitted.runId, activity: 'idle', conditions: [] })
    return runner
  }
}

/** The other end of a link, in the test's hand. */
export class FakeRunner {
  readonly frames: FromRegent[] = []
  readonly peer
  session!: LinkSession
  seq = 0
  pings = 0
  /** Whether it answers pings. */
  lives = true
  closed: string | undefined

  constructor(agentId: string, runId: string) {
    this.peer = {
      agentId,
      runId,
      send: (frame: FromRegent) => void this.frames.push(frame),
      ping: () => {
        this.pings++
        if (this.lives) this.session.heard()
      },
      close: (reason: string) => {
        this.closed = reason
      },
    }
  }

  tell(frame: FromRunner): Promise<void> {
    return this.session.receive(frame)
  }

  /** One journal row, with the next number. */
  did(body: OutBody): Promise<void> {
    this.seq++
    return this.tell({ type: 'out', rows: [{ seq: this.seq, at: Date.now(), body }] })
  }

  async gets<T extends FromRegent['type']>(type: T, which = 0): Promise<Extract<FromRegent, { type: T }>> {
    const found = () => this.frames.filter((frame) => frame.type === type)[which]
    await until(() => found() !== undefined, `a ${type} frame`)
    return found() as Extract<FromRegent, { type: T }>
  }

  /** Works through one message, with an answer. */
  async answers(messageId: string, text: string): Promise<void> {
    await this.tell({ type: 'accepted', message_id: messageId })
    await this.did({
      kind: 'say',
      id: randomUUID(),
      type: 'assistant',
      content: text,
      metadata: {},
      author: 'news',
      reply_to: messageId,
      final: true,
    })
    await this.did({ kind: 'done', message_id: messageId })
  }

  async asks(tool: string, ms = 60_000): Promise<string> {
    const id = randomUUID()
    const now = Date.now()
    const call = { subagent: 'finder', server: 'fetch', tool, arguments: { url: 'https://e.org' }, default: 'reject' as const }
    await this.did({ kind: 'approval_requested', approval: { id, message_id: null, ...call, requested_at: now, expires_at: now + ms } })
    return id
  }
}
