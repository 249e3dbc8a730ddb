import type { ChannelDefaults, ChannelHold } from '../contract/channels.ts'
import type { Policy } from '../contract/policy.ts'
import { liveStates } from '../contract/states.ts'
import type { Check } from '../contract/system.ts'
import type { Clock } from '../kernel/clock.ts'
import { type RegentError, reasonOf } from '../kernel/errors.ts'
import type { Ids } from '../kernel/ids.ts'
import type { Logger } from '../kernel/logger.ts'
import type { Archive } from '../ports/archive.ts'
import type { Brokers } from '../ports/brokers.ts'
import type { Bus } from '../ports/bus.ts'
import type { Calendar } from '../ports/calendar.ts'
import type { Prober } from '../ports/prober.ts'
import type { Project } from '../ports/project.ts'
import type { Runtime } from '../ports/runtime.ts'
import type { Secrets } from '../ports/secrets.ts'
import type { Self } from '../ports/self.ts'
import type { AgentRow, Store } from '../ports/store.ts'
import { agentOperations } from './agents/agent-operations.ts'
import type { Viewing } from './agents/views.ts'
import { BrokerWatch } from './buses/broker-watch.ts'
import { busOperations } from './buses/bus-operations.ts'
import { deadLetterOperations } from './buses/dead-letters.ts'
import { busStreams } from './buses/tail.ts'
import { Channels } from './conversations/channels.ts'
import { Links } from './conversations/links.ts'
import { messageOperations } from './conversations/message-operations.ts'
import type { Core } from './core.ts'
import { createDesk, type Desk } from './desk.ts'
import { createDispatch } from './dispatch.ts'
import { Deltas } from './events/deltas.ts'
import { eventOperations, eventStreams } from './events/event-operations.ts'
import { Journal } from './events/journal.ts'
import { Outbox, type Relay } from './events/outbox.ts'
import { timelineOperations } from './events/timeline-operations.ts'
import type { Handlers, Streams } from './handling.ts'
import { Revocations } from './identity/revocations.ts'
import { RunTokens } from './identity/run-tokens.ts'
import { createIdentity, tokenOperations } from './identity/tokens.ts'
import { lifeOperations } from './supervision/life-operations.ts'
import { logStreams } from './supervision/log-streams.ts'
import { Observed } from './supervision/observed.ts'
import { Presence } from './supervision/presence.ts'
import { processOperations } from './supervision/process-operations.ts'
import { lookingFirst, Resources } from './supervision/resources.ts'
import { createSupervisor } from './supervision/supervisor.ts'
import { createWatching } from './supervision/watching.ts'
import { backupOperations } from './system/backup.ts'
import { Checks } from './system/checks.ts'
import { Metrics } from './system/metrics.ts'
import { type About, statusOperations } from './system/status.ts'
import { approvalOperations } from './tools/approval-operations.ts'
import { type WorkersRoom, workerHandlers, workerStreams, workersRoom } from './workers/room.ts'
import type { Working } from './workers/working.ts'

export interface CoreOptions extends Pick<Working, 'codingAgents' | 'workerFiles' | 'worktrees' | 'workerLimits' | 'workerSurroundings'> {
  readonly store: Store
  readonly runtime: Runtime
  readonly bus: Bus
  readonly brokers: Brokers
  /** What stands in for what a definition leaves out of its broker. */
  readonly channelDefaults: ChannelDefaults
  readonly project: Project
  readonly secrets: Secrets
  readonly prober: Prober
  readonly calendar: Calendar
  readonly archive: Archive
  readonly self: Self
  readonly clock: Clock
  readonly ids: Ids
  readonly logger: Logger
  readonly random: () => number
  readonly about: About
  readonly node: string
  readonly adminToken: string
  readonly localUser: string
  /** 32 bytes of this home, for run tokens. */
  readonly homeKey: Buffer
  /** The runner's address of this Regent; known once the listener has its port. */
  readonly linkUrl: () => string
  readonly policyDefaults: Partial<Policy>
  readonly restartsPerSecond: number
  readonly agentsPerUser: number
  /** Events that are kept for replay. */
  readonly eventsKept: number
  readonly moreChecks: () => Promise<readonly Check[]>
  /** Why there is no room for new work, where there is none. */
  readonly shortage?: () => RegentError | undefined
}

export interface RunningCore extends Core {
  /** Begins to follow the journal and the channels. To be called once, before doors open. */
  begin(): Promise<void>
  /** Adopts what runs and takes up every intent; to be called once, when `linkUrl` is known. */
  recover(): Promise<{ adopted: number }>
  /** Has the outbox carry events to a bus; for doors at brokers, once the core has begun. */
  relay(relay: Relay): Promise<void>
  readonly desk: Desk
  /** From now on nothing new is accepted; what is under way goes on. */
  refuse(): void
  /**
   * Ends every agent, in the order of their dependencies and within the longest grace; what is wanted stays wanted, for the next Regent.
   * Resolves with how many still live.
   */
  stopAgents(): Promise<number>
  /** Whether anything needs this Regent: an agent that is wanted or lives, a worker that is queued, runs, or waits for its provider. */
  busy(): Promise<boolean>
  /** Ends the work of Regent, no run of an agent. */
  close(): Promise<void>
}

const HOUSEKEEPING_MS = 600_000
/** Not before the doors at brokers have told which events they still need: what they have not sent may lie beyond what is kept for readers. */
const FIRST_HOUSEKEEPING_MS = 60_000
const KEYS_KEPT_MS = 7 * 86_400_000
/** Longer than what an owner spends is counted. */
const SPENT_KEPT_MS = 2 * 86_400_000
const RUNS_KEPT_MS = 7 * 86_400_000

/** Puts the mission together. Nothing happens until `begin`. */
export function createCore(options: CoreOptions): RunningCore {
  const { store, clock, logger } = options
  const parts = partsOf(options)
  const { journal, watching, supervisor, links, channels, resources, checks, metrics, outbox, watch } = parts
  const house = houseOf(options, parts)
  let closing = false
  return {
    ...createDispatch({
      store,
      clock,
      ...operationsOf(options, parts),
      closing: () => closing,
      shortage: options.shortage ?? (() => undefined),
    }),
    identity: createIdentity({ ...options, revocations: parts.revocations }),
    links,
    checks: () => checks.read(),
    metrics: (caller) => metrics.read(caller),
    async begin() {
      await journal.open()
      metrics.begin()
      checks.begin()
      watch.begin()
      await tellAll(options, 'regent.started').catch((error: unknown) => logger.warn({ error: reasonOf(error) }, 'the start was not told'))
      await channels.open()
      await outbox.start(channels.relay())
      house.keep()
    },
    async recover() {
      const [agents, workers] = await Promise.all([supervisor.recover(), parts.room.recover()])
      await watching.schedule()
      resources.begin()
      return { adopted: agents.adopted + workers.adopted }
    },
    relay: (relay) => outbox.start(relay),
    desk: createDesk(options),
    refuse() {
      closing = true
    },
    permissions: parts.room.permissions,
    async busy() {
      if (parts.room.active) return true
      return (await store.read.lives.list()).some(({ desired, state }) => desired === 'running' || liveStates.includes(state))
    },
    stopAgents: () => supervisor.haltAll(),
    async close() {
      closing = true
      house.leave()
      await tellAll(options, 'regent.stopping').catch((error: unknown) => logger.warn({ error: reasonOf(error) }, 'the stop was not told'))
      await closeParts(parts)
    },
  }
}

/** Resolves once the channels and the outbox have let go of their brokers. */
async function closeParts(parts: Parts): Promise<void> {
  for (const part of [parts.resources, parts.metrics, parts.watching, parts.watch, parts.supervisor, parts.room]) part.close()
  parts.links.closeAll('Regent stops')
  await parts.channels.close()
  await parts.outbox.close()
}

/** What agents say of themselves, but for those of which Regent knows better. */
const shownOver = (presence: Presence, observed: Observed): Pick<Presence, 'of'> => ({
  of: (agentId) => (observed.stalled(agentId) ? { ...presence.of(agentId), activity: 'stalled' } : presence.of(agentId)),
})

/** How agents look: what they say of themselves, and what Regent sees. */
function viewingOf(
  { clock, calendar }: CoreOptions,
  { presence, observed, channels }: { readonly presence: Presence; readonly observed: Observed; readonly channels: Channels },
): Viewing {
  return {
    clock,
    presence: shownOver(presence, observed),
    conditionsOf: (agentId) => [...channels.conditionsOf(agentId), ...observed.conditions(agentId)],
    healthOf: (agentId) => observed.health(agentId),
    resourcesOf: (agentId) => observed.resources(agentId),
    schedulesOf: ({ policy }) =>
      (policy.schedules ?? []).map(({ cron, timezone, action }) => ({
        ...{ cron, timezone, action },
        next: calendar.next(cron, timezone, clock.now()),
      })),
  }
}

type Parts = ReturnType<typeof partsOf>

function partsOf(options: CoreOptions) {
  const { store, clock, logger, ids } = options
  const journal = new Journal(store, logger)
  const deltas = new Deltas()
  const presence = new Presence()
  const observed = new Observed()
  const revocations = new Revocations()
  const runTokens = new RunTokens(options.homeKey)
  const linkOf = (runId: string) => ({ url: options.linkUrl(), token: runTokens.of(runId) })
  const channelOf = (agentId: string): ChannelHold => channels.hold(agentId)
  const watching = createWatching({ ...options, observed, presence, links: () => links, supervisor: () => supervisor })
  const supervisor = createSupervisor({
    ...{ ...options, linkOf, channelRefused: (agentId) => channels.refuses(agentId), watcher: watching },
    healthOf: (agentId) => observed.health(agentId),
  })
  const links: Links = new Links({
    ...{ store, clock, ids, logger, presence, deltas, runTokens, channelOf },
    worked: (agentId) => watching.worked(agentId),
  })
  const channels: Channels = new Channels({ ...options, journal, links })
  const viewing = viewingOf(options, { presence, observed, channels })
  const room: WorkersRoom = workersRoom({ ...options, linkOf, journal, runTokens })
  const outbox = new Outbox({ ...options, journal })
  const watch = new BrokerWatch(options)
  const watched = () => ({ own: watch.own, checks: [...watch.checks(), ...outbox.checks()] })
  const checks = new Checks({ ...options, watched })
  const resources = new Resources({ ...options, observed })
  const metrics = new Metrics({
    ...{ ...options, journal, resourcesOf: viewing.resourcesOf, watch, outbox },
    look: () => resources.look(),
    checks: () => checks.read(),
  })
  return {
    ...viewing,
    ...{ journal, deltas, observed, watching, supervisor, links, channels, revocations, checks, resources, metrics, outbox, watch, room },
  }
}

/** The operations table, fulfilled. */
function operationsOf(options: CoreOptions, parts: Parts): { handlers: Handlers; streams: Streams } {
  const shared = { ...options, ...parts }
  const wake = (agentId: string) => parts.supervisor.wake(agentId)
  const changed = (agent: AgentRow) => parts.watching.update(agent)
  const agents = {
    ...shared,
    wake,
    changed,
    claims: parts.channels,
    defaults: options.policyDefaults,
    caps: { perUser: options.agentsPerUser },
  }
  return {
    handlers: {
      ...lookingFirst(agentOperations(agents), parts.resources),
      ...lifeOperations(shared),
      ...processOperations(shared),
      ...messageOperations(shared),
      ...eventOperations(shared),
      ...approvalOperations({ ...shared, permissions: parts.room.permissions }),
      ...workerHandlers(parts.room),
      ...tokenOperations(shared),
      ...busOperations(shared),
      ...deadLetterOperations(shared),
      ...statusOperations({ ...shared, checks: () => parts.checks.read() }),
      ...backupOperations(options),
      ...timelineOperations(shared),
    },
    streams: { ...logStreams(shared), ...eventStreams(shared), ...busStreams(shared), ...workerStreams(parts.room) },
  }
}

/** An event of Regent itself, for admins. */
async function tellAll({ store, clock, about }: CoreOptions, type: 'regent.started' | 'regent.stopping'): Promise<void> {
  const data = { version: about.version, pid: about.pid }
  const nobody = { agentId: null, agent: null, owner: null }
  await store.transaction((tables) => tables.events.append({ ...nobody, at: clock.now(), type, actor: 'regent', data }))
}

/** Forgets what is old, now and then. */
function houseOf(options: CoreOptions, parts: Parts): { keep(): void; leave(): void } {
  const { clock, logger } = options
  let leave = () => {}
  const housekeeping = () => {
    void keepHouse(options, parts).catch((error: unknown) => logger.warn({ error: reasonOf(error) }, 'old events were not forgotten'))
    leave = clock.after(HOUSEKEEPING_MS, housekeeping)
  }
  return {
    keep() {
      leave = clock.after(FIRST_HOUSEKEEPING_MS, housekeeping)
    },
    leave: () => leave(),
  }
}

async function keepHouse({ store, clock, eventsKept }: CoreOptions, { journal, outbox, room }: Parts): Promise<void> {
  await room.forgetOld()
  await store.transaction(async (tables) => {
    // What a relay has not sent yet is not taken from under it.
    await tables.events.prune(Math.max(eventsKept, journal.newest - outbox.settled))
    await tables.commands.prune(clock.now() - KEYS_KEPT_MS)
    await tables.runs.prune(clock.now() - RUNS_KEPT_MS)
    await tables.workers.pruneTurns(clock.now() - SPENT_KEPT_MS)
  })
}
