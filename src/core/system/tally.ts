import type { EventType } from '../../contract/events.ts'
import type { EventRow } from '../../ports/store.ts'
import type { Family, Sample } from './families.ts'

/** How long starts take, in seconds. */
const BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60]
/** Series stay bounded, however many users come and go: what more of them do is counted together, for admins. */
const MOST_OWNERS = 1000
const OTHERS = ''

type ExitKind = 'exit' | 'signal' | 'oom' | 'lost'

const outcomes: Readonly<Partial<Record<EventType, string>>> = {
  'worker.completed': 'completed',
  'worker.failed': 'failed',
  'worker.cancelled': 'cancelled',
}

class OfOwner {
  started = 0
  restarted = 0
  given = 0
  answered = 0
  readonly exits = new Map<string, number>()
  turns = 0
  limits = 0
  /** Of workers, by the state in which a turn ended. */
  readonly outcomes = new Map<string, number>()
  /** By upper bound, not yet summed up. */
  readonly buckets = BUCKETS.map(() => 0)
  readySum = 0
  readyCount = 0

  worked(type: EventType): void {
    const outcome = outcomes[type]
    if (type === 'worker.started') this.turns++
    if (type === 'worker.limited') this.limits++
    if (outcome !== undefined) this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1)
  }

  ready(seconds: number): void {
    const at = BUCKETS.findIndex((bound) => seconds <= bound)
    if (at >= 0) this.buckets[at] = (this.buckets[at] ?? 0) + 1
    this.readySum += seconds
    this.readyCount++
  }
}

/** Counts what happened, event by event. */
export class Tally {
  readonly #owners = new Map<string, OfOwner>()
  readonly #events = new Map<string, number>()
  /** Of each agent the run that starts, and the run whose end was counted: at most one entry an agent. */
  readonly #starting = new Map<string, { readonly runId: string; readonly at: number }>()
  readonly #ended = new Map<string, string>()

  count(event: EventRow): void {
    this.#events.set(event.type, (this.#events.get(event.type) ?? 0) + 1)
    const { agentId, owner } = event
    if (agentId === null || owner === null) return
    const of = this.#of(owner)
    of.worked(event.type)
    if (event.type === 'message.queued') of.given++
    if (event.type === 'message.acknowledged') of.answered++
    if (event.type === 'agent.deleted') {
      this.#starting.delete(agentId)
      this.#ended.delete(agentId)
    }
    const runId = event.data.run_id
    if (typeof runId === 'string') this.#countRun(event, agentId, runId, of)
  }

  #countRun({ type, at, data }: EventRow, agentId: string, runId: string, of: OfOwner): void {
    if (type === 'run.starting') {
      of.started++
      if (Number(data.restarts) > 0) of.restarted++
      this.#starting.set(agentId, { runId, at })
      return
    }
    const starting = this.#starting.get(agentId)
    if (type === 'run.running' && starting?.runId === runId) of.ready(Math.max(0, at - starting.at) / 1000)
    if (type === 'run.running') this.#starting.delete(agentId)
    // One end may be told by several events, such as run.exited and run.backoff.
    if (data.lived_ms === undefined || this.#ended.get(agentId) === runId) return
    this.#starting.delete(agentId)
    this.#ended.set(agentId, runId)
    const key = `${kindOf(data)} ${type === 'run.stopped'}`
    of.exits.set(key, (of.exits.get(key) ?? 0) + 1)
  }

  #of(owner: string): OfOwner {
    const name = this.#owners.has(owner) || this.#owners.size < MOST_OWNERS ? owner : OTHERS
    const known = this.#owners.get(name) ?? new OfOwner()
    this.#owners.set(name, known)
    return known
  }

  /** Of one owner, or of all, with what belongs to nobody. */
  families(owner?: string): Family[] {
    const owners = [...this.#owners].filter(([name]) => owner === undefined || owner === name)
    const each = (pick: (of: OfOwner) => number): Sample[] => owners.map(([name, of]) => ({ labels: { owner: name }, value: pick(of) }))
    const counter = (name: string, help: string, samples: readonly Sample[]): Family => ({ name, help, type: 'counter', samples })
    const events = [...this.#events].map(([type, value]) => ({ labels: { type }, value }))
    return [
      counter(
        'regent_run_starts_total',
        'Runs that were begun.',
        each((of) => of.started),
      ),
      counter(
        'regent_restarts_total',
        'Runs that were begun without a caller asking, after a death.',
        each((of) => of.restarted),
      ),
      counter('regent_run_exits_total', 'Runs that ended, by how, and whether a caller asked for it.', owners.flatMap(exitsOf)),
      counter(
        'regent_messages_received_total',
        'Messages that were taken in for agents.',
        each((of) => of.given),
      ),
      counter(
        'regent_messages_handled_total',
        'Messages that agents are done with.',
        each((of) => of.answered),
      ),
      counter(
        'regent_workers_started_total',
        'Turns of workers whose CLI was started, those after a limit too.',
        each((of) => of.turns),
      ),
      counter(
        'regent_workers_limited_total',
        'Turns of workers that came to a limit of their provider.',
        each((of) => of.limits),
      ),
      counter(
        'regent_workers_ended_total',
        'Turns of workers that ended, by outcome.',
        owners.flatMap(([name, of]) => [...of.outcomes].map(([outcome, value]) => ({ labels: { owner: name, outcome }, value }))),
      ),
      {
        name: 'regent_run_start_seconds',
        help: 'From the decision to start a run until it is RUNNING, its startsecs included.',
        type: 'histogram',
        samples: owners.flatMap(histogramOf),
      },
      ...(owner === undefined ? [counter('regent_events_total', 'Events by type, since Regent started.', events)] : []),
    ]
  }
}

function kindOf(data: EventRow['data']): ExitKind {
  if (data.oom === true) return 'oom'
  if (typeof data.exit_signal === 'string') return 'signal'
  return typeof data.exit_code === 'number' ? 'exit' : 'lost'
}

function exitsOf([owner, { exits }]: [string, OfOwner]): Sample[] {
  return [...exits].map(([key, value]) => {
    const [kind = '', asked = ''] = key.split(' ')
    return { labels: { owner, kind, asked }, value }
  })
}

function histogramOf([owner, { buckets, readySum, readyCount }]: [string, OfOwner]): Sample[] {
  const name = 'regent_run_start_seconds'
  let below = 0
  const bounded = BUCKETS.map((bound, at) => {
    below += buckets[at] ?? 0
    return { name: `${name}_bucket`, labels: { owner, le: String(bound) }, value: below }
  })
  return [
    ...bounded,
    { name: `${name}_bucket`, labels: { owner, le: '+Inf' }, value: readyCount },
    { name: `${name}_sum`, labels: { owner }, value: readySum },
    { name: `${name}_count`, labels: { owner }, value: readyCount },
  ]
}
