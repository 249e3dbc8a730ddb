import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { z } from 'zod'
import type { EventType } from '../../src/contract/events.ts'
import { policy, type policyInput } from '../../src/contract/policy.ts'
import type { RunState } from '../../src/contract/states.ts'
import type { Heartbeat } from '../../src/core/conversations/heartbeat.ts'
import type { Handling } from '../../src/core/handling.ts'
import { lifeOperations } from '../../src/core/supervision/life-operations.ts'
import { Observed } from '../../src/core/supervision/observed.ts'
import { Presence } from '../../src/core/supervision/presence.ts'
import { createSupervisor, type Supervisor } from '../../src/core/supervision/supervisor.ts'
import { createWatching, type Watching } from '../../src/core/supervision/watching.ts'
import { randomIds } from '../../src/kernel/ids.ts'
import type { JsonObject } from '../../src/kernel/json.ts'
import { silentLogger } from '../../src/kernel/logger.ts'
import type { LifeRow, Store } from '../../src/ports/store.ts'
import { FakeClock } from './fake-clock.ts'
import { FakeCalendar, FakeProber } from './fake-edges.ts'
import { FakeProject, FakeSecrets } from './fake-project.ts'
import { FakeRuntime } from './fake-runtime.ts'
import { temporaryFolder } from './folder.ts'
import { openTestStore } from './stores.ts'
import { until } from './until.ts'

/** Supervision over a real store, with a runtime and a clock that the test moves. */
export class Supervised {
  readonly clock = new FakeClock()
  readonly runtime = new FakeRuntime(this.clock)
  observed!: Observed
  readonly prober = new FakeProber()
  readonly presence = new Presence()
  /** Whose inbox was said to hold something new. */
  readonly delivered: string[] = []
  /** What a runner says when it is asked for a sign of life. */
  heartbeat: (signal: AbortSignal) => Promise<Heartbeat> = async () => 'absent'
  readonly store: Store
  watching!: Watching
  supervisor: Supervisor
  readonly #perSecond: number

  private constructor(store: Store, perSecond: number) {
    this.store = store
    this.#perSecond = perSecond
    this.supervisor = this.#supervise()
  }

  static async open(restartsPerSecond = 1000): Promise<Supervised> {
    const store = await openTestStore(join(temporaryFolder(), 'regent.db'), new FakeClock())
    const supervised = new Supervised(store, restartsPerSecond)
    onTestFinished(async () => {
      supervised.watching.close()
      supervised.supervisor.close()
      await store.close()
    })
    return supervised
  }

  #supervise(): Supervisor {
    this.observed = new Observed()
    this.watching = createWatching({
      store: this.store,
      clock: this.clock,
      logger: silentLogger,
      random: () => 0.5,
      prober: this.prober,
      observed: this.observed,
      calendar: new FakeCalendar(),
      ids: randomIds,
      presence: this.presence,
      links: () => ({
        heartbeat: (_agentId, _runId, signal) => this.heartbeat(signal),
        deliver: (agentId) => void this.delivered.push(agentId),
      }),
      supervisor: () => this.supervisor,
    })
    return createSupervisor({
      watcher: this.watching,
      store: this.store,
      runtime: this.runtime,
      project: new FakeProject(),
      secrets: new FakeSecrets(),
      clock: this.clock,
      ids: randomIds,
      logger: silentLogger,
      linkOf: (runId) => ({ url: 'ws://test/link', token: runId }),
      healthOf: (agentId) => this.observed.health(agentId),
      restartsPerSecond: this.#perSecond,
      random: () => 0.5,
    })
  }

  /** As after `kill -9` of Regent: everything in memory is gone, store and runs are there. */
  async reborn(): Promise<void> {
    this.watching.close()
    this.supervisor.close()
    this.supervisor = this.#supervise()
    await this.supervisor.recover()
    await this.watching.schedule()
  }

  async agent(given: z.input<typeof policyInput> = {}, kind: 'command' | 'team' = 'command', called?: string): Promise<string> {
    const id = randomUUID()
    const at = this.clock.now()
    await this.store.transaction(async (tables) => {
      await tables.agents.insert({
        id,
        owner: 'alice',
        name: called ?? `a${id.slice(0, 8)}`,
        kind,
        runtime: 'process',
        node: 'local',
        epoch: 0,
        revision: 1,
        definition: { command: ['sleep', '1'] },
        policy: policy.parse({ restart: 'always', ...given }),
        limits: {},
        file: null,
        deleting: false,
        createdAt: at,
        updatedAt: at,
      })
      await tables.lives.insert({
        agentId: id,
        desired: 'stopped',
        start: 0,
        state: 'STOPPED',
        reason: 'new',
        since: at,
        runId: null,
        restarts: 0,
        deaths: 0,
        earlyDeaths: 0,
        retryAt: null,
        exitCode: null,
        exitSignal: null,
      })
    })
    return id
  }

  /** One of the life operations, as an admin asks it. */
  ask(what: 'start' | 'stop' | 'restart' | 'delete', agent: string, wait = false): Promise<object> {
    return this.#life[`agents.${what}`]({ agent, wait }, this.#handling)
  }

  async stopAll(agents?: string[], wait = true): Promise<{ agents: { name: string; state: string }[] }> {
    return this.#life['agents.stop_all']({ agents, wait }, this.#handling)
  }

  get #handling(): Handling {
    return {
      caller: { user: 'root', role: 'admin', via: 'test' },
      signal: new AbortController().signal,
      given: {},
      accept: (work) => this.store.transaction(work),
    }
  }

  get #life() {
    return lifeOperations({
      store: this.store,
      runtime: this.runtime,
      project: new FakeProject(),
      supervisor: this.supervisor,
      clock: this.clock,
      presence: this.presence,
      conditionsOf: () => [],
      healthOf: (agentId) => this.observed.health(agentId),
      resourcesOf: () => null,
      schedulesOf: () => [],
    })
  }

  async life(agent: string): Promise<LifeRow> {
    const life = await this.store.read.lives.get(agent)
    if (!life) throw new Error('there is no such life')
    return life
  }

  async reaches(agent: string, state: RunState): Promise<LifeRow> {
    await until(async () => (await this.life(agent)).state === state, `${state}, it is ${(await this.life(agent)).state}`, 5000)
    return this.life(agent)
  }

  /** Time passes in small steps, with a turn of the event loop for what each of them began. */
  async passes(seconds: number): Promise<void> {
    for (let left = seconds * 1000; left > 0; left -= 100) {
      this.clock.advance(Math.min(100, left))
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  /** Its events of a type, in order. */
  async events(agent: string, type: EventType): Promise<readonly JsonObject[]> {
    const events = await this.store.read.events.list({ after: 0, limit: 500, agentId: agent, types: [type] })
    return events.map(({ data }) => data)
  }

  /** The types of its events, in order. */
  async told(agent: string): Promise<string[]> {
    return (await this.store.read.events.list({ after: 0, limit: 500, agentId: agent })).map((event) => event.type)
  }
}
