import type { Resources } from '../../contract/agents.ts'
import { liveStates } from '../../contract/states.ts'
import type { Check } from '../../contract/system.ts'
import type { Caller } from '../../contract/tokens.ts'
import type { Self, SelfUsage } from '../../ports/self.ts'
import type { AgentRow, LifeRow, Store } from '../../ports/store.ts'
import type { BrokerWatch } from '../buses/broker-watch.ts'
import type { Journal } from '../events/journal.ts'
import type { Outbox } from '../events/outbox.ts'
import { brokerFamilies } from './broker-families.ts'
import type { Family, Labels, Sample } from './families.ts'
import { openWorkers } from './status.ts'
import { Tally } from './tally.ts'

export interface MetricsOptions {
  readonly store: Store
  readonly journal: Journal
  readonly resourcesOf: (agentId: string) => Resources | null
  /** Makes the numbers of agents fresh. */
  readonly look: () => Promise<void>
  readonly checks: () => Promise<readonly Check[]>
  readonly watch: Pick<BrokerWatch, 'known'>
  readonly outbox: Pick<Outbox, 'relays'>
  readonly self: Self
  readonly about: { readonly version: string; readonly node: string }
}

/** Numbers for whoever watches Regent over time. What happened is counted from the journal as it passes, from 0 at each start. */
export class Metrics {
  readonly #o: MetricsOptions
  readonly #tally = new Tally()
  readonly #stop = new AbortController()

  constructor(options: MetricsOptions) {
    this.#o = options
  }

  /** Counts from now on. */
  begin(): void {
    void this.#follow()
  }

  close(): void {
    this.#stop.abort()
  }

  async #follow(): Promise<void> {
    // The journal logs what it cannot read, and reads again; nothing else can fail here.
    for await (const item of this.#o.journal.read(undefined, {}, this.#stop.signal))
      if (item.kind === 'event') this.#tally.count(item.event)
  }

  /** All families, of the agents that the caller may see; of none while the store is not well. */
  async read(caller: Caller): Promise<readonly Family[]> {
    const { look, checks, self } = this.#o
    const [parts, own] = await Promise.all([checks(), self.usage(), look()])
    const isReadable = parts.every(({ name, ok }) => name !== 'store' || ok)
    return [
      ...this.#ofRegent(own, parts),
      ...brokerFamilies(this.#o.watch.known(), this.#o.outbox.relays()),
      ...this.#tally.families(caller.role === 'admin' ? undefined : caller.user),
      ...(isReadable ? await this.#ofFleet(caller) : []),
    ]
  }

  async #ofFleet(caller: Caller): Promise<Family[]> {
    const { read } = this.#o.store
    const agents = await read.agents.list(caller.role === 'admin' ? {} : { owner: caller.user })
    const ids = agents.map((agent) => agent.id)
    const workers = await openWorkers(read, caller)
    const [lives, waiting, pending] = await Promise.all([
      read.lives.list(ids),
      read.messages.countWaiting(ids),
      read.approvals.list({ agentIds: ids, workerIds: workers.map(({ id }) => id), state: 'pending', limit: MOST_PENDING }),
    ])
    const lifeOf = new Map(lives.map((life) => [life.agentId, life]))
    const living = agents.flatMap((agent) => {
      const life = lifeOf.get(agent.id)
      return life ? [{ agent, life }] : []
    })
    const ownerOf = new Map(agents.map((agent) => [agent.id, agent.owner]))
    const askers = new Map([...ownerOf, ...workers.map(({ id, owner }) => [id, owner] as const)])
    const asked = pending.map(({ agentId, workerId }) => [agentId ?? workerId ?? '', 1] as const)
    const states = living.map(({ agent, life }) => ({ owner: agent.owner, kind: agent.kind, state: life.state }))
    return [
      gauge('regent_agents', 'Agents by owner, kind and state.', countBy(states)),
      gauge('regent_messages_waiting', 'Messages that wait for an agent.', sumBy(ownerOf, waiting)),
      gauge('regent_approvals_pending', 'Tool calls that wait for a yes or a no.', sumBy(askers, asked)),
      gauge(
        'regent_workers',
        'Workers that are queued, run, or wait for their provider.',
        countBy(workers.map(({ owner, agent, state }) => ({ owner, agent, state }))),
      ),
      ...this.#ofAgents(living),
    ]
  }

  #ofAgents(living: readonly Living[]): Family[] {
    const alive = living.filter(({ life }) => liveStates.includes(life.state))
    const used = alive.map(({ agent }) => ({ labels: named(agent), resources: this.#o.resourcesOf(agent.id) }))
    const each = (pick: (resources: Resources) => number | null): Sample[] =>
      used.flatMap(({ labels, resources }) => {
        const value = resources && pick(resources)
        return value === null ? [] : [{ labels, value }]
      })
    return [
      gauge(
        'regent_agent_up',
        '1 while the agent is RUNNING.',
        living.map(({ agent, life }) => ({ labels: named(agent), value: life.state === 'RUNNING' ? 1 : 0 })),
      ),
      gauge(
        'regent_agent_restarts',
        'Automatic restarts since a caller started it.',
        living.map(({ agent, life }) => ({ labels: named(agent), value: life.restarts })),
      ),
      gauge(
        'regent_agent_memory_bytes',
        'Memory of all its processes.',
        each(({ memory_bytes }) => memory_bytes),
      ),
      {
        ...gauge(
          'regent_agent_cpu_seconds_total',
          'CPU time of all its processes, since its run began.',
          each(({ cpu_seconds }) => cpu_seconds),
        ),
        type: 'counter',
      },
      gauge(
        'regent_agent_processes',
        'Its processes.',
        each(({ processes }) => processes),
      ),
      gauge(
        'regent_agent_open_files',
        'Open files of all its processes.',
        each(({ open_files }) => open_files),
      ),
    ]
  }

  #ofRegent(own: SelfUsage, parts: readonly Check[]): Family[] {
    const { about, journal } = this.#o
    const { lag } = own
    return [
      one('regent_build_info', 'Versions, as labels.', 1, { version: about.version, node: about.node }),
      gauge(
        'regent_part_up',
        '1 while a part that Regent stands on is well.',
        parts.map(({ name, ok }) => ({ labels: { part: name }, value: ok ? 1 : 0 })),
      ),
      { ...one('regent_journal_events_total', 'Number of the newest event in the journal.', journal.newest), type: 'counter' },
      one('process_start_time_seconds', 'When Regent started, in seconds since the epoch.', own.startedAt / 1000),
      { ...one('process_cpu_seconds_total', 'CPU time of Regent itself.', own.cpuSeconds), type: 'counter' },
      one('process_resident_memory_bytes', 'Memory of Regent itself.', own.memoryBytes),
      one('nodejs_heap_size_used_bytes', 'Heap in use by Regent itself.', own.heapBytes),
      one('process_open_fds', 'Open files of Regent itself.', own.openFiles),
      one('process_max_fds', 'Open files that Regent may have.', own.openFilesLimit),
      one('nodejs_eventloop_lag_mean_seconds', 'How late timers of Regent fire, on average over the last minute or so.', lag?.mean ?? null),
      one('nodejs_eventloop_lag_p99_seconds', 'How late 99 of 100 timers fire at most, over the last minute or so.', lag?.p99 ?? null),
      one('nodejs_eventloop_lag_max_seconds', 'How late the latest timer fired, over the last minute or so.', lag?.max ?? null),
    ]
  }
}

const MOST_PENDING = 10_000

interface Living {
  readonly agent: AgentRow
  readonly life: LifeRow
}

const named = ({ owner, name }: AgentRow): Labels => ({ owner, name })

const gauge = (name: string, help: string, samples: readonly Sample[]): Family => ({ name, help, type: 'gauge', samples })
const one = (name: string, help: string, value: number | null, labels: Labels = {}): Family =>
  gauge(name, help, value === null ? [] : [{ labels, value }])

function countBy(all: readonly Labels[]): Sample[] {
  const counts = new Map<string, { labels: Labels; value: number }>()
  for (const labels of all) {
    const key = JSON.stringify(Object.values(labels))
    const known = counts.get(key)
    if (known) known.value++
    else counts.set(key, { labels, value: 1 })
  }
  return [...counts.values()]
}

/** By owner, 0 for owners without any. */
function sumBy(ownerOf: ReadonlyMap<string, string>, counts: Iterable<readonly [string, number]>): Sample[] {
  const sums = new Map([...ownerOf.values()].map((owner) => [owner, 0]))
  for (const [agentId, count] of counts) {
    const owner = ownerOf.get(agentId)
    if (owner !== undefined) sums.set(owner, (sums.get(owner) ?? 0) + count)
  }
  return [...sums].map(([owner, value]) => ({ labels: { owner }, value }))
}
