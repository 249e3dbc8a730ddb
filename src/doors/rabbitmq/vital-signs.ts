import { pausedCursor } from '../../contract/agent-commands.ts'
import type { AgentView } from '../../contract/agents.ts'
import type { Output } from '../../contract/operations.ts'
import type { Caller } from '../../contract/tokens.ts'
import type { Clock } from '../../kernel/clock.ts'
import { reasonOf } from '../../kernel/errors.ts'
import type { JsonObject } from '../../kernel/json.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Bus, Outgoing, Topic } from '../../ports/bus.ts'
import type { DoorCore } from './commands.ts'
import type { Member, Roster } from './roster.ts'
import { statusOf } from './status.ts'
import { wireEvent } from './wire-events.ts'

export interface VitalSignsOptions {
  readonly core: DoorCore
  readonly roster: Roster
  readonly bus: Bus
  readonly clock: Clock
  readonly logger: Logger
  /** Default 30 s. */
  readonly everyMs?: number
}

const EVERY_MS = 30_000
/** When a broker that refused is tried again, should it not tell that it is back. */
const RETRY_MS = 5000
const asRegent: Caller = { user: 'regent', role: 'admin', via: 'rabbitmq' }

/**
 * Tells how agents are: each at its interval and when it changes. Nothing of it is kept: while the broker is away the newest of each agent
 * waits, what it takes the place of is counted, and the count is told when the broker is back.
 */
export class VitalSigns {
  readonly #o: VitalSignsOptions
  readonly #stop = new AbortController()
  readonly #waiting = new Map<string, { readonly topic: Topic; readonly message: Outgoing }>()
  readonly #changed = new Set<string>()
  #dropped = 0
  #sending = false
  #cancel = () => {}
  #forget = () => {}

  constructor(options: VitalSignsOptions) {
    this.#o = options
  }

  begin(): void {
    this.#forget = this.#o.bus.onStatus(({ connected }) => {
      if (connected) void this.#send()
    })
    this.#again()
  }

  close(): void {
    this.#stop.abort(new Error('the door closes'))
    this.#cancel()
    this.#forget()
    this.#waiting.clear()
  }

  /** So many were given up for newer ones since the broker took the last. */
  get dropped(): number {
    return this.#dropped
  }

  /** An agent has changed. */
  changed({ id }: Member): void {
    if (this.#changed.has(id)) return
    this.#changed.add(id)
    void this.#tellOne(id).catch((error: unknown) => this.#failed(error))
  }

  async tellAll(): Promise<void> {
    if (this.#o.roster.all.length === 0) return
    let cursor: string | undefined
    do {
      const page = (await this.#call('agents.list', { limit: 500, ...(cursor !== undefined && { cursor }) })) as Output<'agents.list'>
      for (const view of page.agents) await this.#tell(view)
      cursor = page.next_cursor ?? undefined
    } while (cursor !== undefined && !this.#stop.signal.aborted)
  }

  #again(): void {
    this.#cancel = this.#o.clock.after(this.#o.everyMs ?? EVERY_MS, () => {
      void this.tellAll()
        .catch((error: unknown) => this.#failed(error))
        .finally(() => {
          if (!this.#stop.signal.aborted) this.#again()
        })
    })
  }

  #failed(error: unknown): void {
    if (!this.#stop.signal.aborted) this.#o.logger.warn({ error: reasonOf(error) }, 'how agents are was not told')
  }

  #call(operation: string, input: object): Promise<object> {
    return this.#o.core.call(operation, input, { caller: asRegent, signal: this.#stop.signal })
  }

  async #tellOne(id: string): Promise<void> {
    // Those that change together are asked once.
    await this.#o.clock.sleep(0, this.#stop.signal)
    this.#changed.delete(id)
    if (this.#o.roster.has(id)) await this.#tell((await this.#call('agents.get', { agent: id })) as AgentView)
  }

  async #tell(view: AgentView): Promise<void> {
    const { roster, core, clock } = this.#o
    if (this.#stop.signal.aborted || !roster.has(view.id)) return
    const member = await roster.of(view.id)
    if (!member) return
    const status = statusOf(view, (await core.desk.read.cursors.get(pausedCursor(view.id))) === 1)
    const at = clock.now()
    const alive = view.state === 'RUNNING' && view.activity !== null && view.activity !== 'stalled'
    const about = { agent_id: member.agentId, status }
    const timestamp = new Date(at).toISOString()
    const health = { ...about, metrics: metricsOf(view), last_heartbeat: alive ? timestamp : null, timestamp }
    this.#offer(member, 'agent.health', at, health)
    if (alive) this.#offer(member, 'agent.heartbeat', at, { ...about, timestamp }, `agent-${member.agentId}`)
  }

  #offer({ agentId, owner }: Member, type: string, at: number, data: JsonObject, source?: string): void {
    const key = `${type} ${agentId}`
    if (this.#waiting.delete(key)) this.#dropped += 1
    const id = `${type.replace('.', '-')}-${agentId}-${at}`
    this.#waiting.set(key, wireEvent({ id, type, at, data, customerId: owner, ...(source !== undefined && { source }) }, agentId))
    void this.#send()
  }

  async #send(): Promise<void> {
    const { bus, clock, logger } = this.#o
    if (this.#sending || !bus.status().connected) return
    this.#sending = true
    try {
      for (let first = firstOf(this.#waiting); first && !this.#stop.signal.aborted; first = firstOf(this.#waiting)) {
        const [key, sign] = first
        await bus.publish(sign.topic, sign.message, this.#stop.signal)
        if (this.#waiting.get(key) === sign) this.#waiting.delete(key)
        this.#tellDropped()
      }
    } catch (error) {
      if (this.#stop.signal.aborted) return
      logger.debug({ error: reasonOf(error) }, 'how agents are waits for the broker')
      clock.after(RETRY_MS, () => void this.#send())
    } finally {
      this.#sending = false
    }
  }

  #tellDropped(): void {
    if (this.#dropped === 0) return
    this.#o.logger.warn({ dropped: this.#dropped }, 'health events were replaced by newer ones while the broker was away')
    this.#dropped = 0
  }
}

function metricsOf({ resources, restarts, queued, uptime_ms, usage }: AgentView): JsonObject {
  return {
    cpu_usage: resources?.cpu_percent ?? null,
    memory_usage: resources?.memory_bytes ?? null,
    // Not measured for processes.
    network_rx: null,
    network_tx: null,
    processes: resources?.processes ?? null,
    open_files: resources?.open_files ?? null,
    restarts,
    queued,
    uptime_seconds: uptime_ms === null ? null : Math.round(uptime_ms / 1000),
    model_calls: usage.model_calls,
  }
}

const firstOf = <K, V>(map: ReadonlyMap<K, V>): [K, V] | undefined => {
  const [first] = map
  return first
}
