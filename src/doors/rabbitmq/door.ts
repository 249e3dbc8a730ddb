import type { EventType } from '../../contract/events.ts'
import type { Clock } from '../../kernel/clock.ts'
import { reasonOf } from '../../kernel/errors.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Bus, Handler, SubscribeOptions, Subscription, Topic } from '../../ports/bus.ts'
import type { EventRow } from '../../ports/store.ts'
import { Clerk } from './clerk.ts'
import { type DoorCore, perform } from './commands.ts'
import { agentPlace, broadcastPlace, commandPlace, triggerPlace } from './places.ts'
import { readCommand, readTask, readTrigger } from './read-message.ts'
import { type Member, Roster } from './roster.ts'
import { performTask } from './tasks.ts'
import { VitalSigns } from './vital-signs.ts'
import { toldTypes, wireEventsOf } from './wire-events.ts'

export interface AgentCommandsOptions {
  readonly core: DoorCore
  readonly bus: Bus
  readonly clock: Clock
  readonly logger: Logger
  /** How often agents' health is told; default 30 s. */
  readonly healthMs?: number
}

export interface AgentCommandsDoor {
  /** Resolves when what was taken in is done with. */
  close(): Promise<void>
}

/** How long an answer waits for the agent's own queue. */
const QUEUE_MS = 5000
/** After these how an agent is has changed. */
const vital: ReadonlySet<EventType> = new Set([
  'agent.health_changed',
  'agent.stalled',
  'run.starting',
  'run.running',
  'run.stopped',
  'run.backoff',
  'run.fatal',
])

/**
 * Agents by messages: commands come on a queue, events go to an exchange. The broker may be away: then commands wait there, and events
 * here. To be opened once the core has begun.
 */
export async function openAgentCommands(options: AgentCommandsOptions): Promise<AgentCommandsDoor> {
  const door = new Door(options)
  await door.open()
  return door
}

class Door implements AgentCommandsDoor {
  readonly #o: AgentCommandsOptions
  readonly #roster: Roster
  readonly #clerk: Clerk
  readonly #signs: VitalSigns
  readonly #stop = new AbortController()
  readonly #subscriptions = new Map<string, Promise<Subscription | undefined>>()

  constructor(options: AgentCommandsOptions) {
    this.#o = options
    const { core } = options
    this.#roster = new Roster({
      read: core.desk.read,
      joined: (member) => this.#listen(member),
      left: ({ agentId }) => this.#leave(agentId),
    })
    this.#clerk = new Clerk(options)
    const { healthMs } = options
    this.#signs = new VitalSigns({ ...options, roster: this.#roster, ...(healthMs !== undefined && { everyMs: healthMs }) })
  }

  async open(): Promise<void> {
    const { core, bus, logger } = this.#o
    const shared = { core, roster: this.#roster, bus }
    await this.#roster.load()
    await core.relay({
      name: 'agent-manager',
      bus,
      types: [...new Set([...toldTypes, ...vital])],
      messages: (event) => this.#messages(event),
    })
    this.#subscribe('commands', commandPlace, (message, signal) =>
      this.#clerk.take(message, signal, readCommand, async (asked) => {
        const status = await perform(asked, signal, shared)
        await this.#listening(asked.agentId)
        return status
      }),
    )
    this.#subscribe('triggers', triggerPlace, (message, signal) =>
      this.#clerk.take(message, signal, readTrigger, (asked) => perform(asked, signal, shared)),
    )
    this.#subscribe('broadcasts', broadcastPlace, async ({ id }) => logger.debug({ id }, 'a broadcast is not for the manager'))
    this.#signs.begin()
  }

  async close(): Promise<void> {
    this.#stop.abort(new Error('the door closes'))
    this.#signs.close()
    const all = [...this.#subscriptions.keys()]
    await Promise.all(all.map((name) => this.#unsubscribe(name)))
  }

  async #messages(event: EventRow) {
    const { agentId, type } = event
    if (type === 'agent.created' && agentId !== null) await this.#roster.note(agentId)
    const messages = await wireEventsOf(event, { roster: this.#roster, core: this.#o.core })
    if (agentId !== null && type === 'agent.deleted') this.#roster.forget(agentId)
    if (agentId !== null && vital.has(type) && this.#roster.has(agentId)) {
      const member = await this.#roster.of(agentId)
      if (member) this.#signs.changed(member)
    }
    return messages
  }

  #listen(member: Member): void {
    const { agentId } = member
    const { core, bus } = this.#o
    const shared = { core, roster: this.#roster, bus }
    this.#subscribe(`agent ${agentId}`, agentPlace(agentId), (message, signal) =>
      this.#clerk.take(
        message,
        signal,
        (one) => readTask(one, agentId),
        (asked) => performTask(asked, signal, shared),
      ),
    )
  }

  /** Whoever was told that his agent is there can send it tasks: its queue is. */
  async #listening(agentId: string | undefined): Promise<void> {
    const made = this.#subscriptions.get(`agent ${agentId}`)
    if (!made) return
    await new Promise<void>((resolve) => {
      const cancel = this.#o.clock.after(QUEUE_MS, resolve)
      void made.then(() => {
        cancel()
        resolve()
      })
    })
  }

  #leave(agentId: string): void {
    void this.#unsubscribe(`agent ${agentId}`)
  }

  /** Not waited for: the broker may be away, or another Regent may have the queue. */
  #subscribe(name: string, { topic, options }: { topic: Topic; options: SubscribeOptions }, handler: Handler): void {
    const { bus, logger } = this.#o
    const made = bus.subscribe(topic, handler, { ...options, signal: this.#stop.signal }).catch((error: unknown) => {
      if (!this.#stop.signal.aborted) logger.error({ queue: options.queue?.name, error: reasonOf(error) }, 'a queue cannot be read')
      return undefined
    })
    this.#subscriptions.set(name, made)
  }

  async #unsubscribe(name: string): Promise<void> {
    const made = this.#subscriptions.get(name)
    this.#subscriptions.delete(name)
    await (await made)?.close().catch((error: unknown) => this.#o.logger.warn({ error: reasonOf(error) }, 'a queue was not left in order'))
  }
}
